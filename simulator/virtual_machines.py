"""virt-controller's care for VirtualMachines: when there must be an instance, and what status says about it.

Source: kubevirt pkg/virt-controller/watch/vm at v1.9.0.
"""

from typing import Any

from simulator.clock import stamp
from simulator.errors import StatusError
from simulator.resources import CLAIMS, VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from simulator.store import Event, Stored
from simulator.types import Json, Key
from simulator.world import World, condition, has_condition, with_conditions

FINALIZER = "kubevirt.io/virtualMachineControllerFinalize"
FINAL = ("Succeeded", "Failed")
MANAGER = "virt-controller"


class VirtualMachines:
    def __init__(self, world: World) -> None:
        self._world = world
        self._queued: set[Key] = set()
        self._retry_at: dict[str, float] = {}
        self._failed: set[str] = set()
        """VMs whose last instance failed, for RerunOnFailure."""
        world.store.on(VIRTUAL_MACHINES, lambda event: self._soon(event.stored.key))
        world.store.on(VIRTUAL_MACHINE_INSTANCES, self._instance_changed)
        world.store.on(CLAIMS, self._claim_changed)

    def resume(self) -> None:
        for stored in self._world.store.all(VIRTUAL_MACHINES):
            self._soon(stored.key)

    def _instance_changed(self, event: Event) -> None:
        if event.stored.obj["metadata"].get("ownerReferences"):
            self._soon(event.stored.key)

    def _claim_changed(self, event: Event) -> None:
        if event.type == "ADDED":
            for stored in self._world.store.all(VIRTUAL_MACHINES, event.stored.key[0]):
                self._soon(stored.key)

    def _soon(self, key: Key, delay: float | None = None) -> None:
        if key not in self._queued:
            self._queued.add(key)
            self._world.later(self._world.settings.vm_delay if delay is None else delay, lambda: self._sync(key))

    def _sync(self, key: Key) -> None:
        self._queued.discard(key)
        machine = self._world.store.get(VIRTUAL_MACHINES, key)
        if machine is None:
            return
        if machine.obj["metadata"].get("deletionTimestamp"):
            self._remove(machine)
            return
        if FINALIZER not in (machine.obj["metadata"].get("finalizers") or ()):
            names = [*(machine.obj["metadata"].get("finalizers") or ()), FINALIZER]
            machine = self._world.set_metadata(machine, finalizers=names)
        self._make_claims(machine)
        machine = self._follow_strategy(machine)
        self._write_status(machine)

    def _remove(self, machine: Stored) -> None:
        instance = self._instance(machine)
        if instance is None:
            self._world.drop_finalizer(machine, FINALIZER)
            return
        if not instance.obj["metadata"].get("deletionTimestamp"):
            self._world.delete(instance)
        self._write_status(machine)

    def _follow_strategy(self, machine: Stored) -> Stored:
        """Make or delete the instance as the run strategy and pending requests say."""
        status = machine.obj.get("status") or {}
        instance, strategy = self._instance(machine), run_strategy(machine.obj)
        requests = status.get("stateChangeRequests") or []
        start = any(item["action"] == "Start" for item in requests)
        stop = any(item["action"] == "Stop" for item in requests)
        if instance is not None:
            phase = (instance.obj.get("status") or {}).get("phase", "")
            self._note_outcome(machine, instance, phase)
            over = phase in FINAL
            ends = {"Always": over, "RerunOnFailure": phase == "Failed", "Halted": True}.get(strategy, False)
            replace = strategy in ("Manual", "RerunOnFailure") and over and start
            if (stop or ends or replace) and not instance.obj["metadata"].get("deletionTimestamp"):
                self._world.delete(instance)
            left = [item for item in requests if item["action"] != "Stop"]
            return self._set_requests(machine, left) if stop else machine
        fresh = status.get("runStrategy") != strategy
        wanted = {
            "Always": True,
            "RerunOnFailure": start or fresh or machine.uid in self._failed,
            "Manual": start,
            "Once": True,
        }.get(strategy, False)
        if not wanted or not self._may_start(machine):
            return machine
        self._failed.discard(machine.uid)
        self._start(machine)
        return self._set_requests(machine, [])

    def _note_outcome(self, machine: Stored, instance: Stored, phase: str) -> None:
        if phase == "Failed":
            self._failed.add(machine.uid)
        if (
            phase != "Failed"
            or (machine.obj.get("status") or {}).get("startFailure", {}).get("lastFailedVMIUID") == instance.uid
        ):
            return
        seen = instance.obj["status"].get("phaseTransitionTimestamps") or ()
        if any(item["phase"] == "Running" for item in seen):
            return
        count = (machine.obj.get("status") or {}).get("startFailure", {}).get("consecutiveFailCount", 0) + 1
        settings = self._world.settings
        wait = min(settings.crash_backoff * count * count, settings.crash_backoff_limit)
        self._retry_at[machine.uid] = self._world.clock.now() + wait
        failure = {
            "consecutiveFailCount": count,
            "lastFailedVMIUID": instance.uid,
            "retryAfterTimestamp": stamp(after=wait),
        }
        current = self._world.current(machine)
        if current is not None:
            self._world.set_status(current, startFailure=failure)

    def _may_start(self, machine: Stored) -> bool:
        wait = self._retry_at.get(machine.uid, 0.0) - self._world.clock.now()
        if wait <= 0:
            return True
        self._soon(machine.key, wait)
        return False

    def _start(self, machine: Stored) -> None:
        template = machine.obj["spec"]["template"]
        meta = template.get("metadata") or {}
        namespace, name = machine.key
        owner = {
            "apiVersion": VIRTUAL_MACHINES.api_version,
            "kind": VIRTUAL_MACHINES.kind,
            "name": name,
            "uid": machine.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        paused = any(
            (item.get("data") or {}).get("paused") == "true"
            for item in (machine.obj.get("status") or {}).get("stateChangeRequests") or ()
        )
        spec = {**template["spec"], **({"startStrategy": "Paused"} if paused else {})}
        metadata: Json = {
            "name": name,
            "namespace": namespace,
            "labels": {**(meta.get("labels") or {}), "vm.kubevirt.io/name": name},
            "ownerReferences": [owner],
            "finalizers": [FINALIZER, "kubevirt.io/foregroundDeleteVirtualMachine"],
        }
        if meta.get("annotations"):
            metadata["annotations"] = dict(meta["annotations"])
        obj: Json = {"metadata": metadata, "spec": spec}
        try:
            made = self._world.create(VIRTUAL_MACHINE_INSTANCES, obj, MANAGER)
        except StatusError as error:
            self._world.record(
                machine, "FailedCreate", f"Error creating virtual machine instance: {error}", MANAGER, "Warning"
            )
            return
        text = f"Started the virtual machine by creating the new virtual machine instance {name}"
        self._world.record(machine, "SuccessfulCreate", text, MANAGER)
        first = {"phase": "Pending", "phaseTransitionTimestamp": stamp()}
        self._world.set_status(made, phase="Pending", phaseTransitionTimestamps=[first])

    def _make_claims(self, machine: Stored) -> None:
        """Disks of dataVolumeTemplates: claims of the VM's own, as CDI makes them."""
        for template in machine.obj["spec"].get("dataVolumeTemplates") or ():
            name = template["metadata"]["name"]
            if self._world.store.get(CLAIMS, (machine.key[0], name)) is not None:
                continue
            wanted = template["spec"].get("storage") or template["spec"].get("pvc") or {}
            owner = {
                "apiVersion": "kubevirt.io/v1",
                "kind": "VirtualMachine",
                "name": machine.key[1],
                "uid": machine.uid,
            }
            metadata = {"name": name, "namespace": machine.key[0], "ownerReferences": [owner]}
            spec = {
                "accessModes": wanted.get("accessModes", ["ReadWriteOnce"]),
                "resources": wanted.get("resources", {}),
            }
            try:
                self._world.create(CLAIMS, {"metadata": metadata, "spec": spec}, "cdi-controller")
            except StatusError as error:
                self._world.record(machine, "FailedDataVolumeCreate", str(error), MANAGER, "Warning")

    def _set_requests(self, machine: Stored, requests: list[Json]) -> Stored:
        current = self._world.current(machine) or machine
        return self._world.set_status(current, stateChangeRequests=requests or None)

    def _write_status(self, machine: Stored) -> None:
        current = self._world.current(machine)
        if current is None:
            return
        instance = self._instance(current)
        phase = (instance.obj.get("status") or {}).get("phase", "") if instance else ""
        running = phase == "Running"
        fields: Json = {
            "created": instance is not None or None,
            "ready": (running and instance is not None and has_condition(instance.obj, "Ready")) or None,
            "printableStatus": self._printable(current, instance),
            "runStrategy": run_strategy(current.obj),
            "conditions": _conditions(current.obj, instance),
            "desiredGeneration": current.obj["metadata"].get("generation"),
            "volumeSnapshotStatuses": None,
        }
        if running:
            fields["startFailure"] = None
            fields["observedGeneration"] = current.obj["metadata"].get("generation")
        self._world.set_status(current, **fields)

    def _printable(self, machine: Stored, instance: Stored | None) -> str:
        """The first that applies, in virt-controller's order."""
        if machine.obj["metadata"].get("deletionTimestamp"):
            return "Terminating"
        claims = self._missing_claim(machine)
        if instance is None:
            if claims and run_strategy(machine.obj) in ("Always", "RerunOnFailure", "Once"):
                return "ErrorPvcNotFound"
            if self._retry_at.get(machine.uid, 0.0) > self._world.clock.now():
                return "CrashLoopBackOff"
            return "Stopped"
        status = instance.obj.get("status") or {}
        phase = status.get("phase", "")
        if instance.obj["metadata"].get("deletionTimestamp") and phase not in FINAL:
            return "Stopping"
        if phase in FINAL:
            return (
                "Stopped"
                if phase == "Succeeded"
                else "CrashLoopBackOff"
                if run_strategy(machine.obj) == "Always"
                else "Stopped"
            )
        if phase == "Running":
            return "Paused" if has_condition(instance.obj, "Paused") else "Running"
        if claims:
            return "ErrorPvcNotFound"
        for item in status.get("conditions") or ():
            if item["type"] == "PodScheduled" and item.get("reason") == "Unschedulable":
                return "ErrorUnschedulable"
            if item["type"] == "Synchronized" and item.get("reason") in ("ErrImagePull", "ImagePullBackOff"):
                return str(item["reason"])
        return "Starting"

    def _missing_claim(self, machine: Stored) -> bool:
        for volume in machine.obj["spec"]["template"]["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if name and self._world.store.get(CLAIMS, (machine.key[0], name)) is None:
                return True
        return False

    def _instance(self, machine: Stored) -> Stored | None:
        found = self._world.store.get(VIRTUAL_MACHINE_INSTANCES, machine.key)
        if found is None:
            return None
        owners = found.obj["metadata"].get("ownerReferences") or ()
        return found if any(owner["uid"] == machine.uid for owner in owners) else None


def run_strategy(machine: Json) -> str:
    spec = machine["spec"]
    if spec.get("runStrategy"):
        return str(spec["runStrategy"])
    return "Always" if spec.get("running") else "Halted"


def _differs(template: Any, spec: Any) -> bool:
    """Whether what runs was made from another template; what nobody asked for is a default."""
    if isinstance(template, dict):
        return not isinstance(spec, dict) or any(_differs(value, spec.get(key)) for key, value in template.items())
    if isinstance(template, list):
        pairs = zip(template, spec or (), strict=False)
        return len(template) != len(spec or ()) or any(_differs(value, found) for value, found in pairs)
    return bool(template != spec)


def _conditions(machine: Json, instance: Stored | None) -> list[Json]:
    """The VM's own conditions and a copy of each of its instance's."""
    known = (machine.get("status") or {}).get("conditions") or []
    if instance is None:
        ready = condition("Ready", "False", "VMINotExists", "VMI does not exist")
        return with_conditions([item for item in known if item["type"] == "Ready"], ready)
    copies = list((instance.obj.get("status") or {}).get("conditions") or [])
    if _differs(machine["spec"]["template"]["spec"], instance.obj["spec"]):
        text = "a non-live-updatable field was changed in the template spec"
        waits = condition("RestartRequired", "True", "RestartRequired", text)
        copies += with_conditions([item for item in known if item["type"] == "RestartRequired"], waits)
    if any(item["type"] == "Ready" for item in copies):
        return copies
    text = "Guest VM is not reported as running"
    ready = condition("Ready", "False", "GuestNotRunning", text)
    kept = [item for item in known if item["type"] == "Ready"]
    return [*with_conditions(kept, ready), *copies]
