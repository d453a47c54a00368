"""subresources.kubevirt.io: start, stop, restart, pause, unpause, softreboot, reset, with virt-api's codes and words.

Source: kubevirt pkg/virt-api/rest/{lifecycle,subresource}.go at v1.9.0.
"""

from collections.abc import Callable

from simulator.errors import StatusError, bad_request, conflict, no_such_resource, not_found
from simulator.request import Request
from simulator.resources import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from simulator.store import Stored
from simulator.streams import Streams
from simulator.types import Json
from simulator.virtual_machine_instances import grace_of, set_paused
from simulator.virtual_machines import run_strategy
from simulator.world import World, has_condition

NOT_RUNNING = "VM is not running"
FINAL = ("Succeeded", "Failed")


class KubevirtSubresources:
    def __init__(self, world: World, streams: Streams) -> None:
        self._world = world
        self._streams = streams
        self._machine_verbs: dict[str, Callable[[Stored, Json, bool], None]] = {
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
        }
        self._instance_verbs: dict[str, Callable[[Stored, bool], None]] = {
            "pause": self._pause,
            "unpause": self._unpause,
            "softreboot": self._soft_reboot,
            "reset": self._reset,
        }

    def put(self, request: Request) -> int:
        """Do it and answer the status code; the body is empty."""
        body = request.document() if request.body.strip() else {}
        dry_run = body.get("dryRun") == ["All"] or request.dry_run
        resource = request.target
        if resource is VIRTUAL_MACHINES and request.subresource in self._machine_verbs:
            self._machine_verbs[request.subresource](self._find(request), body, dry_run)
            return 202
        if resource is VIRTUAL_MACHINE_INSTANCES and request.subresource in self._instance_verbs:
            self._instance_verbs[request.subresource](self._find(request), dry_run)
            return 200
        raise no_such_resource()

    def get(self, request: Request) -> Json:
        if request.target is not VIRTUAL_MACHINE_INSTANCES or request.subresource != "guestosinfo":
            raise no_such_resource()
        found = self._world.store.get(VIRTUAL_MACHINE_INSTANCES, request.key)
        if found is None or not has_condition(found.obj, "AgentConnected"):
            raise StatusError(500, "InternalError", "VMI does not have guest agent connected")
        return {"guestAgentVersion": "9.0", "hostname": found.key[1], "os": {"name": "Simulated", "id": "simulated"}}

    def screenshot(self, request: Request) -> bytes:
        """PNG."""
        return self._streams.picture(request)

    def _find(self, request: Request) -> Stored:
        resource = request.target
        found = self._world.store.get(resource, request.key)
        if found is None:
            raise not_found(resource.group, resource.singular, request.name)
        return found

    def _start(self, machine: Stored, body: Json, dry_run: bool) -> None:
        instance, strategy = self._instance(machine), run_strategy(machine.obj)
        phase = _phase(instance)
        if instance is not None and phase not in FINAL:
            raise _conflict(machine, "VM is already running")
        if strategy in ("Always", "Once") or (strategy == "RerunOnFailure" and phase == "Failed"):
            why = (
                "does not support starting VM from failed state"
                if strategy == "RerunOnFailure"
                else "does not support manual start requests"
            )
            raise _conflict(machine, f"{strategy} {why}")
        if dry_run:
            return
        if strategy == "Halted" and not body.get("paused"):
            self._set_strategy(machine, "Always")
            return
        data = {"paused": "true"} if body.get("paused") else {}
        self._request(machine, [{"action": "Start", **({"data": data} if data else {})}])
        if strategy == "Halted":
            self._set_strategy(self._world.current(machine) or machine, "Always")

    def _stop(self, machine: Stored, body: Json, dry_run: bool) -> None:
        grace = body.get("gracePeriod")
        if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or grace < 0):
            raise bad_request("Unmarshaling failed: gracePeriod must be a non-negative integer")
        instance, strategy = self._instance(machine), run_strategy(machine.obj)
        alive = instance is not None and _phase(instance) not in FINAL
        hastened = instance is not None and grace is not None and grace < grace_of(instance)
        if strategy == "Halted" and not (alive and hastened):
            raise _conflict(machine, NOT_RUNNING)
        if strategy != "Always" and not alive:
            raise _conflict(machine, NOT_RUNNING)
        if dry_run:
            return
        if instance is not None and grace is not None:
            self._world.set_spec(instance, terminationGracePeriodSeconds=grace)
        if strategy in ("Always", "Once"):
            self._set_strategy(machine, "Halted")
        elif strategy in ("Manual", "RerunOnFailure") and instance is not None:
            self._request(machine, [{"action": "Stop", "uid": instance.uid}])

    def _restart(self, machine: Stored, body: Json, dry_run: bool) -> None:
        grace = body.get("gracePeriodSeconds")
        if grace not in (None, 0):
            raise bad_request("For force restart, only gracePeriod=0 is supported for now")
        instance, strategy = self._instance(machine), run_strategy(machine.obj)
        if strategy in ("Halted", "Once"):
            raise _conflict(machine, f"{strategy} does not support manual restart requests")
        if instance is None or _phase(instance) in FINAL:
            raise _conflict(machine, NOT_RUNNING)
        if dry_run:
            return
        if grace == 0:
            instance = self._world.set_spec(instance, terminationGracePeriodSeconds=1)
        self._request(machine, [{"action": "Stop", "uid": instance.uid}, {"action": "Start"}])

    def _pause(self, instance: Stored, dry_run: bool) -> None:
        _require_running(instance)
        if has_condition(instance.obj, "Paused"):
            raise _conflict(instance, "VMI is already paused")
        probe = instance.obj["spec"].get("livenessProbe")
        if probe and "guestAgentPing" not in probe:
            message = "Pausing VMIs with LivenessProbe is currently not supported"
            raise StatusError(403, "Forbidden", message, {"name": instance.key[1], "kind": "virtualmachineinstance"})
        self._later_paused(instance, True, dry_run)

    def _unpause(self, instance: Stored, dry_run: bool) -> None:
        _require_running(instance)
        if not has_condition(instance.obj, "Paused"):
            raise _conflict(instance, "VMI is not paused")
        self._later_paused(instance, False, dry_run)

    def _soft_reboot(self, instance: Stored, dry_run: bool) -> None:
        _require_running(instance)
        if has_condition(instance.obj, "Paused"):
            raise _conflict(instance, "VMI is paused")
        acpi = ((instance.obj["spec"].get("domain") or {}).get("features") or {}).get("acpi") or {}
        if acpi.get("enabled") is False and not has_condition(instance.obj, "AgentConnected"):
            raise _conflict(instance, "VMI neither have the agent connected nor the ACPI feature enabled")

    def _reset(self, instance: Stored, dry_run: bool) -> None:
        _require_running(instance)

    def _later_paused(self, instance: Stored, paused: bool, dry_run: bool) -> None:
        if not dry_run:
            delay = self._world.settings.vm_delay
            self._world.later(delay, lambda: set_paused(self._world, instance, paused))

    def _instance(self, machine: Stored) -> Stored | None:
        return self._world.store.get(VIRTUAL_MACHINE_INSTANCES, machine.key)

    def _set_strategy(self, machine: Stored, strategy: str) -> None:
        running = machine.obj["spec"].get("running")
        if running is not None:
            self._world.set_spec(machine, running=strategy == "Always")
        else:
            self._world.set_spec(machine, runStrategy=strategy)

    def _request(self, machine: Stored, wanted: list[Json]) -> None:
        """Leave a request in the VM's status for the controller; only one may be under way."""
        status = machine.obj.get("status") or {}
        if status.get("stateChangeRequests"):
            message = "unable to complete request: stop/start already underway"
            raise StatusError(500, "InternalError", f"Internal error occurred: {message}")
        self._world.set_status(machine, stateChangeRequests=wanted)


def _phase(instance: Stored | None) -> str:
    return str((instance.obj.get("status") or {}).get("phase", "")) if instance else ""


def _require_running(instance: Stored) -> None:
    if _phase(instance) != "Running":
        raise _conflict(instance, NOT_RUNNING)


def _conflict(stored: Stored, why: str) -> StatusError:
    return conflict(stored.resource.group, stored.resource.singular, stored.key[1], why)
