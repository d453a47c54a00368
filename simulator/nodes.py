"""The simulated nodes: made at start, lost and found on demand, and what their loss does to the Pods on them.

A lost node is told as kube-controller-manager tells it: Ready Unknown, a taint, and after their toleration the Pods on
it are marked for deletion, which nobody on the node carries out until it is back or the Pods are forced away.
"""

from simulator.clock import stamp
from simulator.quantities import parse
from simulator.resources import NODES, PODS
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World, condition, with_conditions

UNREACHABLE = "node.kubernetes.io/unreachable"
VERSION = "v1.36.2"


class Nodes:
    def __init__(self, world: World) -> None:
        self._world = world
        self._pods: dict[str, dict[str, Stored]] = {}
        """Pods by node and uid."""
        world.store.on(PODS, self._pod_changed)

    def populate(self) -> None:
        """Make the nodes that are missing."""
        for number in range(self._world.settings.nodes):
            name = f"node-{number + 1}"
            if self._world.store.get(NODES, ("", name)) is None:
                shape = self._world.settings.node_shape
                self.add(name, shape.cpu, shape.memory, shape.pods)
        for stored in self._world.store.all(PODS):
            self._remember(stored)

    def add(self, name: str, cpu: str, memory: str, pods: int) -> None:
        amounts = {"cpu": cpu, "memory": memory, "pods": str(pods), "ephemeral-storage": "1Ti"}
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubevirt.io/schedulable": "true",
        }
        address = f"10.0.0.{len(self._world.store.all(NODES)) + 10}"
        obj: Json = {"metadata": {"name": name, "labels": labels}, "spec": {"podCIDR": "10.244.0.0/16"}}
        stored = self._world.create(NODES, obj, "kubelet")
        self._world.set_status(
            stored,
            capacity=amounts,
            allocatable=amounts,
            addresses=[{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            conditions=[condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")],
            nodeInfo={
                "kubeletVersion": VERSION, "kubeProxyVersion": "", "osImage": "simulated", "architecture": "amd64",
                "kernelVersion": "6.0", "containerRuntimeVersion": "simulated://1", "operatingSystem": "linux",
                "machineID": name, "systemUUID": name, "bootID": name,
            },
        )  # fmt: skip

    def resize(self, name: str, amounts: dict[str, str]) -> Stored | None:
        """Change what a node offers, so that Pods stop fitting or fit again."""
        for value in amounts.values():
            parse(value)
        found = self._world.store.get(NODES, ("", name))
        if found is None:
            return None
        offered = {**found.obj["status"]["allocatable"], **amounts}
        return self._world.set_status(found, capacity=offered, allocatable=offered)

    def down(self, name: str) -> Stored | None:
        found = self._world.store.get(NODES, ("", name))
        if found is None or not self.is_up(name):
            return found
        text = "Kubelet stopped posting node status."
        unknown = condition("Ready", "Unknown", "NodeStatusUnknown", text)
        taint = {"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": stamp()}
        taints = [*((found.obj.get("spec") or {}).get("taints") or ()), taint, {**taint, "effect": "NoSchedule"}]
        obj = {**found.obj, "metadata": dict(found.obj["metadata"]), "spec": {**found.obj["spec"], "taints": taints}}
        obj["status"] = {**obj["status"], "conditions": with_conditions(obj["status"]["conditions"], unknown)}
        stored = self._world.store.put(NODES, obj)
        for pod in tuple(self._pods.get(name, {}).values()):
            self._lose(pod)
        return stored

    def up(self, name: str) -> Stored | None:
        found = self._world.store.get(NODES, ("", name))
        if found is None or self.is_up(name):
            return found
        ready = condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        taints = [taint for taint in found.obj["spec"].get("taints") or () if taint["key"] != UNREACHABLE]
        spec = {**{key: value for key, value in found.obj["spec"].items() if key != "taints"}}
        if taints:
            spec["taints"] = taints
        obj = {**found.obj, "metadata": dict(found.obj["metadata"]), "spec": spec}
        obj["status"] = {**obj["status"], "conditions": with_conditions(obj["status"]["conditions"], ready)}
        return self._world.store.put(NODES, obj)

    def is_up(self, name: str) -> bool:
        found = self._world.store.get(NODES, ("", name))
        return found is not None and is_ready(found.obj)

    def pods_on(self, name: str) -> list[Stored]:
        return list(self._pods.get(name, {}).values())

    def _pod_changed(self, event: Event) -> None:
        node = event.stored.obj["spec"].get("nodeName")
        if not node:
            return
        if event.type == "DELETED":
            self._pods.get(node, {}).pop(event.stored.uid, None)
        else:
            self._remember(event.stored)

    def _remember(self, stored: Stored) -> None:
        node = stored.obj["spec"].get("nodeName")
        if node:
            self._pods.setdefault(node, {})[stored.uid] = stored

    def _lose(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None:
            return
        node = current.obj["spec"]["nodeName"]
        conditions = with_conditions(current.obj["status"].get("conditions"), condition("Ready", "False"))
        current = self._world.set_status(current, conditions=conditions)
        wait = _toleration(current.obj["spec"])
        if wait is not None:
            delay = wait * self._world.settings.toleration_scale
            self._world.later(delay, lambda: self._evict(stored, node))

    def _evict(self, stored: Stored, node: str) -> None:
        current = self._world.current(stored)
        if current is None or self.is_up(node) or current.obj["metadata"].get("deletionTimestamp"):
            return
        text = f"Taint manager: deleting due to NoExecute taint {UNREACHABLE}:NoExecute"
        target = condition("DisruptionTarget", "True", "DeletionByTaintManager", text)
        conditions = with_conditions(current.obj["status"].get("conditions"), target)
        self._world.record(current, "TaintManagerEviction", "Marking for deletion Pod", "taint-eviction-controller")
        self._world.delete(self._world.set_status(current, conditions=conditions))


def is_ready(node: Json) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _toleration(spec: Json) -> float | None:
    """Seconds a Pod stays on a lost node; None for ever; 0 when it tolerates nothing."""
    waits: list[float | None] = [
        toleration.get("tolerationSeconds")
        for toleration in spec.get("tolerations") or ()
        if toleration.get("key") in (UNREACHABLE, None, "") and toleration.get("effect") in ("NoExecute", None, "")
    ]
    if not waits:
        return 0.0
    known = [wait for wait in waits if wait is not None]
    return min(known) if known else None
