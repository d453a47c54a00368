"""virt-controller and virt-handler for a machine's move to another node: a second launcher, the hand-over, its end.

Source: kubevirt pkg/virt-controller/watch/migration and pkg/virt-handler at v1.9.0. Seen on the real
one: after a move the old launcher stays, Succeeded; without a second node the target stays Unschedulable.
"""

from simulator.admission import MIGRATION_FINALIZER
from simulator.clock import stamp
from simulator.errors import StatusError
from simulator.resources import MIGRATIONS, PODS, VIRTUAL_MACHINE_INSTANCES
from simulator.selectors import Requirement, Selector
from simulator.store import Event, Stored
from simulator.types import Json, Key
from simulator.virtual_machine_instances import CREATED_BY, launcher_of, launcher_pod
from simulator.world import World, condition, has_condition

JOB = "kubevirt.io/migrationJobUID"
FINAL = ("Succeeded", "Failed")
MANAGER = "virt-controller"
RETRY_DELAY = 0.5


class Migrations:
    def __init__(self, world: World) -> None:
        self._world = world
        self._queued: set[Key] = set()
        world.store.on(MIGRATIONS, self._changed)
        world.store.on(PODS, self._pod_changed)
        world.store.on(VIRTUAL_MACHINE_INSTANCES, self._instance_changed)

    def resume(self) -> None:
        for stored in self._world.store.all(MIGRATIONS):
            self._soon(stored.key)

    def _changed(self, event: Event) -> None:
        if event.type != "DELETED":
            self._soon(event.stored.key)

    def _pod_changed(self, event: Event) -> None:
        job = (event.stored.obj["metadata"].get("labels") or {}).get(JOB)
        for stored in self._world.store.all(MIGRATIONS, event.stored.key[0]) if job else ():
            if stored.uid == job:
                self._soon(stored.key)

    def _instance_changed(self, event: Event) -> None:
        for stored in self._world.store.all(MIGRATIONS, event.stored.key[0]):
            if stored.obj["spec"].get("vmiName") == event.stored.key[1]:
                self._soon(stored.key)

    def _soon(self, key: Key) -> None:
        if key not in self._queued:
            self._queued.add(key)
            self._world.later(self._world.settings.vm_delay, lambda: self._sync(key))

    def _sync(self, key: Key) -> None:
        self._queued.discard(key)
        stored = self._world.store.get(MIGRATIONS, key)
        if stored is None:
            return
        phase = (stored.obj.get("status") or {}).get("phase", "")
        instance = self._world.store.get(VIRTUAL_MACHINE_INSTANCES, (key[0], stored.obj["spec"]["vmiName"]))
        target = self._target(stored)
        if phase in FINAL:
            self._world.drop_finalizer(stored, MIGRATION_FINALIZER)
        elif instance is None or _over(instance) or stored.obj["metadata"].get("deletionTimestamp"):
            self._fail(stored, target)
        elif phase == "":
            self._enter(stored, "Pending")
        elif phase == "Pending":
            self._launch(stored, instance, target)
        elif target is None or target.obj["status"].get("phase") in FINAL:
            self._fail(stored, None)
        elif phase == "Scheduling" and has_condition(target.obj, "ContainersReady"):
            self._hand_over(stored, instance, target)

    def _launch(self, stored: Stored, instance: Stored, target: Stored | None) -> None:
        if target is None:
            pod = launcher_pod(instance)
            pod["metadata"]["labels"][JOB] = stored.uid
            labels = {"matchLabels": {CREATED_BY: instance.uid}}
            elsewhere = [{"labelSelector": labels, "topologyKey": "kubernetes.io/hostname"}]
            pod["spec"]["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": elsewhere}}
            try:
                self._world.create(PODS, pod, MANAGER)
            except StatusError:
                rejected = condition("migrationRejectedByResourceQuota", "True")
                self._enter(stored, "Pending", conditions=[rejected])
                self._world.later(RETRY_DELAY, lambda: self._soon(stored.key))
                return
        self._enter(stored, "Scheduling")

    def _hand_over(self, stored: Stored, instance: Stored, target: Stored) -> None:
        """The memory is copied while the guest runs, which takes a while."""
        node = target.obj["spec"]["nodeName"]
        state = {
            "migrationUid": stored.uid,
            "sourceNode": instance.obj["status"].get("nodeName", ""),
            "targetNode": node,
            "targetPod": target.key[1],
            "startTimestamp": stamp(),
        }
        self._world.set_status(instance, migrationState=state)
        self._enter(stored, "Running")
        self._world.later(self._world.settings.migration_delay, lambda: self._finish(stored, instance, target, state))

    def _finish(self, stored: Stored, instance: Stored, target: Stored, state: Json) -> None:
        now, there, machine = (self._world.current(each) for each in (stored, target, instance))
        if now is None or there is None or machine is None or now.obj["status"]["phase"] != "Running":
            return
        source = launcher_of(self._world, machine)
        done = {**state, "completed": True, "endTimestamp": stamp()}
        address = there.obj["status"].get("podIP", "")
        self._world.set_status(
            machine,
            nodeName=state["targetNode"],
            migrationState=done,
            activePods={there.uid: state["targetNode"]},
            interfaces=[{"name": "default", "ipAddress": address, "ipAddresses": [address]}],
        )
        if source is not None and source.uid != there.uid:
            self._world.set_status(source, phase="Succeeded")
        self._enter(now, "Succeeded", migrationState=done)

    def _fail(self, stored: Stored, target: Stored | None) -> None:
        if target is not None and not target.obj["metadata"].get("deletionTimestamp"):
            self._world.delete(target, 0)
        self._enter(stored, "Failed")

    def _enter(self, stored: Stored, phase: str, **fields: object) -> None:
        current = self._world.current(stored)
        if current is not None:
            self._world.set_status(current, phase=phase, **fields)

    def _target(self, stored: Stored) -> Stored | None:
        wanted = Selector((Requirement(JOB, "in", frozenset({stored.uid})),))
        return next(iter(self._world.store.collections[PODS].select(stored.key[0], wanted)), None)


def _over(instance: Stored) -> bool:
    return (instance.obj.get("status") or {}).get("phase") in FINAL
