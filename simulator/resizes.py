"""The kubelet's part in resizing a Pod in place: it has the new size when its node has room for that.

Source: kubernetes pkg/kubelet/allocation at v1.36.
"""

from simulator.nodes import Nodes
from simulator.resources import PODS
from simulator.scheduler import Scheduler
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World, condition, with_conditions

PENDING = "PodResizePending"
RETRY_DELAY = 0.1


class Resizes:
    def __init__(self, world: World, nodes: Nodes, scheduler: Scheduler) -> None:
        self._world = world
        self._nodes = nodes
        self._scheduler = scheduler
        world.store.on(PODS, self._changed)

    def resume(self) -> None:
        for stored in self._world.store.all(PODS):
            if _behind(stored.obj):
                self._soon(stored, 0)

    def _changed(self, event: Event) -> None:
        if event.type != "MODIFIED" or event.previous is None:
            return
        if _sizes(event.previous.obj["spec"]["containers"]) != _sizes(event.stored.obj["spec"]["containers"]):
            self._soon(event.stored, self._world.settings.start_delay)

    def _soon(self, stored: Stored, delay: float) -> None:
        self._world.later(delay, lambda: self._resize(stored))

    def _resize(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None or not _behind(current.obj) or current.obj["metadata"].get("deletionTimestamp"):
            return
        if not self._nodes.is_up(current.obj["spec"]["nodeName"]):
            self._soon(stored, RETRY_DELAY)
            return
        reason, message = self._scheduler.resize(current)
        conditions = [item for item in current.obj["status"].get("conditions") or () if item["type"] != PENDING]
        if reason:
            pending = with_conditions(conditions, condition(PENDING, "True", reason, message))
            self._world.set_status(current, conditions=pending)
            if reason == "Deferred":
                self._soon(stored, RETRY_DELAY)
            return
        sizes = _sizes(current.obj["spec"]["containers"])
        statuses = [
            {**status, "resources": sizes[status["name"]], "allocatedResources": sizes[status["name"]]["requests"]}
            for status in current.obj["status"]["containerStatuses"]
        ]
        self._world.set_status(current, conditions=conditions, containerStatuses=statuses)


def _behind(pod: Json) -> bool:
    has = _sizes((pod.get("status") or {}).get("containerStatuses") or ())
    asked = _sizes(pod["spec"]["containers"])
    return bool(pod["spec"].get("nodeName")) and any(has[name] and has[name] != asked[name] for name in has)


def _sizes(containers: list[Json] | tuple[Json, ...]) -> dict[str, Json]:
    return {container["name"]: container.get("resources") or {} for container in containers}
