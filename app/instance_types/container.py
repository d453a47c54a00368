"""A container instance: one Pod of a fixed name, so that there is never more than one of it.

Stopped means that there is no Pod. Suspended means that a node agent froze its processes, memory kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.instance_types import container_manifest, doors, objects, reading
from app.instance_types.values import (
    FROZEN,
    UNSUSPENDABLE,
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
from app.models import InstanceOperation, InstanceStatus, InstanceType, Reason
from app.rules.reach import Logs, Screenshot, Way

KIND = "Pod"
SUSPENDED = "cmp.io/Suspended"
MEMORY_LOST = "MemoryLost"
RESIZE_PENDING = "PodResizePending"
RESIZING = "PodResizeInProgress"
LEAST_MILLICORES = 10
# A Pod's deletionTimestamp already includes its grace period.
STUCK_SECONDS = 60

_OVERFULL = ("OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage")
_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
    | {"ImageInspectError", "SignatureValidationFailed"}
)
_CONFIGURATION = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}
    | {"PostStartHookError", "StartError"}
)


class Container:
    instance_type = InstanceType.CONTAINER
    kind = KIND
    watches: Mapping[str, tuple[str, ...]] = {
        KIND: (
            "metadata.deletionGracePeriodSeconds", "spec.nodeName", "spec.restartPolicy", "spec.containers.resources",
            "status.phase", "status.reason", "status.message", "status.podIP", "status.conditions",
            "status.containerStatuses",
        )
    }  # fmt: skip
    kept_when_stopped = False
    reached: tuple[str, ...] = (KIND,)
    launched = False

    def manifest(self, spec: InstanceSpec) -> dict[str, Any]:
        """requests = limits, so that what is sold is what is reserved; defaults that an image running as root survives.

        https://kubernetes.io/docs/concepts/security/pod-security-standards/ (baseline)
        """
        return {
            "apiVersion": "v1",
            "kind": KIND,
            "metadata": {
                "name": spec.name,
                "namespace": spec.cluster.namespace,
                "labels": instance_labels(spec),
                "annotations": {**instance_annotations(spec), **_unsuspendable(spec)},
            },
            "spec": container_manifest.pod_spec(spec),
        }

    def shared(
        self, cluster: ClusterRef, settings: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> Sequence[dict[str, Any]]:
        made = [objects.secret(cluster, "env", secrets["env"])] if secrets.get("env") else []
        if secrets.get("registry"):
            made.append(objects.registry_secret(cluster, settings["registry"], secrets["registry"]))
        if settings.get("ports"):
            made.append(objects.service(cluster, settings["ports"]))
        return made

    def status_of(self, objects: Mapping[str, Object], around: Surroundings) -> Observed:
        return _Reading(objects[KIND], around).observed()

    def calls_for(
        self, operation: InstanceOperation, spec: InstanceSpec, observed: Observed | None
    ) -> Sequence[KubeCall]:
        if operation is InstanceOperation.START:
            return (KubeCall("create", KIND, spec.name, body=self.manifest(spec)),)
        if observed is None or observed.uid is None:
            return ()
        if operation is InstanceOperation.SUSPEND:
            return (_freeze(spec, observed.uid, "true"),)
        if operation is InstanceOperation.RESUME:
            return (_freeze(spec, observed.uid, None),)
        # A restart is the next incarnation, made as soon as this Pod is gone.
        ends = operation in (InstanceOperation.STOP, InstanceOperation.RESTART)
        return self.removal(spec, observed) if ends else ()

    def update(self, spec: InstanceSpec, observed: Observed) -> Sequence[KubeCall]:
        """In place where it is on a node; else it is made again, so that it is placed by its new size.

        https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
        """
        if observed.node is None or observed.uid is None:
            return self.removal(spec, observed)
        body = {"spec": {"containers": [{"name": "main", "resources": container_manifest.resources(spec)}]}}
        return (KubeCall("strategic", KIND, spec.name, "resize", body=body, uid=observed.uid),)

    def removal(self, spec: InstanceSpec, observed: Observed) -> Sequence[KubeCall]:
        if observed.uid is None:
            return ()
        delete = KubeCall("delete", KIND, spec.name, uid=observed.uid, grace=spec.grace, missing_ok=True)
        if observed.status not in (InstanceStatus.SUSPENDED, InstanceStatus.SUSPENDING):
            return (delete,)
        # Frozen processes cannot handle SIGTERM.
        return (_freeze(spec, observed.uid, None), delete)

    def door(self, wanted: Way | Logs | Screenshot, objects: Mapping[str, Object]) -> Door | None:
        return doors.of_container(wanted, objects)


def _unsuspendable(spec: InstanceSpec) -> dict[str, str]:
    """The place for whatever forbids to suspend it. Who does not answer a liveness probe is ended by the kubelet."""
    return {UNSUSPENDABLE: "liveness-probe"} if (spec.settings.get("health") or {}).get("liveness") else {}


def _freeze(spec: InstanceSpec, uid: str, value: str | None) -> KubeCall:
    body = {"metadata": {"annotations": {FROZEN: value}}}
    return KubeCall("merge", KIND, spec.name, body=body, uid=uid, missing_ok=value is None)


class _Reading:
    """One look at one Pod: the questions in the order in which the first yes decides."""

    def __init__(self, pod: Object, around: Surroundings) -> None:
        self.pod = pod
        self.around = around
        self.status = reading.status(pod)
        self.node: str | None = reading.spec(pod).get("nodeName")
        self.main = _main_container(self.status)
        self.state: Mapping[str, Any] = self.main.get("state") or {}
        self.restarts = int(self.main.get("restartCount") or 0)
        self.agent = self.node is not None and around.has_agent(self.node)
        self.suspend = "freeze" if self.agent and reading.annotation(pod, UNSUSPENDABLE) is None else None

    def observed(self) -> Observed:
        gone = self._leaving() or self._ended() or self._lost() or self._off_node() or self._forgetful()
        return gone or self._waiting() or self._alive()

    def _leaving(self) -> Observed | None:
        if not reading.deleting(self.pod):
            return None
        if not reading.overdue(self.pod, self.around.now, STUCK_SECONDS):
            return self._is(InstanceStatus.STOPPING, deleting=True)
        reason = Reason.NODE_LOST if self._node_silent() else Reason.TERMINATION_STUCK
        return self._is(InstanceStatus.STOPPING, reason, self._node_words(), deleting=True)

    def _ended(self) -> Observed | None:
        """It ran to its end, which its restart policy lets it do, and nobody took it away."""
        if reading.spec(self.pod).get("restartPolicy", "Always") == "Always" or self.status.get("reason"):
            return None
        if self.status.get("phase") == "Succeeded":
            return self._is(InstanceStatus.STOPPED, Reason.COMPLETED, self._history(), ended="completed")
        if self.status.get("phase") != "Failed" or not self._last_end():
            return None
        killed = self._last_end().get("reason") == "OOMKilled"
        reason = Reason.OUT_OF_MEMORY if killed else Reason.EXITED
        return self._is(InstanceStatus.FAILED, reason, self._history(), ended="failed")

    def _lost(self) -> Observed | None:
        """Dead for good: with restartPolicy Always a Pod never ends by itself.

        The verdict stands on the Pod, not on its containers.
        """
        if self.status.get("phase") not in ("Failed", "Succeeded") or self._ended() is not None:
            return None
        why = self.status.get("reason") or reading.condition(self.pod, "DisruptionTarget").get("reason")
        said = self.status.get("message") or reading.condition(self.pod, "DisruptionTarget").get("message")
        if why == "NodeLost":
            reason = Reason.NODE_LOST
        elif why in _OVERFULL:
            reason = Reason.UNSCHEDULABLE
        else:
            reason = Reason.EVICTED if why else Reason.EXITED
        return self._is(InstanceStatus.FAILED, reason, reading.words(why, said), lost=True)

    def _off_node(self) -> Observed | None:
        if self.node is None:
            scheduled = reading.condition(self.pod, "PodScheduled")
            if scheduled.get("status") == "False":
                said = reading.words(scheduled.get("message"))
                disk = said is not None and "persistentvolumeclaim" in said.lower()
                return self._is(InstanceStatus.PENDING, Reason.VOLUME if disk else Reason.UNSCHEDULABLE, said)
            return self._is(InstanceStatus.PENDING, Reason.WAITING, "waiting for a node")
        if self._node_silent() or self.status.get("phase") == "Unknown":
            return self._is(InstanceStatus.STARTING, Reason.NODE_LOST, self._node_words())
        return None

    def _forgetful(self) -> Observed | None:
        """It ended while it was suspended: whatever the kubelet starts in its place knows nothing of what it held."""
        said = reading.condition(self.pod, SUSPENDED)
        if reading.annotation(self.pod, FROZEN) != "true" or said.get("reason") != MEMORY_LOST:
            return None
        return self._is(InstanceStatus.FAILED, Reason.SUSPEND_LOST, self._history() or said.get("message"), lost=True)

    def _waiting(self) -> Observed | None:
        """Why the main container does not run: image, configuration, or that it keeps ending."""
        waiting = self.state.get("waiting")
        if waiting is None and "terminated" not in self.state:
            return None
        why = (waiting or {}).get("reason")
        said = (waiting or {}).get("message")
        if why in _IMAGE:
            return self._is(InstanceStatus.STARTING, Reason.IMAGE_PULL, reading.words(why, said))
        if why in _CONFIGURATION:
            return self._is(InstanceStatus.STARTING, Reason.CONFIGURATION, reading.words(why, said))
        ended = self._last_end()
        if not ended:
            return self._is(InstanceStatus.STARTING, Reason.WAITING, reading.words(why, said))
        if ended.get("reason") in _CONFIGURATION:
            # It never ran, so there are no logs to look at: the kubelet's own message is all there is.
            said = reading.words(ended.get("reason"), ended.get("message"))
            return self._is(InstanceStatus.STARTING, Reason.CONFIGURATION, said)
        if ended.get("reason") == "OOMKilled":
            reason = Reason.OUT_OF_MEMORY
        else:
            reason = Reason.CRASH_LOOP if why == "CrashLoopBackOff" else Reason.EXITED
        return self._is(InstanceStatus.STARTING, reason, self._history())

    def _alive(self) -> Observed:
        if "running" not in self.state:
            return self._is(InstanceStatus.STARTING, Reason.WAITING, None)
        frozen = reading.is_true(self.pod, SUSPENDED)
        if reading.annotation(self.pod, FROZEN) == "true":
            if frozen:
                return self._is(InstanceStatus.SUSPENDED)
            reason = Reason.WAITING if self.suspend else Reason.SUSPEND_UNSUPPORTED
            said = reading.condition(self.pod, SUSPENDED).get("message")
            return self._is(InstanceStatus.SUSPENDING, reason, reading.words(said))
        if frozen:
            return self._is(InstanceStatus.STARTING, Reason.WAITING, "waiting for the node agent to resume it")
        if not reading.is_true(self.pod, "Ready"):
            return self._is(InstanceStatus.STARTING, Reason.WAITING, self._unready())
        return self._is(InstanceStatus.RUNNING, None, self._history())

    def _is(
        self,
        status: InstanceStatus,
        reason: Reason | None = None,
        message: str | None = None,
        *,
        deleting: bool = False,
        lost: bool = False,
        ended: Literal["completed", "failed"] | None = None,
    ) -> Observed:
        asked = reading.size_of_main(reading.spec(self.pod).get("containers"))
        return Observed(
            status=status,
            reason=reason,
            message=message,
            uid=reading.metadata(self.pod).get("uid"),
            incarnation=reading.incarnation(self.pod),
            node=self.node,
            ip=self.status.get("podIP"),
            restarts=self.restarts,
            suspend=self.suspend,
            deleting=deleting,
            lost=lost,
            ended=ended,
            revision=reading.revision(self.pod),
            told=reading.revision(self.pod),
            cpu=asked[0] if asked else None,
            memory=asked[1] if asked else None,
            pending_size=self._pending_size(asked),
            restart_required=reading.condition(self.pod, RESIZE_PENDING).get("reason") == "Infeasible",
            grace=reading.metadata(self.pod).get("deletionGracePeriodSeconds"),
        )

    def _pending_size(self, asked: tuple[int, int] | None) -> str | None:
        """The kubelet says in a condition what holds it back, but only after it has looked."""
        has = reading.size_of_main(self.status.get("containerStatuses"))
        if asked is None or has is None or _same(has, asked):
            return None
        for kind in (RESIZE_PENDING, RESIZING):
            said = reading.condition(self.pod, kind)
            if said.get("message"):
                return reading.words(said.get("reason"), said.get("message"))
        return "its node has not resized it yet"

    def _unready(self) -> str | None:
        ready = reading.condition(self.pod, "Ready")
        if ready.get("reason") == "ReadinessGatesNotReady" and not self.agent:
            return f"the node agent on {self.node}, which has to say that it runs, does not answer"
        return reading.words(ready.get("message"))

    def _node_silent(self) -> bool:
        return self.node is not None and self.around.node_ready(self.node) is False

    def _node_words(self) -> str | None:
        return f"node {self.node} does not answer" if self._node_silent() else None

    def _last_end(self) -> Mapping[str, Any]:
        last: Mapping[str, Any] = self.main.get("lastState") or {}
        return self.state.get("terminated") or last.get("terminated") or {}

    def _history(self) -> str | None:
        ended = self._last_end()
        if not ended:
            return None
        how = ended.get("reason") or "ended"
        text = f"{how}, exit code {ended.get('exitCode')}"
        if not self.restarts:
            return text
        times = "once" if self.restarts == 1 else f"{self.restarts} times"
        return f"restarted {times}, last end: {text}"


def _same(has: tuple[int, int], asked: tuple[int, int]) -> bool:
    """A node gives no less CPU time than the kernel's shortest quota is."""
    return (max(has[0], LEAST_MILLICORES), has[1]) == (max(asked[0], LEAST_MILLICORES), asked[1])


def _main_container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Sequence[Mapping[str, Any]] = status.get("containerStatuses") or ()
    return next((item for item in found if item.get("name") == "main"), {})
