"""virt-controller and virt-handler for one running machine: its launcher Pod, its phases, its end.

Told by annotations on the instance (set them in the VM's template): `simulator/crash: start` fails before running, any
other value fails a running guest; `simulator/shutdown: "true"` lets it shut itself down;
`simulator/ignore-shutdown: "true"` makes the guest ignore ACPI until it is killed.
Source: kubevirt pkg/virt-controller/watch/vmi and services/template.go at v1.9.0.
"""

from decimal import Decimal

from simulator.clock import stamp
from simulator.defaults import random_suffix
from simulator.deletes import DeleteOptions
from simulator.errors import StatusError
from simulator.quantities import parse, render
from simulator.resources import PODS, VIRTUAL_MACHINE_INSTANCES
from simulator.selectors import Requirement, Selector
from simulator.store import Event, Stored
from simulator.types import Json, Key
from simulator.world import World, condition, has_condition, with_conditions

FINALIZERS = (
    "kubevirt.io/virtualMachineControllerFinalize",
    "kubevirt.io/foregroundDeleteVirtualMachine",
    "foregroundDeleteVirtualMachine",
)
CREATED_BY = "kubevirt.io/created-by"
CRASH, SHUTDOWN, IGNORE_SHUTDOWN = "simulator/crash", "simulator/shutdown", "simulator/ignore-shutdown"
FINAL = ("Succeeded", "Failed")
RETRY_DELAY = 0.5
MANAGER = "virt-controller"


class VirtualMachineInstances:
    def __init__(self, world: World) -> None:
        self._world = world
        self._queued: set[Key] = set()
        world.store.on(VIRTUAL_MACHINE_INSTANCES, self._changed)
        world.store.on(PODS, self._pod_changed)

    def resume(self) -> None:
        for stored in self._world.store.all(VIRTUAL_MACHINE_INSTANCES):
            self._soon(stored.key)
            if (stored.obj.get("status") or {}).get("phase") == "Scheduled":
                self._world.later(self._world.settings.guest_boot_delay, lambda stored=stored: self._boot(stored))  # type: ignore[misc]

    def _changed(self, event: Event) -> None:
        if event.type != "DELETED":
            self._soon(event.stored.key)

    def _pod_changed(self, event: Event) -> None:
        labels = event.stored.obj["metadata"].get("labels") or {}
        if CREATED_BY in labels:
            self._soon((event.stored.key[0], labels["vm.kubevirt.io/name"]))

    def _soon(self, key: Key, delay: float = 0.0) -> None:
        if key not in self._queued:
            self._queued.add(key)
            self._world.later(delay, lambda: self._sync(key))

    def _sync(self, key: Key) -> None:
        self._queued.discard(key)
        stored = self._world.store.get(VIRTUAL_MACHINE_INSTANCES, key)
        if stored is None:
            return
        phase = (stored.obj.get("status") or {}).get("phase", "")
        pod = self._launcher(stored)
        if stored.obj["metadata"].get("deletionTimestamp"):
            self._end(stored, pod, phase)
        elif phase in FINAL:
            if pod is not None and not pod.obj["metadata"].get("deletionTimestamp"):
                self._world.delete(pod)
        elif phase in ("", "Pending"):
            self._launch(stored, pod)
        elif phase == "Scheduling":
            self._follow(stored, pod)
        elif pod is None or pod.obj["status"].get("phase") in FINAL:
            self._finish(stored, "Failed")
        elif phase == "Running" and _told(stored, CRASH) not in ("", "start"):
            self._world.later(self._world.settings.crash_after, lambda: self._over(stored, "Failed"))
        elif phase == "Running" and _told(stored, SHUTDOWN):
            self._world.later(self._world.settings.crash_after, lambda: self._over(stored, "Succeeded"))

    def _launch(self, stored: Stored, pod: Stored | None) -> None:
        if pod is None:
            try:
                pod = self._world.create(PODS, launcher_pod(stored), MANAGER)
            except StatusError as error:
                text = f"failed to create virtual machine pod: {error}"
                refused = condition("Synchronized", "False", "FailedCreate", text)
                self._set(stored, "Pending", refused)
                self._world.record(stored, "FailedCreate", f"Error creating pod: {error}", MANAGER, "Warning")
                self._soon(stored.key, RETRY_DELAY)
                return
            text = f"Created virtual machine pod {pod.key[1]}"
            self._world.record(stored, "SuccessfulCreate", text, MANAGER)
        self._set(stored, "Scheduling", remove=("Synchronized",))

    def _follow(self, stored: Stored, pod: Stored | None) -> None:
        """Read the launcher's state into the instance until it runs."""
        if pod is None or pod.obj["status"].get("phase") in FINAL:
            self._finish(stored, "Failed")
            return
        if pod.obj["status"].get("phase") == "Running" and has_condition(pod.obj, "ContainersReady"):
            node = pod.obj["spec"]["nodeName"]
            self._set(stored, "Scheduled", remove=("PodScheduled", "Synchronized"), nodeName=node)
            self._world.later(self._world.settings.guest_boot_delay, lambda: self._boot(stored))
            return
        made = [item for item in pod.obj["status"].get("conditions") or () if item["type"] == "PodScheduled"]
        if made and made[0]["status"] == "False":
            self._set(stored, "Scheduling", made[0])
            return
        for status in pod.obj["status"].get("containerStatuses") or ():
            waiting = status["state"].get("waiting") or {}
            if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
                reason = "ImagePullBackOff" if waiting["reason"] == "InvalidImageName" else waiting["reason"]
                self._set(stored, "Scheduling", condition("Synchronized", "False", reason, waiting.get("message", "")))
                return

    def _boot(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None or (current.obj.get("status") or {}).get("phase") != "Scheduled":
            return
        if _told(current, CRASH) == "start":
            self._finish(current, "Failed")
            return
        pod = self._launcher(current)
        address = pod.obj["status"].get("podIP", "") if pod else ""
        guest = ((current.obj["spec"].get("domain") or {}).get("memory") or {}).get("guest", "0")
        conditions = [condition("Ready", "True"), _migratable(current.obj["spec"])]
        if current.obj["spec"].get("startStrategy") == "Paused":
            conditions.append(_paused())
        self._set(
            current,
            "Running",
            *conditions,
            interfaces=[{"name": "default", "ipAddress": address, "ipAddresses": [address]}],
            memory={"guestAtBoot": guest, "guestCurrent": guest, "guestRequested": guest, "memoryOverhead": "280Mi"},
            activePods={pod.uid: current.obj["status"].get("nodeName", "")} if pod else None,
            qosClass="Burstable",
        )
        self._world.record(current, "Started", "VirtualMachineInstance started.", "virt-handler")
        self._world.later(self._world.settings.guest_agent_delay, lambda: self._connect_agent(stored))

    def _connect_agent(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is not None and (current.obj.get("status") or {}).get("phase") == "Running":
            self._set(current, "Running", condition("AgentConnected", "True"))

    def _over(self, stored: Stored, phase: str) -> None:
        current = self._world.current(stored)
        if current is not None and (current.obj.get("status") or {}).get("phase") == "Running":
            self._finish(current, phase)

    def _end(self, stored: Stored, pod: Stored | None, phase: str) -> None:
        """Shut the guest down, then let the launcher go, then the instance."""
        if pod is None:
            if phase not in FINAL:
                stored = self._finish(stored, "Failed" if _told(stored, IGNORE_SHUTDOWN) else "Succeeded")
            self._world.later(self._world.settings.vmi_removal_delay, lambda: self._forget(stored))
            return
        if pod.obj["metadata"].get("deletionTimestamp") and grace_of(stored) > 0:
            return
        settings = self._world.settings
        grace = grace_of(stored)
        stubborn = bool(_told(stored, IGNORE_SHUTDOWN))
        delay = grace * settings.grace_scale if stubborn else min(settings.guest_stop_delay, grace)
        if phase in ("", "Pending", "Scheduling"):
            delay = 0.0
        self._world.later(delay, lambda: self._stop_launcher(pod, 0 if grace == 0 else None))

    def _stop_launcher(self, pod: Stored, grace: int | None) -> None:
        current = self._world.current(pod)
        if current is not None:
            self._world.deletes.delete(current, DeleteOptions(grace=grace, uid=current.uid))

    def _forget(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is not None and current.obj["metadata"].get("deletionTimestamp"):
            self._world.drop_finalizer(current, *FINALIZERS)

    def _finish(self, stored: Stored, phase: str) -> Stored:
        ready = condition("Ready", "False", "GuestNotRunning", "Guest VM is not reported as running")
        return self._set(stored, phase, ready, remove=("AgentConnected", "Paused", "LiveMigratable"))

    def _set(
        self, stored: Stored, phase: str, *conditions: Json, remove: tuple[str, ...] = (), **fields: object
    ) -> Stored:
        current = self._world.current(stored) or stored
        status = current.obj.get("status") or {}
        kept = [item for item in status.get("conditions") or () if item["type"] not in remove]
        times = list(status.get("phaseTransitionTimestamps") or ())
        if not any(item["phase"] == phase for item in times):
            times.append({"phase": phase, "phaseTransitionTimestamp": stamp()})
        written = {"conditions": with_conditions(kept, *conditions), "phaseTransitionTimestamps": times, **fields}
        return self._world.set_status(current, phase=phase, **written)

    def _launcher(self, stored: Stored) -> Stored | None:
        return launcher_of(self._world, stored)


def launcher_of(world: World, instance: Stored) -> Stored | None:
    """The Pod that it runs in: on its node, where it has been or is to be on another one."""
    wanted = Selector((Requirement(CREATED_BY, "in", frozenset({instance.uid})),))
    found = list(world.store.collections[PODS].select(instance.key[0], wanted))
    node = (instance.obj.get("status") or {}).get("nodeName")
    return next((pod for pod in found if node and pod.obj["spec"].get("nodeName") == node), next(iter(found), None))


def grace_of(instance: Stored) -> int:
    """Seconds a guest has to shut down."""
    return int(instance.obj["spec"].get("terminationGracePeriodSeconds", 30))


def set_paused(world: World, instance: Stored, paused: bool) -> None:
    """What virt-handler reports shortly after the guest was paused or resumed."""
    current = world.current(instance)
    if current is None or (current.obj.get("status") or {}).get("phase") != "Running":
        return
    conditions = current.obj["status"].get("conditions") or []
    kept = [item for item in conditions if item["type"] != "Paused"]
    world.set_status(current, conditions=[*kept, _paused()] if paused else kept)


def _paused() -> Json:
    return condition("Paused", "True", "PausedByUser", "VMI was paused by user")


def _migratable(spec: Json) -> Json:
    """Every claim counts as one that only one node can write to."""
    names = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in spec.get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    ]
    if not names:
        return condition("LiveMigratable", "True")
    text = (
        f"cannot migrate VMI: PVC {names[0]} is not shared, live migration requires that all PVCs must be shared "
        "(using ReadWriteMany access mode)"
    )
    return condition("LiveMigratable", "False", "DisksNotLiveMigratable", text)


def _told(stored: Stored, annotation: str) -> str:
    return str((stored.obj["metadata"].get("annotations") or {}).get(annotation, ""))


def launcher_pod(stored: Stored) -> Json:
    spec = stored.obj["spec"]
    namespace, name = stored.key
    owner = {
        "apiVersion": VIRTUAL_MACHINE_INSTANCES.api_version,
        "kind": VIRTUAL_MACHINE_INSTANCES.kind,
        "name": name,
        "uid": stored.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = {
        **(stored.obj["metadata"].get("labels") or {}),
        "kubevirt.io": "virt-launcher",
        CREATED_BY: stored.uid,
        "vm.kubevirt.io/name": name,
    }
    compute = {"name": "compute", "image": "kubevirt/virt-launcher:v1.9.0", "resources": _needs(spec)}
    disks = [
        {"name": f"volume{volume['name']}"[:63], "image": volume["containerDisk"]["image"]}
        for volume in spec.get("volumes") or ()
        if volume.get("containerDisk")
    ]
    return {
        "metadata": {
            "name": f"virt-launcher-{name[:200]}-{random_suffix()}",
            "namespace": namespace,
            "labels": labels,
            "annotations": {"kubevirt.io/domain": name},
            "ownerReferences": [owner],
        },
        "spec": {
            "containers": [compute, *disks],
            **_console_log(spec),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": grace_of(stored) + 30,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": {"kubevirt.io/schedulable": "true", **(spec.get("nodeSelector") or {})},
        },
    }


def _console_log(spec: Json) -> Json:
    """What reads the serial console into a log, unless the machine wants none."""
    devices = (spec.get("domain") or {}).get("devices") or {}
    if devices.get("autoattachSerialConsole") is False or devices.get("logSerialConsole") is False:
        return {}
    image = "kubevirt/virt-launcher:v1.9.0"
    return {"initContainers": [{"name": "guest-console-log", "image": image, "restartPolicy": "Always"}]}


def _needs(spec: Json) -> Json:
    """What the launcher asks for: a tenth of a core per vCPU unless said, the guest's memory and its overhead."""
    domain = spec.get("domain") or {}
    asked = (domain.get("resources") or {}).get("requests") or {}
    cpu = domain.get("cpu") or {}
    virtual = int(cpu.get("sockets", 1)) * int(cpu.get("cores", 1)) * int(cpu.get("threads", 1))
    memory = parse(asked.get("memory") or (domain.get("memory") or {}).get("guest") or "1Gi")
    overhead = Decimal(2**20) * (25 + 100 + 25 + 40 + 30 + 8 * virtual + 8 + 32) + memory / 512
    total = Decimal(int(memory + overhead) // 2**10 * 2**10)
    requests = {
        "cpu": asked.get("cpu") or f"{100 * virtual}m",
        "memory": render(total, "Ki"),
        "ephemeral-storage": "50M",
    }
    limits = (domain.get("resources") or {}).get("limits") or {}
    needs: Json = {"requests": requests}
    if limits.get("cpu"):
        needs["limits"] = {"cpu": limits["cpu"]}
    return needs
