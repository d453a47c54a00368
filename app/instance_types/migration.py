"""A VM's move to another node while it runs: a VirtualMachineInstanceMigration, named after the operation's id.

Source of the phases: kubevirt pkg/virt-controller/watch/migration/migration.go.
"""

from collections.abc import Mapping
from typing import Any

from app.instance_types import reading
from app.instance_types.values import TARGET, InstanceSpec, KubeCall, Migration, Object, Observed, instance_labels
from app.models import Reason

KIND = "VirtualMachineInstanceMigration"
FIELDS = ("status.phase", "status.conditions", "status.migrationState")
JOB = "kubevirt.io/migrationJobUID"

_MOVING = ("PreparingTarget", "TargetReady", "Running")
_NO_QUOTA = "migrationRejectedByResourceQuota"


def begin(spec: InstanceSpec, observed: Observed | None) -> tuple[KubeCall, ...]:
    """Owned by the VM, so that it goes with it."""
    if spec.migration is None or observed is None or observed.uid is None:
        return ()
    owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": spec.name, "uid": observed.uid}
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": KIND,
        "metadata": {
            "name": spec.migration,
            "namespace": spec.cluster.namespace,
            "labels": instance_labels(spec),
            "ownerReferences": [owner],
        },
        "spec": {"vmiName": spec.name},
    }
    return (KubeCall("create", KIND, spec.migration, body=body),)


def read(objects: Mapping[str, Object]) -> Migration | None:
    obj = objects.get(KIND)
    if obj is None:
        return None
    metadata, phase = reading.metadata(obj), str(reading.status(obj).get("phase") or "")
    reason, message = _trouble(objects, metadata["uid"])
    if phase == "Succeeded":
        return Migration(metadata["name"], metadata["uid"], "succeeded", deleting=reading.deleting(obj))
    if reason is None and message is None and phase != "Failed":
        message = _where(objects, metadata["uid"], phase)
    return Migration(
        metadata["name"],
        metadata["uid"],
        "failed" if phase == "Failed" else "moving" if phase in _MOVING else "waiting",
        reason,
        message,
        reading.deleting(obj),
    )


def _trouble(objects: Mapping[str, Object], uid: str) -> tuple[Reason | None, str | None]:
    """In the words of whoever knows best: the scheduler, the quota, the machines at both ends."""
    target = objects.get(TARGET)
    if ((reading.metadata(target).get("labels") or {}).get(JOB)) == uid:
        scheduled = reading.condition(target, "PodScheduled")
        if scheduled.get("status") == "False":
            return Reason.UNSCHEDULABLE, reading.words(scheduled.get("message"))
    if reading.is_true(objects.get(KIND), _NO_QUOTA):
        return Reason.QUOTA, "the namespace has no room for a second copy while it moves"
    return None, reading.words(_state(objects, uid).get("failureReason"))


def _where(objects: Mapping[str, Object], uid: str, phase: str) -> str:
    node = _state(objects, uid).get("targetNode")
    return f"moving to {node}" if node and phase in _MOVING else f"preparing to move: {phase or 'Pending'}"


def _state(objects: Mapping[str, Object], uid: str) -> Mapping[str, Any]:
    """The VMI tells of its newest migration before the migration itself does."""
    for kind in (KIND, "VirtualMachineInstance"):
        state: Mapping[str, Any] = reading.status(objects.get(kind)).get("migrationState") or {}
        if state.get("migrationUid") == uid:
            return state
    return {}
