"""A virtual machine instance: a KubeVirt VirtualMachine, and the VirtualMachineInstance that KubeVirt makes to run it.

`spec.runStrategy` is ours alone, set by server-side apply; the start and stop subresources would fight over it.
Source of the states: kubevirt pkg/virt-controller/watch/vm/vm.go, `setPrintableStatus`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.instance_types import doors, machine_manifest, migration, objects, reading
from app.instance_types.values import (
    ClusterRef,
    Door,
    InstanceSpec,
    KubeCall,
    Object,
    Observed,
    Surroundings,
    instance_annotations,
    instance_labels,
)
from app.models import InstanceOperation, InstanceStatus, InstanceType, Reason, Wanted
from app.rules.reach import Logs, Screenshot, Way

KIND = "VirtualMachine"
RUNNING_KIND = "VirtualMachineInstance"
LAUNCHER_KIND = "Pod"
# A VMI's deletionTimestamp is when deletion was asked for: its grace and KubeVirt's own padding come on top.
STUCK_SECONDS = machine_manifest.GRACE_SECONDS + 60

_VOLUME = ("ErrorPvcNotFound", "DataVolumeError", "WaitingForVolumeBinding")


class VirtualMachine:
    instance_type = InstanceType.VM
    kind = KIND
    watches: Mapping[str, tuple[str, ...]] = {
        KIND: (
            "metadata.generation", "spec.runStrategy", "spec.template.spec.domain.resources",
            "spec.template.spec.domain.memory", "status.printableStatus", "status.created",
            "status.observedGeneration", "status.startFailure", "status.conditions",
        ),
        RUNNING_KIND: (
            "spec.terminationGracePeriodSeconds", "spec.domain.resources", "spec.domain.memory", "status.phase",
            "status.nodeName", "status.interfaces", "status.conditions", "status.guestOSInfo", "status.migrationState",
        ),
        LAUNCHER_KIND: (
            "status.phase", "status.containerStatuses", "status.initContainerStatuses", "status.conditions",
        ),
        migration.KIND: migration.FIELDS,
    }  # fmt: skip
    kept_when_stopped = True
    reached: tuple[str, ...] = (KIND, RUNNING_KIND, LAUNCHER_KIND)
    launched = True

    def manifest(self, spec: InstanceSpec) -> dict[str, Any]:
        labels, annotations = instance_labels(spec), instance_annotations(spec) | machine_manifest.rerun(spec)
        settings = spec.settings
        named = {kind: {"name": settings[kind]} for kind in ("instancetype", "preference") if settings.get(kind)}
        imported = machine_manifest.data_volume_templates(spec)
        return {
            "apiVersion": "kubevirt.io/v1",
            "kind": KIND,
            "metadata": {
                "name": spec.name,
                "namespace": spec.cluster.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "spec": {
                "runStrategy": machine_manifest.run_strategy(spec),
                **named,
                **({"dataVolumeTemplates": imported} if imported else {}),
                "template": {
                    "metadata": {"labels": dict(labels), "annotations": dict(annotations)},
                    "spec": machine_manifest.machine_spec(spec),
                },
            },
        }

    def shared(
        self, cluster: ClusterRef, settings: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> Sequence[dict[str, Any]]:
        """KubeVirt reads `userdata` and `networkdata`; a guest without user data of its own still learns its keys."""
        given = secrets.get("cloud_init") or {}
        keys = settings.get("ssh_keys") or []
        made = []
        if given or keys:
            data = {"userdata": given.get("user_data") or "#cloud-config\n{}\n"}
            data |= {"networkdata": given["network_data"]} if "network_data" in given else {}
            made.append(objects.secret(cluster, "cloudinit", data))
        if keys:
            made.append(objects.secret(cluster, "ssh", {f"key{n}": key for n, key in enumerate(keys, 1)}))
        if secrets.get("registry"):
            made.append(objects.registry_secret(cluster, settings["registry"], secrets["registry"]))
        if settings.get("ports"):
            made.append(objects.service(cluster, settings["ports"]))
        return made

    def status_of(self, objects: Mapping[str, Object], around: Surroundings) -> Observed:
        return _Reading(objects, around).observed()

    def calls_for(
        self, operation: InstanceOperation, spec: InstanceSpec, observed: Observed | None
    ) -> Sequence[KubeCall]:
        if operation is InstanceOperation.START:
            ended = observed is not None and observed.ended is not None
            return (self._apply(spec, Wanted.RUNNING), *(_end_run(spec, observed) if ended else ()))
        if operation is InstanceOperation.STOP:
            if observed is not None and observed.reason is Reason.TERMINATION_STUCK:
                return (_end_within(spec, 0),)
            calls = (*_awake(spec, observed), self._apply(spec, Wanted.STOPPED))
            return calls if spec.grace is None else (*calls, _end_within(spec, spec.grace))
        if operation is InstanceOperation.SUSPEND:
            return (_pause(spec),)
        if operation is InstanceOperation.RESUME:
            return (_unpause(spec),)
        if operation is InstanceOperation.REBOOT:
            return (KubeCall("put", RUNNING_KIND, spec.name, "softreboot", repeatable=False),)
        if operation is InstanceOperation.MIGRATE:
            return migration.begin(spec, observed)
        # The new incarnation must stand in the template before the next run is made of it.
        kept = machine_manifest.keeps_running(spec)
        return (self._apply(spec, Wanted.RUNNING), *((_restart(spec),) if kept else _end_run(spec, observed)))

    def update(self, spec: InstanceSpec, observed: Observed) -> Sequence[KubeCall]:
        """Its template; KubeVirt changes what runs where it can, and says where that takes a restart."""
        return (self._apply(spec, spec.wanted),)

    def removal(self, spec: InstanceSpec, observed: Observed) -> Sequence[KubeCall]:
        if observed.uid is None:
            return ()
        delete = KubeCall("delete", KIND, spec.name, uid=observed.uid, missing_ok=True)
        return (*_awake(spec, observed), delete)

    def door(self, wanted: Way | Logs | Screenshot, objects: Mapping[str, Object]) -> Door | None:
        return doors.of_virtual_machine(wanted, objects)

    def _apply(self, spec: InstanceSpec, wanted: Wanted) -> KubeCall:
        return KubeCall("apply", KIND, spec.name, body=self.manifest(replace(spec, wanted=wanted)))


def _pause(spec: InstanceSpec) -> KubeCall:
    return KubeCall("put", RUNNING_KIND, spec.name, "pause", already=("already paused",))


def _unpause(spec: InstanceSpec) -> KubeCall:
    return KubeCall("put", RUNNING_KIND, spec.name, "unpause", already=("not paused",))


def _awake(spec: InstanceSpec, observed: Observed | None) -> tuple[KubeCall, ...]:
    """A paused guest cannot shut down; it would be killed when its grace is over."""
    if observed is None or observed.status is not InstanceStatus.SUSPENDED:
        return ()
    return (replace(_unpause(spec), missing_ok=True),)


def _end_within(spec: InstanceSpec, seconds: int) -> KubeCall:
    """Of a VM that is stopping already: only a shorter time is taken, 0 pulls the plug."""
    body = {"gracePeriod": seconds}
    already = ("VM is not running", "Halted does not support")
    return KubeCall("put", KIND, spec.name, "stop", body, already=already, missing_ok=True)


def _end_run(spec: InstanceSpec, observed: Observed | None) -> tuple[KubeCall, ...]:
    """`Once` knows no restart, but starts whatever has no run."""
    uid = observed.run_uid if observed is not None else None
    return (KubeCall("delete", RUNNING_KIND, spec.name, uid=uid, missing_ok=True),)


def _restart(spec: InstanceSpec) -> KubeCall:
    """Where nothing runs there is nothing to restart: the template says what comes next. KubeVirt knows no other grace
    than the machine's own, or none.
    """
    body = {"gracePeriodSeconds": 0} if spec.grace == 0 else {}
    already = ("VM is not running", "does not support manual restart", "Halted does not support")
    return KubeCall("put", KIND, spec.name, "restart", body, already=already, missing_ok=True, repeatable=False)


def _size(machine: Mapping[str, Any]) -> tuple[int, int] | None:
    domain = machine.get("domain") or {}
    requests = (domain.get("resources") or {}).get("requests") or {}
    return reading.size(requests.get("cpu"), (domain.get("memory") or {}).get("guest"))


class _Reading:
    """One look at a VM, its VMI and its launcher: the questions in the order in which the first yes decides."""

    def __init__(self, objects: Mapping[str, Object], around: Surroundings) -> None:
        self.objects = objects
        self.vm = objects.get(KIND)
        self.vmi = objects.get(RUNNING_KIND)
        self.launcher = objects.get(LAUNCHER_KIND)
        self.around = around
        self.printable: str = reading.status(self.vm).get("printableStatus") or "Stopped"
        strategy = reading.spec(self.vm).get("runStrategy")
        self.halted, self.once = strategy == "Halted", strategy == "Once"
        self.created = reading.status(self.vm).get("created") is True
        self.phase: str = reading.status(self.vmi).get("phase") or self._phase_by_hearsay()
        self.node: str | None = reading.status(self.vmi).get("nodeName")

    def observed(self) -> Observed:
        return self._leaving() or self._idle() or self._ended() or self._refused() or self._running() or self._waiting()

    def _leaving(self) -> Observed | None:
        if self.vm is None or reading.deleting(self.vm):
            return self._stopping(self.vm or self.vmi, deleting=True)
        if self.vmi is not None and (self.halted or reading.deleting(self.vmi)):
            return self._stopping(self.vmi)
        # Seen by the VM's controller, not yet by us, or the other way round: `Stopped` shows before the VMI is gone.
        if self.halted and self.created:
            return self._stopping(None)
        return None

    def _stopping(self, obj: Object | None, *, deleting: bool = False) -> Observed:
        if not reading.overdue(obj, self.around.now, STUCK_SECONDS):
            return self._is(InstanceStatus.STOPPING, deleting=deleting)
        reason = Reason.NODE_LOST if self._node_silent() else Reason.TERMINATION_STUCK
        return self._is(InstanceStatus.STOPPING, reason, self._node_words(), deleting=deleting)

    def _idle(self) -> Observed | None:
        return self._is(InstanceStatus.STOPPED) if self.halted else None

    def _ended(self) -> Observed | None:
        if not self.once or self.phase not in ("Succeeded", "Failed"):
            return None
        if self.phase == "Succeeded":
            seen = self._is(InstanceStatus.STOPPED, Reason.COMPLETED, "the guest shut itself down")
            return replace(seen, ended="completed")
        said = self._failures() or "the guest ended: Failed"
        if reading.annotation(self.vmi, machine_manifest.RERUN) is None:
            return replace(self._is(InstanceStatus.STARTING, Reason.EXITED, said), ended="failed")
        failure = reading.status(self.vm).get("startFailure") or {}
        due = reading.moment(failure.get("retryAfterTimestamp"))
        waits = due is not None and due > self.around.now
        reason = Reason.CRASH_LOOP if self._failure_count() > 1 else Reason.EXITED
        return replace(self._is(InstanceStatus.STARTING, reason, said), rerun=not waits)

    def _refused(self) -> Observed | None:
        """The launcher Pod was refused: KubeVirt shows `Starting` for ever and says why in a condition only."""
        for obj in (self.vmi, self.vm):
            synchronized = reading.condition(obj, "Synchronized")
            if synchronized.get("status") == "False" and synchronized.get("reason") == "FailedCreate":
                said = str(synchronized.get("message") or "")
                reason = Reason.QUOTA if "exceeded quota" in said else Reason.REJECTED
                return self._is(InstanceStatus.STARTING, reason, reading.words(said))
        return None

    def _running(self) -> Observed | None:
        if self.phase == "Unknown" or (self.vmi is not None and self._node_silent()):
            return self._is(InstanceStatus.STARTING, Reason.NODE_LOST, self._node_words())
        if self.phase != "Running":
            return None
        if self._condition("Paused").get("status") == "True":
            return self._is(InstanceStatus.SUSPENDED)
        return self._is(InstanceStatus.RUNNING)

    def _waiting(self) -> Observed:
        unscheduled = self._condition("PodScheduled")
        if self.printable == "ErrorUnschedulable" or unscheduled.get("status") == "False":
            said = reading.words(unscheduled.get("message"))
            return self._is(InstanceStatus.PENDING, Reason.UNSCHEDULABLE, said)
        if self.printable in _VOLUME:
            said = reading.words(self.printable, self._condition("DataVolumesReady").get("message"))
            return self._is(InstanceStatus.PENDING, Reason.VOLUME, said)
        if self.printable in ("ErrImagePull", "ImagePullBackOff"):
            said = self._launcher_words() or reading.words(self.printable)
            return self._is(InstanceStatus.STARTING, Reason.IMAGE_PULL, said)
        if self.printable == "CrashLoopBackOff":
            return self._is(InstanceStatus.STARTING, Reason.CRASH_LOOP, self._failures())
        if self.phase in ("Succeeded", "Failed"):
            return self._is(InstanceStatus.STARTING, Reason.EXITED, f"the guest ended: {self.phase}")
        if self.vmi is None and not self.created:
            # `Stopped` is also what a VM shows that no controller has looked at yet.
            return self._is(InstanceStatus.PENDING, Reason.WAITING, "waiting for KubeVirt")
        return self._is(InstanceStatus.STARTING, Reason.WAITING, self._launcher_words())

    def _is(
        self,
        status: InstanceStatus,
        reason: Reason | None = None,
        message: str | None = None,
        *,
        deleting: bool = False,
    ) -> Observed:
        asked = _size(reading.spec(reading.spec(self.vm).get("template")))
        return Observed(
            status=status,
            reason=reason,
            message=message,
            uid=reading.metadata(self.vm).get("uid"),
            run_uid=reading.metadata(self.vmi).get("uid"),
            incarnation=self._incarnation(),
            revision=reading.revision(self.vmi if self.vmi is not None else self.vm),
            told=reading.revision(self.vm),
            cpu=asked[0] if asked else None,
            memory=asked[1] if asked else None,
            pending_size=self._pending_size(asked),
            grace=reading.spec(self.vmi).get("terminationGracePeriodSeconds"),
            restart_required=self._condition("RestartRequired").get("status") == "True",
            migratable=self._condition("LiveMigratable").get("status") == "True",
            unmigratable=self._unmigratable(),
            migration=migration.read(self.objects),
            guest=self._guest(),
            node=self.node,
            ip=self._ip(),
            restarts=self._failure_count(),
            suspend="vm-pause",
            deleting=deleting,
        )

    def _incarnation(self) -> int | None:
        if self.vmi is not None:
            return reading.incarnation(self.vmi)
        return reading.incarnation(self.vm) if self.phase or not self.created else None

    def _pending_size(self, asked: tuple[int, int] | None) -> str | None:
        runs = _size(reading.spec(self.vmi))
        return "it waits for its next start" if runs is not None and runs != asked else None

    def _unmigratable(self) -> str | None:
        said = self._condition("LiveMigratable")
        return reading.words(said.get("message") or said.get("reason")) if said.get("status") == "False" else None

    def _guest(self) -> dict[str, Any] | None:
        """What its agent tells, where it has one."""
        if self._condition("AgentConnected").get("status") != "True":
            return None
        told = reading.status(self.vmi).get("guestOSInfo") or {}
        names = {"name": "name", "version": "version", "kernel": "kernelRelease", "architecture": "machine"}
        return {name: str(told[key])[:200] for name, key in names.items() if told.get(key)}

    def _phase_by_hearsay(self) -> str:
        """Without the VMI's own word, the VM's counts only while the VMI was started from the template as it is now."""
        started_from = reading.status(self.vm).get("observedGeneration")
        current = started_from is not None and started_from == reading.metadata(self.vm).get("generation")
        alive = self.printable in ("Running", "Paused", "Migrating")
        return "Running" if self.vmi is None and self.created and current and alive else ""

    def _ip(self) -> str | None:
        for interface in reading.status(self.vmi).get("interfaces") or ():
            address = interface.get("ipAddress")
            if address:
                return str(address)
        return None

    def _condition(self, kind: str) -> Mapping[str, Any]:
        return reading.condition(self.vmi, kind) or reading.condition(self.vm, kind)

    def _failure_count(self) -> int:
        failure = reading.status(self.vm).get("startFailure") or {}
        return int(failure.get("consecutiveFailCount") or 0)

    def _failures(self) -> str | None:
        count = self._failure_count()
        return f"failed to start {count} times in a row" if count > 1 else None

    def _launcher_words(self) -> str | None:
        """What holds the launcher Pod back, where its containers say so; a containerDisk's image is one of them."""
        status = reading.status(self.launcher)
        for item in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            waiting = (item.get("state") or {}).get("waiting") or {}
            if waiting.get("message"):
                return reading.words(waiting.get("reason"), waiting["message"])
        return None

    def _node_silent(self) -> bool:
        return self.node is not None and self.around.node_ready(self.node) is False

    def _node_words(self) -> str | None:
        return f"node {self.node} does not answer" if self._node_silent() else None
