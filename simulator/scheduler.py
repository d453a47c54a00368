"""Places Pods on nodes with finite room; what does not fit waits and is tried again when room appears."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from simulator.nodes import is_ready
from simulator.quantities import parse
from simulator.quota import pod_total
from simulator.resources import NODES, PODS
from simulator.selectors import Requirement, Selector
from simulator.store import Event, Stored
from simulator.types import Json, Key
from simulator.world import World, condition, with_conditions

RETRY_DELAY = 0.02


@dataclass(slots=True)
class Room:
    """What one node offers and what is taken."""

    obj: Json
    cpu: Decimal
    memory: Decimal
    pods: int
    taken: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    used_cpu: Decimal = Decimal(0)
    used_memory: Decimal = Decimal(0)

    def refusal(self, cpu: Decimal, memory: Decimal) -> str:
        if len(self.taken) >= self.pods:
            return "Too many pods"
        if self.used_cpu + cpu > self.cpu:
            return "Insufficient cpu"
        if self.used_memory + memory > self.memory:
            return "Insufficient memory"
        return ""

    def take(self, uid: str, cpu: Decimal, memory: Decimal) -> None:
        if uid not in self.taken:
            self.taken[uid] = (cpu, memory)
            self.used_cpu += cpu
            self.used_memory += memory

    def resize(self, uid: str, cpu: Decimal, memory: Decimal) -> tuple[str, str]:
        """Takes so much instead; or (reason, message) as the kubelet words it, and nothing changes."""
        if cpu > self.cpu or memory > self.memory:
            name, asked, whole = ("cpu", cpu, self.cpu) if cpu > self.cpu else ("memory", memory, self.memory)
            return "Infeasible", f"Node didn't have enough capacity: {name}, requested: {asked}, capacity: {whole}"
        had = self.taken.get(uid, (Decimal(0), Decimal(0)))
        for name, more, used, whole in (
            ("cpu", cpu - had[0], self.used_cpu, self.cpu),
            ("memory", memory - had[1], self.used_memory, self.memory),
        ):
            if more > 0 and used + more > whole:
                said = f"{name}, requested: {more}, used: {used}, capacity: {whole}"
                return "Deferred", f"Node didn't have enough resource: {said}"
        self.release(uid)
        self.take(uid, cpu, memory)
        return "", ""

    def release(self, uid: str) -> bool:
        if uid not in self.taken:
            return False
        cpu, memory = self.taken.pop(uid)
        self.used_cpu -= cpu
        self.used_memory -= memory
        return True


class Scheduler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._rooms: dict[str, Room] = {}
        self._waiting: dict[Key, Stored] = {}
        self._retrying = False
        world.store.on(NODES, self._node_changed)
        world.store.on(PODS, self._pod_changed)

    def resume(self) -> None:
        for stored in self._world.store.all(NODES):
            self._measure(stored)
        for stored in self._world.store.all(PODS):
            self._consider(stored)

    def bind(self, stored: Stored, node: str) -> Stored:
        """Put a Pod on a node, in one write."""
        obj = {**stored.obj, "metadata": dict(stored.obj["metadata"])}
        obj["spec"] = {**obj["spec"], "nodeName": node}
        conditions = with_conditions(obj["status"].get("conditions"), condition("PodScheduled", "True"))
        obj["status"] = {**obj["status"], "conditions": conditions}
        bound = self._world.store.put(PODS, obj)
        text = f"Successfully assigned {stored.key[0]}/{stored.key[1]} to {node}"
        self._world.record(bound, "Scheduled", text, "default-scheduler")
        return bound

    def resize(self, stored: Stored) -> tuple[str, str]:
        """Room for the size that a Pod on a node asks for by now; or (reason, message) why there is none."""
        return self._rooms[stored.obj["spec"]["nodeName"]].resize(stored.uid, *_needs(stored.obj["spec"]))

    def _pod_changed(self, event: Event) -> None:
        stored, spec = event.stored, event.stored.obj["spec"]
        ended = (stored.obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if event.type == "DELETED" or ended:
            self._waiting.pop(stored.key, None)
            room = self._rooms.get(spec.get("nodeName", ""))
            if room and room.release(stored.uid):
                self._retry_soon()
        elif event.type == "ADDED" or (event.previous and event.previous.obj["spec"] != spec):
            self._consider(stored)

    def _consider(self, stored: Stored) -> None:
        spec = stored.obj["spec"]
        if (stored.obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return
        if node := spec.get("nodeName"):
            self._waiting.pop(stored.key, None)
            if node in self._rooms:
                self._rooms[node].take(stored.uid, *_needs(spec))
        elif not spec.get("schedulingGates"):
            self._world.later(self._world.settings.schedule_delay, lambda: self._place(stored))

    def _place(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None or current.obj["spec"].get("nodeName"):
            return
        if current.obj["metadata"].get("deletionTimestamp"):
            return
        cpu, memory = _needs(current.obj["spec"])
        repelled = self._repelled(current)
        refusals: Counter[str] = Counter()
        best: tuple[int, str] | None = None
        for name, room in self._rooms.items():
            why = _unsuitable(room.obj, current.obj["spec"]) or repelled.get(name) or room.refusal(cpu, memory)
            if why:
                refusals[why] += 1
            elif best is None or (len(room.taken), name) < best:
                best = (len(room.taken), name)
        if best is not None:
            self.bind(current, best[1])
        else:
            self._refuse(current, refusals)

    def _repelled(self, stored: Stored) -> dict[str, str]:
        """Nodes with a Pod that this one must not be beside: required anti-affinity by labels, for each host."""
        affinity = (stored.obj["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
        found: dict[str, str] = {}
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            labels = (term.get("labelSelector") or {}).get("matchLabels") or {}
            wanted = Selector(tuple(Requirement(key, "in", frozenset({value})) for key, value in labels.items()))
            for pod in self._world.store.collections[PODS].select(stored.key[0], wanted):
                if pod.uid != stored.uid and pod.obj["status"].get("phase") not in ("Succeeded", "Failed"):
                    found[pod.obj["spec"].get("nodeName", "")] = "node(s) didn't match pod anti-affinity rules"
        return found

    def _refuse(self, stored: Stored, refusals: Counter[str]) -> None:
        total = len(self._rooms)
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(refusals.items()))
        text = f"0/{total} nodes are available: {reasons}." if total else "no nodes available to schedule pods"
        self._waiting[stored.key] = stored
        conditions = stored.obj["status"].get("conditions")
        if any(item["type"] == "PodScheduled" and item.get("message") == text for item in conditions or ()):
            return
        refused = condition("PodScheduled", "False", "Unschedulable", text)
        self._world.record(stored, "FailedScheduling", text, "default-scheduler", "Warning")
        self._waiting[stored.key] = self._world.set_status(stored, conditions=with_conditions(conditions, refused))

    def _node_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._rooms.pop(event.stored.key[1], None)
            return
        self._measure(event.stored)
        self._retry_soon()

    def _measure(self, stored: Stored) -> None:
        offered = (stored.obj.get("status") or {}).get("allocatable") or {}
        cpu, memory = parse(offered.get("cpu", "0")), parse(offered.get("memory", "0"))
        pods = int(parse(offered.get("pods", "0")))
        known = self._rooms.get(stored.key[1])
        if known is None:
            self._rooms[stored.key[1]] = Room(stored.obj, cpu, memory, pods)
        else:
            known.obj, known.cpu, known.memory, known.pods = stored.obj, cpu, memory, pods

    def _retry_soon(self) -> None:
        if self._waiting and not self._retrying:
            self._retrying = True
            self._world.later(RETRY_DELAY, self._retry)

    def _retry(self) -> None:
        self._retrying = False
        for stored in tuple(self._waiting.values()):
            self._place(stored)


def _needs(spec: Json) -> tuple[Decimal, Decimal]:
    return pod_total(spec, "requests", "cpu"), pod_total(spec, "requests", "memory")


def _unsuitable(node: Json, pod: Json) -> str:
    """Why this Pod may not go to this node at all; empty when it may."""
    spec = node.get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (pod.get("nodeSelector") or {}).items()):
        return "node(s) didn't match Pod's node affinity/selector"
    if spec.get("unschedulable"):
        return "node(s) were unschedulable"
    for taint in spec.get("taints") or ():
        if taint.get("effect") == "NoSchedule" and not _tolerates(pod, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not is_ready(node):
        return "node(s) were not ready"
    return ""


def _tolerates(pod: Json, taint: Json) -> bool:
    for toleration in pod.get("tolerations") or ():
        same_key = toleration.get("key") in (None, "", taint["key"])
        same_effect = toleration.get("effect") in (None, "", taint["effect"])
        same_value = toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
        if same_key and same_effect and same_value:
            return True
    return False
