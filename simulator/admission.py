"""What may enter a namespace: it must exist and not be going away, and the object must fit its limits and quotas."""

from simulator import defaults, validation
from simulator.errors import StatusError, cause, forbidden, invalid, not_found
from simulator.quota import LimitRanges, Quotas
from simulator.resources import (
    EVENTS,
    MIGRATIONS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
    VIRTUAL_MACHINE_INSTANCES,
    VIRTUAL_MACHINES,
    Resource,
)
from simulator.store import Store
from simulator.types import Json

MIGRATION_FINALIZER = "kubevirt.io/migrationJobFinalize"


class Admission:
    def __init__(self, store: Store, quotas: Quotas) -> None:
        self._store = store
        self._quotas = quotas
        self._limits = LimitRanges(store)

    def admit(self, resource: Resource, obj: Json) -> None:
        """Complete and check a new object that has its defaults, before it is charged. Changes `obj`."""
        if resource.namespaced:
            self._require_namespace(resource, obj)
        defaults.admit(resource, obj)
        if resource is MIGRATIONS:
            _migration(self._store, obj)
        if resource is PODS:
            self._require_service_account(obj)
            self._limits.admit(obj)
            obj["status"]["qosClass"] = defaults.qos_class(obj["spec"])
        self.check(resource, obj)

    def check(self, resource: Resource, obj: Json) -> None:
        causes = [*validation.metadata(resource, obj["metadata"]), *validation.spec(resource, obj)]
        if not causes:
            return
        if resource is VIRTUAL_MACHINES and not causes[0]["field"].startswith("metadata"):
            raise _webhook(causes)
        raise invalid(resource.group, resource.kind, obj["metadata"]["name"], causes)

    def charge(self, resource: Resource, obj: Json, dry_run: bool) -> None:
        self._quotas.charge(resource, obj, dry_run)

    def _require_namespace(self, resource: Resource, obj: Json) -> None:
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        found = self._store.get(NAMESPACES, ("", namespace))
        if found is None:
            raise not_found("", "namespaces", namespace)
        if found.obj["metadata"].get("deletionTimestamp") and resource is not EVENTS:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            text = f"namespace {namespace} is being terminated"
            causes = [cause("NamespaceTerminating", text, "metadata.namespace")]
            raise forbidden(resource.group, resource.plural, name, why, causes)

    def _require_service_account(self, pod: Json) -> None:
        namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        if self._store.get(SERVICE_ACCOUNTS, (namespace, account)) is None:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise forbidden("", "pods", pod["metadata"]["name"], why)


def _webhook(causes: list[Json]) -> StatusError:
    """A refusal by KubeVirt's webhook, whose message and causes come without the object's name."""
    message = ", ".join(str(item["message"]) for item in causes)
    prefix = 'admission webhook "virtualmachine-validator.kubevirt.io" denied the request: '
    return StatusError(422, "Invalid", prefix + message, {"causes": causes})


def _migration(store: Store, obj: Json) -> None:
    """KubeVirt's webhooks: what is refused, and what every migration is given."""
    metadata, name = obj["metadata"], (obj.get("spec") or {}).get("vmiName", "")
    instance = store.get(VIRTUAL_MACHINE_INSTANCES, (metadata["namespace"], name))
    if instance is None:
        raise _no_migration(f'the VMI "{metadata["namespace"]}/{name}" does not exist')
    status = instance.obj.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        raise _no_migration("Cannot migrate VMI in finalized state.")
    for condition in status.get("conditions") or ():
        if condition["type"] == "LiveMigratable" and condition["status"] == "False":
            raise _no_migration(f"Cannot migrate VMI, Reason: {condition['reason']}, Message: {condition['message']}")
    for other in store.all(MIGRATIONS, metadata["namespace"]):
        under_way = (other.obj.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        if under_way and other.obj["spec"].get("vmiName") == name and other.key[1] != metadata["name"]:
            raise _no_migration(
                f"in-flight migration detected. Active migration job ({other.uid}) is currently already in progress "
                f"for VMI {name}."
            )
    metadata["labels"] = {**(metadata.get("labels") or {}), "kubevirt.io/vmi-name": name}
    metadata["finalizers"] = [*(metadata.get("finalizers") or ()), MIGRATION_FINALIZER]


def _no_migration(message: str) -> StatusError:
    prefix = 'admission webhook "migration-create-validator.kubevirt.io" denied the request: '
    return StatusError(400, "", prefix + message)
