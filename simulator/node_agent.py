"""The effect of CMP's node agent (`agent/`): what it tells of Pods and by its Leases, and in which order.

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
GATE = "cmp.io/Running"
LABELS = {"app.kubernetes.io/managed-by": "cmp", "instance-type": "container"}
NAMESPACE = "cmp-system"
COMPONENT = {"cmp.io/component": "node-agent"}
LOST = "MemoryLost"
MESSAGES = {
    "Frozen": "all of its processes stand still, with their memory kept",
    LOST: "a container ended while the Pod was suspended, and with it what it held in memory",
    "LivenessProbe": "it has a liveness probe, which would end it while it stands still",
}

# A condition's status and reason.
Told = tuple[str, str]


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
        if event.type != "DELETED":
            self._look_at(event.stored)

    def _look_at(self, stored: Stored) -> None:
        if _wanted(stored.obj):
            self._world.later(self._world.settings.node_agent_delay, lambda: self._settle(stored))

    def _settle(self, stored: Stored) -> None:
        """Freeze or thaw, and say so."""
        current = self._world.current(stored)
        if not self._world.settings.node_agent or current is None:
            return
        if not self._nodes.is_up(current.obj["spec"].get("nodeName") or ""):
            return
        wanted = _wanted(current.obj)
        if wanted:
            made = [condition(kind, *said, MESSAGES.get(said[1], "")) for kind, said in wanted.items()]
            self._world.set_status(current, conditions=with_conditions(current.obj["status"].get("conditions"), *made))


def _wanted(pod: Json) -> dict[str, Told]:
    """The conditions that are to change: those of a Pod on a node that bears CMP's labels, as the agent decides."""
    labels = pod["metadata"].get("labels") or {}
    if not pod["spec"].get("nodeName") or any(labels.get(key) != value for key, value in LABELS.items()):
        return {}
    asked = (pod["metadata"].get("annotations") or {}).get(FROZEN) == "true"
    probed = any("livenessProbe" in container for container in pod["spec"]["containers"])
    lost = _lost_memory(pod)
    told: dict[str, Told] = {GATE: ("True", "Running")}
    if asked and _running(pod) and not pod["metadata"].get("deletionTimestamp") and not probed and not lost:
        told = {GATE: ("False", "Suspended"), SUSPENDED: ("True", "Frozen")}
    elif asked and lost:
        told[SUSPENDED] = ("False", LOST)
    elif asked and probed:
        told[SUSPENDED] = ("False", "LivenessProbe")
    elif _condition(pod, SUSPENDED):
        told[SUSPENDED] = ("False", "Thawed")
    if all(gate["conditionType"] != GATE for gate in pod["spec"].get("readinessGates") or ()):
        del told[GATE]
    return {kind: said for kind, said in told.items() if _said(pod, kind) != said}


def _lost_memory(pod: Json) -> bool:
    """Whether a container has ended since it was frozen."""
    said = _condition(pod, SUSPENDED)
    if said.get("reason") == LOST or not has_condition(pod, SUSPENDED):
        return bool(said.get("reason") == LOST)
    since = said["lastTransitionTime"]
    return any("running" not in state or state["running"]["startedAt"] > since for state in _states(pod))


def _running(pod: Json) -> bool:
    states = _states(pod)
    return pod["status"].get("phase") == "Running" and bool(states) and all("running" in state for state in states)


def _states(pod: Json) -> list[Json]:
    return [status["state"] for status in pod["status"].get("containerStatuses") or ()]


def _said(pod: Json, kind: str) -> Told:
    said = _condition(pod, kind)
    return said.get("status", ""), said.get("reason", "")


def _condition(pod: Json, kind: str) -> Json:
    found = (each for each in pod["status"].get("conditions") or () if each["type"] == kind)
    return next(found, {})
