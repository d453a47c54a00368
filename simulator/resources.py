"""The kinds this server knows: their names, scope, subresources and small differences in behaviour.

`custom` marks kinds that a real cluster serves from a CustomResourceDefinition: no strategic merge, atomic lists.
"""

from dataclasses import dataclass

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    has_generation: bool = False
    custom: bool = False
    returns_deleted: bool = False
    """DELETE answers the last state of the object instead of a Status."""
    field_selectors: tuple[str, ...] = ()

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @property
    def prefix(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase")
EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)

NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", False, ("ns",), subresources=("status", "finalize"), returns_deleted=True,
    verbs=tuple(verb for verb in VERBS if verb != "deletecollection"), field_selectors=("status.phase",),
)  # fmt: skip
PODS = Resource(
    "", "v1", "pods", "Pod", True, ("po",), ("all",), has_generation=True, returns_deleted=True,
    subresources=("status", "log", "eviction", "binding", "ephemeralcontainers", "resize", "exec", "portforward"),
    field_selectors=POD_FIELDS,
)  # fmt: skip
SERVICES = Resource("", "v1", "services", "Service", True, ("svc",), ("all",), ("status",), returns_deleted=True)
SECRETS = Resource("", "v1", "secrets", "Secret", field_selectors=("type",))
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap", True, ("cm",))
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", True, ("sa",), returns_deleted=True)
CLAIMS = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",), (), ("status",), returns_deleted=True
)
QUOTAS = Resource(
    "", "v1", "resourcequotas", "ResourceQuota", True, ("quota",), (), ("status",), returns_deleted=True
)  # fmt: skip
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange", True, ("limits",))
EVENTS = Resource("", "v1", "events", "Event", True, ("ev",), field_selectors=EVENT_FIELDS)
NODES = Resource("", "v1", "nodes", "Node", False, ("no",), (), ("status",), field_selectors=("spec.unschedulable",))
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",), ("all",), ("status",), VERBS, True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NETWORK_POLICIES = Resource(
    "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",), has_generation=True
)
RUNTIME_CLASSES = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, ("sc",))
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, verbs=("create",)
)
VIRTUAL_MACHINES = Resource(
    "kubevirt.io", "v1", "virtualmachines", "VirtualMachine", True, ("vm", "vms"), ("all",), ("status",), VERBS, True,
    custom=True,
)  # fmt: skip
VIRTUAL_MACHINE_INSTANCES = Resource(
    "kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True, ("vmi", "vmis"), ("all",),
    verbs=VERBS, has_generation=True, custom=True,
)  # fmt: skip
MIGRATIONS = Resource(
    "kubevirt.io", "v1", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration", True,
    ("vmim", "vmims"), ("all",), ("status",), VERBS, True, custom=True,
)  # fmt: skip
INSTANCETYPES = Resource(
    "instancetype.kubevirt.io", "v1beta1", "virtualmachineclusterinstancetypes", "VirtualMachineClusterInstancetype",
    False, ("vmclusterinstancetype", "vmcit"), ("all",), (), VERBS, True, custom=True,
)  # fmt: skip
KUBEVIRTS = Resource(
    "kubevirt.io", "v1", "kubevirts", "KubeVirt", True, ("kv", "kvs"), ("all",), ("status",), VERBS, True, custom=True
)

RESOURCES = (
    NAMESPACES, PODS, SERVICES, SECRETS, CONFIGMAPS, SERVICE_ACCOUNTS, CLAIMS, QUOTAS, LIMIT_RANGES, EVENTS, NODES,
    DAEMON_SETS, LEASES, NETWORK_POLICIES, RUNTIME_CLASSES, STORAGE_CLASSES, ACCESS_REVIEWS, VIRTUAL_MACHINES,
    VIRTUAL_MACHINE_INSTANCES, MIGRATIONS, INSTANCETYPES, KUBEVIRTS,
)  # fmt: skip
STORED = tuple(resource for resource in RESOURCES if resource is not ACCESS_REVIEWS)
BY_PLURAL = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES}

KUBEVIRT_SUBRESOURCES = {
    "virtualmachines": ("start", "stop", "restart"),
    "virtualmachineinstances": (
        "pause",
        "unpause",
        "softreboot",
        "reset",
        "guestosinfo",
        "console",
        "vnc",
        "portforward",
    ),
}
KUBEVIRT_SUBRESOURCE_GROUP = ("subresources.kubevirt.io", "v1")
