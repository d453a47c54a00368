"""The effect of CMP's node agent: Pods annotated as frozen are reported suspended, and the agent says it is alive.

Where the agent is switched off, nothing here happens: no Lease, no condition.
"""

from simulator.clock import micro_stamp
from simulator.errors import StatusError
from simulator.kubelet import SUSPENDED
from simulator.nodes import Nodes
from simulator.resources import LEASES, NAMESPACES, NODES, PODS
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World, condition, has_condition, with_conditions

FROZEN = "cmp.io/frozen"
NAMESPACE = "cmp-system"
COMPONENT = {"cmp.io/component": "node-agent"}


class NodeAgent:
    def __init__(self, world: World, nodes: Nodes) -> None:
        self._world = world
        self._nodes = nodes
        world.store.on(PODS, self._changed)

    def start(self) -> None:
        if self._world.settings.node_agent and self._world.store.get(NAMESPACES, ("", NAMESPACE)) is None:
            self._world.create(NAMESPACES, {"metadata": {"name": NAMESPACE}}, "kubectl-create")
        self._announce()
        for stored in self._world.store.all(PODS):
            self._look_at(stored)

    def _announce(self) -> None:
        """Renew one Lease per node that is up, while the agent is switched on."""
        for node in self._world.store.all(NODES) if self._world.settings.node_agent else ():
            name = node.key[1]
            if self._nodes.is_up(name):
                self._renew(name)
        self._world.clock.call_later(self._world.settings.lease_interval, self._announce)

    def _renew(self, node: str) -> None:
        now, name = micro_stamp(), f"cmp-node-agent-{node}"
        spec: Json = {"holderIdentity": node, "leaseDurationSeconds": 30, "renewTime": now}
        known = self._world.store.get(LEASES, (NAMESPACE, name))
        if known is not None:
            self._world.set_spec(known, renewTime=now, holderIdentity=node)
            return
        try:
            metadata = {"name": name, "namespace": NAMESPACE, "labels": dict(COMPONENT)}
            self._world.create(LEASES, {"metadata": metadata, "spec": {**spec, "acquireTime": now}}, "cmp-node-agent")
        except StatusError:
            return

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            return
        annotations = event.stored.obj["metadata"].get("annotations") or {}
        before = (event.previous.obj["metadata"].get("annotations") or {}) if event.previous else {}
        running = _running(event.stored.obj)
        was_running = event.previous is not None and _running(event.previous.obj)
        if annotations.get(FROZEN) != before.get(FROZEN) or (running and not was_running and FROZEN in annotations):
            self._look_at(event.stored)

    def _look_at(self, stored: Stored) -> None:
        if _wanted(stored.obj) != has_condition(stored.obj, SUSPENDED):
            self._world.later(self._world.settings.node_agent_delay, lambda: self._settle(stored))

    def _settle(self, stored: Stored) -> None:
        """Freeze or thaw, and say so."""
        current = self._world.current(stored)
        if not self._world.settings.node_agent or current is None:
            return
        if not self._nodes.is_up(current.obj["spec"].get("nodeName") or ""):
            return
        wanted = _wanted(current.obj)
        if wanted == has_condition(current.obj, SUSPENDED) or (wanted and not _running(current.obj)):
            return
        made = condition(SUSPENDED, "True" if wanted else "False", "Frozen" if wanted else "Thawed")
        conditions = with_conditions(current.obj["status"].get("conditions"), made)
        self._world.set_status(current, conditions=conditions)


def _wanted(pod: Json) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(FROZEN) == "true"


def _running(pod: Json) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("running" in status["state"] for status in statuses)
