"""The nodes' side of a Pod: its containers are made, run, crash, are restarted, and stop when it is deleted.

One kubelet stands for all nodes. What happens on a node that is down waits until the node is back.
"""

from collections.abc import Callable

from simulator import containers
from simulator.clock import stamp
from simulator.containers import Ending
from simulator.nodes import Nodes
from simulator.resources import NODES, PODS
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World, condition, has_condition, with_conditions

SUSPENDED = "cmp.io/Suspended"
RESTART_DELAY = 0.05


class Kubelet:
    def __init__(self, world: World, nodes: Nodes) -> None:
        self._world = world
        self._nodes = nodes
        self._addresses = 0
        self._held: dict[str, list[Callable[[], None]]] = {}
        """What could not be done because the node was down."""
        world.store.on(PODS, self._changed)
        world.store.on(NODES, self._node_changed)

    def resume(self) -> None:
        """Carry on with what the saved state left half done."""
        for stored in self._world.store.all(PODS):
            if not stored.obj["spec"].get("nodeName"):
                continue
            if stored.obj["metadata"].get("deletionTimestamp"):
                self._stop_later(stored)
            elif stored.obj["status"].get("phase") == "Pending":
                self._world.later(0, lambda stored=stored: self._start(stored))  # type: ignore[misc]
            elif stored.obj["status"].get("phase") == "Running":
                self._watch_over(stored)

    def _changed(self, event: Event) -> None:
        stored, previous = event.stored, event.previous
        if event.type == "DELETED" or not stored.obj["spec"].get("nodeName"):
            return
        old = previous.obj if previous else None
        metadata = stored.obj["metadata"]
        if metadata.get("deletionTimestamp"):
            before = old["metadata"] if old else {}
            thawed = old is not None and has_condition(old, SUSPENDED) and not has_condition(stored.obj, SUSPENDED)
            if thawed or before.get("deletionGracePeriodSeconds") != metadata.get("deletionGracePeriodSeconds"):
                self._stop_later(stored)
        elif old is None or not old["spec"].get("nodeName"):
            self._world.later(0, lambda: self._start(stored))
        else:
            self._adjust(stored, old)

    def _adjust(self, stored: Stored, old: Json) -> None:
        """React to what a client changed on a Pod that is on a node already."""
        new = stored.obj
        images, before = _images(new), _images(old)
        if images != before:
            changed = {name for name in images if images[name] != before.get(name)}
            self._world.later(RESTART_DELAY, lambda: self._restart(stored, changed))
        crash = (new["metadata"].get("annotations") or {}).get(containers.CRASH)
        if crash and crash != (old["metadata"].get("annotations") or {}).get(containers.CRASH):
            self._watch_over(stored)
        if new["spec"].get("readinessGates") and new["status"].get("conditions") != old["status"].get("conditions"):
            self._world.later(0, lambda: self._refresh_ready(stored))

    def _start(self, stored: Stored) -> None:
        current = self._alive(stored, lambda: self._start(stored))
        if current is None or current.obj["status"].get("phase") != "Pending":
            return
        specs = current.obj["spec"]["containers"]
        address = self._host_address(current)
        self._write(
            current,
            [containers.waiting(spec, "ContainerCreating") for spec in specs],
            startTime=current.obj["status"].get("startTime") or stamp(),
            hostIP=address,
            hostIPs=[{"ip": address}],
        )
        self._world.later(self._world.settings.start_delay, lambda: self._run(stored))

    def _run(self, stored: Stored) -> None:
        current = self._alive(stored, lambda: self._run(stored))
        if current is None:
            return
        statuses = []
        for spec in current.obj["spec"]["containers"]:
            failure = containers.pull_failure(spec["image"])
            statuses.append(containers.waiting(spec, *failure) if failure else containers.running(spec))
        failed = any("waiting" in status["state"] for status in statuses)
        self._addresses += 1
        address = f"10.244.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
        written = self._write(current, statuses, podIP=address, podIPs=[{"ip": address}])
        if failed:
            self._world.record(written, "Failed", "Error: ErrImagePull", "kubelet", "Warning")
            self._world.later(self._world.settings.pull_failure_delay, lambda: self._back_off_pull(stored))
        else:
            self._world.record(written, "Started", "Started container", "kubelet")
        self._watch_over(written)

    def _back_off_pull(self, stored: Stored) -> None:
        current = self._alive(stored, lambda: self._back_off_pull(stored))
        if current is None:
            return
        statuses, again = [], False
        for spec, status in _paired(current.obj):
            if status["state"].get("waiting", {}).get("reason") == "ErrImagePull":
                text = (
                    f'Back-off pulling image "{spec["image"]}": ErrImagePull: {status["state"]["waiting"]["message"]}'
                )
                status = containers.waiting(spec, "ImagePullBackOff", text, status)
                again = True
            statuses.append(status)
        if again:
            written = self._write(current, statuses)
            self._world.record(written, "BackOff", "Back-off pulling image", "kubelet", "Warning")

    def _restart(self, stored: Stored, names: set[str]) -> None:
        """Containers whose image changed are made again from the new one."""
        current = self._alive(stored, lambda: self._restart(stored, names))
        if current is None:
            return
        statuses = []
        for spec, status in _paired(current.obj):
            if spec["name"] in names:
                ran = "running" in status["state"]
                known = {**status, "restartCount": status["restartCount"] + int(ran)}
                failure = containers.pull_failure(spec["image"])
                status = containers.waiting(spec, *failure, known) if failure else containers.running(spec, known)
            statuses.append(status)
        written = self._write(current, statuses)
        self._world.later(self._world.settings.pull_failure_delay, lambda: self._back_off_pull(stored))
        self._watch_over(written)

    def _watch_over(self, stored: Stored) -> None:
        """Let containers that are told to end do so."""
        for spec, status in _paired(stored.obj):
            how = containers.ending(stored.obj, spec)
            if how is not None and "running" in status["state"]:
                run, name = status["restartCount"], spec["name"]
                self._world.later(
                    self._world.settings.crash_after,
                    lambda name=name, run=run: self._end(stored, name, run),  # type: ignore[misc]
                )

    def _end(self, stored: Stored, name: str, run: int) -> None:
        current = self._alive(stored, lambda: self._end(stored, name, run))
        if current is None:
            return
        statuses, ended = [], None
        for spec, status in _paired(current.obj):
            how = containers.ending(current.obj, spec)
            same_run = spec["name"] == name and status["restartCount"] == run and "running" in status["state"]
            if how is not None and same_run:
                status = containers.terminated(spec, how, status)
                ended = how
            statuses.append(status)
        if ended is None:
            return
        written = self._write(current, statuses)
        policy = current.obj["spec"].get("restartPolicy", "Always")
        if policy == "Always" or (policy == "OnFailure" and ended.code):
            wait = RESTART_DELAY if run == 0 else 0.0
            self._world.later(wait, lambda: self._come_back(written, name, run))

    def _come_back(self, stored: Stored, name: str, run: int) -> None:
        """The first restart is at once, later ones wait in CrashLoopBackOff."""
        if run == 0:
            self._run_again(stored, name)
            return
        current = self._alive(stored, lambda: self._come_back(stored, name, run))
        if current is None:
            return
        settings = self._world.settings
        wait = min(settings.crash_backoff * 2 ** (run - 1), settings.crash_backoff_limit)
        pod = f"{current.key[1]}_{current.key[0]}({current.uid})"
        text = f"back-off {max(int(10 * 2 ** (run - 1)), 10)}s restarting failed container={name} pod={pod}"
        statuses = []
        for spec, status in _paired(current.obj):
            if spec["name"] == name:
                status = containers.waiting(spec, "CrashLoopBackOff", text, {**status, "lastState": status["state"]})
            statuses.append(status)
        written = self._write(current, statuses)
        self._world.record(written, "BackOff", "Back-off restarting failed container", "kubelet", "Warning")
        self._world.later(wait, lambda: self._run_again(stored, name))

    def _run_again(self, stored: Stored, name: str) -> None:
        current = self._alive(stored, lambda: self._run_again(stored, name))
        if current is None:
            return
        statuses = []
        for spec, status in _paired(current.obj):
            if spec["name"] == name:
                last = status["state"] if "terminated" in status["state"] else status["lastState"]
                known = {**status, "restartCount": status["restartCount"] + 1, "lastState": last}
                status = containers.running(spec, known)
            statuses.append(status)
        self._watch_over(self._write(current, statuses))

    def _stop_later(self, stored: Stored) -> None:
        grace = float(stored.obj["metadata"].get("deletionGracePeriodSeconds") or 0)
        settings = self._world.settings
        frozen = has_condition(stored.obj, SUSPENDED)
        delay = grace * settings.grace_scale if frozen else min(settings.stop_delay, grace)
        self._world.later(delay, lambda: self._stop(stored))

    def _stop(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None or self._hold(current, lambda: self._stop(stored)):
            return
        killed = Ending(137, "Error") if has_condition(current.obj, SUSPENDED) else Ending(0, "Completed")
        statuses = [
            containers.terminated(spec, killed, status) if "running" in status["state"] else status
            for spec, status in _paired(current.obj)
        ]
        if statuses:
            current = self._write(current, statuses)
        self._world.delete(current, grace=0)

    def _alive(self, stored: Stored, again: Callable[[], None]) -> Stored | None:
        """The Pod as it is now, unless it is gone, going, ended, or its node is down (then `again` is called later)."""
        current = self._world.current(stored)
        if current is None or current.obj["metadata"].get("deletionTimestamp"):
            return None
        if current.obj["status"].get("phase") in ("Succeeded", "Failed") or self._hold(current, again):
            return None
        return current

    def _hold(self, stored: Stored, again: Callable[[], None]) -> bool:
        node = stored.obj["spec"]["nodeName"]
        if self._nodes.is_up(node):
            return False
        self._held.setdefault(node, []).append(again)
        return True

    def _node_changed(self, event: Event) -> None:
        name = event.stored.key[1]
        if event.type == "DELETED":
            self._held.pop(name, None)
            for stored in self._nodes.pods_on(name):
                self._world.later(0, lambda stored=stored: self._forget(stored))  # type: ignore[misc]
        elif self._nodes.is_up(name):
            for again in self._held.pop(name, ()):
                self._world.later(0, again)
            for stored in self._nodes.pods_on(name):
                self._world.later(0, lambda stored=stored: self._refresh_ready(stored))  # type: ignore[misc]

    def _forget(self, stored: Stored) -> None:
        """A Pod whose Node object is gone is removed by the Pod garbage collector."""
        current = self._world.current(stored)
        if current is not None:
            self._world.delete(current, grace=0)

    def _refresh_ready(self, stored: Stored) -> None:
        current = self._alive(stored, lambda: self._refresh_ready(stored))
        if current is not None and current.obj["status"].get("containerStatuses"):
            self._write(current, current.obj["status"]["containerStatuses"])

    def _write(self, stored: Stored, statuses: list[Json], **fields: object) -> Stored:
        """Write container statuses, and the phase and conditions that follow from them."""
        phase = _phase(stored.obj, statuses)
        ready = all(status["ready"] for status in statuses)
        unready = "" if ready else "PodCompleted" if phase in ("Succeeded", "Failed") else "ContainersNotReady"
        names = " ".join(status["name"] for status in statuses if not status["ready"])
        text = f"containers with unready status: [{names}]" if unready == "ContainersNotReady" else ""
        state = "True" if ready else "False"
        missing = [gate for gate in _gates(stored.obj["spec"]) if not has_condition(stored.obj, gate)]
        if ready and missing:
            gates = ", ".join(_unready(stored.obj, gate) for gate in missing)
            pod_ready = condition("Ready", "False", "ReadinessGatesNotReady", gates)
        else:
            pod_ready = condition("Ready", state, unready, text)
        started = any("waiting" not in status["state"] or status["restartCount"] for status in statuses)
        conditions = with_conditions(
            stored.obj["status"].get("conditions"),
            condition("PodReadyToStartContainers", "True" if started else "False"),
            condition("Initialized", "True"),
            pod_ready,
            condition("ContainersReady", state, unready, text),
        )
        fields = {"phase": phase, "conditions": conditions, "containerStatuses": statuses, **fields}
        return self._world.set_status(stored, **fields)

    def _host_address(self, stored: Stored) -> str:
        node = self._world.store.get(NODES, ("", stored.obj["spec"]["nodeName"]))
        addresses = (node.obj.get("status") or {}).get("addresses") if node else None
        return str(addresses[0]["address"]) if addresses else ""


def _phase(pod: Json, statuses: list[Json]) -> str:
    states = [status["state"] for status in statuses]
    policy = pod["spec"].get("restartPolicy", "Always")
    if states and all("terminated" in state for state in states):
        codes = [state["terminated"]["exitCode"] for state in states]
        going = bool(pod["metadata"].get("deletionTimestamp"))
        if policy == "Never" or going or (policy == "OnFailure" and not any(codes)):
            return "Failed" if any(codes) else "Succeeded"
    if any("waiting" in state and not status["restartCount"] for state, status in zip(states, statuses, strict=True)):
        return "Pending"
    return "Running"


def _paired(pod: Json) -> list[tuple[Json, Json]]:
    """Containers with their statuses, once they have them."""
    known = {status["name"]: status for status in pod["status"].get("containerStatuses") or ()}
    return [(spec, known[spec["name"]]) for spec in pod["spec"]["containers"] if spec["name"] in known]


def _images(pod: Json) -> dict[str, str]:
    return {container["name"]: container["image"] for container in pod["spec"]["containers"]}


def _gates(spec: Json) -> list[str]:
    return [gate["conditionType"] for gate in spec.get("readinessGates") or ()]


def _unready(pod: Json, gate: str) -> str:
    if has_condition(pod, gate, "False"):
        return f'the status of pod readiness gate "{gate}" is not "True", but False'
    return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
