"""The Kubernetes kinds that CMP touches, and their paths."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """`subresource_group`: where the kind's verbs beyond the usual are served, if not in its own group."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True
    subresource_group: str | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str | None = None) -> str:
        """All namespaces where none is named."""
        return f"{self._root(self.group)}{_within(namespace)}/{self.plural}"

    def path(self, namespace: str | None, name: str, subresource: str = "") -> str:
        if not subresource:
            return f"{self.collection(namespace)}/{_quoted(name)}"
        group = self.subresource_group or self.group
        return f"{self._root(group)}{_within(namespace)}/{self.plural}/{_quoted(name)}/{subresource}"

    def _root(self, group: str) -> str:
        return f"/apis/{group}/{self.version}" if group else f"/api/{self.version}"


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _within(namespace: str | None) -> str:
    return f"/namespaces/{_quoted(namespace)}" if namespace else ""


NAMESPACE = Kind("Namespace", "", "v1", "namespaces", namespaced=False)
NODE = Kind("Node", "", "v1", "nodes", namespaced=False)
POD = Kind("Pod", "", "v1", "pods")
LEASE = Kind("Lease", "coordination.k8s.io", "v1", "leases")
SECRET = Kind("Secret", "", "v1", "secrets")
SERVICE = Kind("Service", "", "v1", "services")
CLAIM = Kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims")
ACCOUNT = Kind("ServiceAccount", "", "v1", "serviceaccounts")
QUOTA = Kind("ResourceQuota", "", "v1", "resourcequotas")
LIMIT_RANGE = Kind("LimitRange", "", "v1", "limitranges")
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")
RUNTIME_CLASS = Kind("RuntimeClass", "node.k8s.io", "v1", "runtimeclasses", namespaced=False)
POD_METRICS = Kind("PodMetrics", "metrics.k8s.io", "v1beta1", "pods")
VIRTUAL_MACHINE = Kind(
    "VirtualMachine", "kubevirt.io", "v1", "virtualmachines", subresource_group="subresources.kubevirt.io"
)
VIRTUAL_MACHINE_INSTANCE = Kind(
    "VirtualMachineInstance",
    "kubevirt.io",
    "v1",
    "virtualmachineinstances",
    subresource_group="subresources.kubevirt.io",
)
MIGRATION = Kind("VirtualMachineInstanceMigration", "kubevirt.io", "v1", "virtualmachineinstancemigrations")
INSTANCETYPE = Kind(
    "VirtualMachineClusterInstancetype",
    "instancetype.kubevirt.io",
    "v1beta1",
    "virtualmachineclusterinstancetypes",
    namespaced=False,
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        NAMESPACE,
        NODE,
        POD,
        LEASE,
        SECRET,
        SERVICE,
        CLAIM,
        ACCOUNT,
        QUOTA,
        LIMIT_RANGE,
        NETWORK_POLICY,
        RUNTIME_CLASS,
        VIRTUAL_MACHINE,
        VIRTUAL_MACHINE_INSTANCE,
        MIGRATION,
        INSTANCETYPE,
    )
}
