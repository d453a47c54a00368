from dataclasses import replace
from typing import Any

import pytest

from app.instance_types.container import Container
from app.instance_types.values import Observed
from app.models import InstanceOperation, InstanceStatus, Reason
from tests.unit.instance_types.examples import CONTAINER, around, pod

container = Container()

RUNNING = {"running": {"startedAt": "2026-11-23T11:00:00Z"}}
READY: dict[str, str | dict[str, str]] = {"PodScheduled": "True", "Ready": "True"}
FROZEN = {"cmp.io/frozen": "true"}
PROBE = {"initial_delay_seconds": 0, "interval_seconds": 10, "timeout_seconds": 1, "failure_threshold": 3}


def observed(shown: dict[str, Any], *, ready: bool | None = True, agent: bool = False) -> Observed:
    return container.status_of({"Pod": shown}, around(ready=ready, agent=agent))


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(reason: str = "Error", code: int = 1) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": code}}


def test_running() -> None:
    seen = observed(pod(state=RUNNING, conditions=READY, podIP="10.1.2.3"))
    assert seen == Observed(
        InstanceStatus.RUNNING, uid="pod-uid", incarnation=1, node="node-1", ip="10.1.2.3", restarts=0, suspend=None
    )


@pytest.mark.parametrize(
    ("shown", "status", "reason", "words"),
    [
        (pod(node=None, phase="Pending"), InstanceStatus.PENDING, Reason.WAITING, "waiting for a node"),
        (
            pod(
                node=None,
                phase="Pending",
                conditions={
                    "PodScheduled": {
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient cpu.",
                    }
                },
            ),
            InstanceStatus.PENDING,
            Reason.UNSCHEDULABLE,
            "0/3 nodes are available: 3 Insufficient cpu.",
        ),
        (
            pod(phase="Pending", state=waiting("ContainerCreating")),
            InstanceStatus.STARTING,
            Reason.WAITING,
            "ContainerCreating",
        ),
        (
            pod(phase="Pending", state=waiting("ErrImagePull", "manifest\n  unknown")),
            InstanceStatus.STARTING,
            Reason.IMAGE_PULL,
            "ErrImagePull: manifest unknown",
        ),
        (
            pod(phase="Pending", state=waiting("InvalidImageName", "couldn't parse")),
            InstanceStatus.STARTING,
            Reason.IMAGE_PULL,
            "InvalidImageName: couldn't parse",
        ),
        (
            pod(phase="Pending", state=waiting("CreateContainerConfigError", "no such secret")),
            InstanceStatus.STARTING,
            Reason.CONFIGURATION,
            "CreateContainerConfigError: no such secret",
        ),
        (
            pod(state=waiting("CrashLoopBackOff", "back-off 40s"), last=ended(code=3), restarts=4),
            InstanceStatus.STARTING,
            Reason.CRASH_LOOP,
            "restarted 4 times, last end: Error, exit code 3",
        ),
        (
            pod(state=waiting("CrashLoopBackOff", "back-off 40s"), last=ended("OOMKilled", 137), restarts=4),
            InstanceStatus.STARTING,
            Reason.OUT_OF_MEMORY,
            "restarted 4 times, last end: OOMKilled, exit code 137",
        ),
        (
            pod(state=ended("Completed", 0)),
            InstanceStatus.STARTING,
            Reason.EXITED,
            "Completed, exit code 0",
        ),
        (
            pod(state=RUNNING, conditions={"Ready": {"status": "False", "message": "containers not ready"}}),
            InstanceStatus.STARTING,
            Reason.WAITING,
            "containers not ready",
        ),
        (
            pod(state=RUNNING, conditions=READY, last=ended("OOMKilled", 137), restarts=1),
            InstanceStatus.RUNNING,
            None,
            "restarted once, last end: OOMKilled, exit code 137",
        ),
    ],
)
def test_what_holds_it_back(
    shown: dict[str, Any], status: InstanceStatus, reason: Reason | None, words: str | None
) -> None:
    seen = observed(shown)
    assert (seen.status, seen.reason, seen.message, seen.lost, seen.deleting) == (status, reason, words, False, False)


def test_a_program_that_is_not_in_the_image_is_no_crash() -> None:
    """As kubelet 1.36 with containerd 2.2 writes it between two attempts."""
    message = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
        'unable to start container process: exec: "/no-such-program": stat /no-such-program: no such file or directory'
    )
    last = {
        "terminated": {
            "containerID": "containerd://4da5421781f869d416175f3ee03b6c0e648005f1b708ac25dbe1a0f1ebffb11a",
            "exitCode": 128,
            "finishedAt": "2026-11-23T08:20:05Z",
            "message": message,
            "reason": "StartError",
            "startedAt": "1970-01-01T00:00:00Z",
        }
    }
    backing_off = waiting("CrashLoopBackOff", "back-off 10s restarting failed container=main pod=broken-instance-1")
    seen = observed(pod(state=backing_off, last=last, restarts=1))
    assert (seen.status, seen.reason) == (InstanceStatus.STARTING, Reason.CONFIGURATION)
    assert seen.message == f"StartError: {message}"


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("Evicted", Reason.EVICTED),
        ("NodeLost", Reason.NODE_LOST),
        ("Preempting", Reason.EVICTED),
        ("NodeShutdown", Reason.EVICTED),
        ("UnexpectedAdmissionError", Reason.EVICTED),
        ("OutOfcpu", Reason.UNSCHEDULABLE),
        ("OutOfmemory", Reason.UNSCHEDULABLE),
        (None, Reason.EXITED),
    ],
)
def test_a_failed_pod_is_lost(why: str | None, reason: Reason) -> None:
    more: dict[str, Any] = {} if why is None else {"reason": why, "message": "the node was low on memory"}
    seen = observed(pod(phase="Failed", state=ended(), conditions=READY, **more))
    assert (seen.status, seen.reason, seen.lost) == (InstanceStatus.FAILED, reason, True)


def test_a_disruption_is_told_though_the_pod_has_no_reason() -> None:
    target: dict[str, str | dict[str, str]] = {
        "DisruptionTarget": {"status": "True", "reason": "PreemptionByScheduler", "message": "preempted"}
    }
    seen = observed(pod(phase="Failed", conditions=target))
    assert (seen.reason, seen.message, seen.lost) == (Reason.EVICTED, "PreemptionByScheduler: preempted", True)


def test_deletion_comes_before_everything_else() -> None:
    seen = observed(pod(phase="Failed", reason="Evicted", deleted_at="2026-11-23T12:00:20Z"))
    assert (seen.status, seen.reason, seen.deleting, seen.lost) == (InstanceStatus.STOPPING, None, True, False)


@pytest.mark.parametrize(("ready", "reason"), [(True, Reason.TERMINATION_STUCK), (False, Reason.NODE_LOST)])
def test_a_deletion_a_minute_overdue_is_stuck(ready: bool, reason: Reason) -> None:
    seen = observed(pod(state=RUNNING, deleted_at="2026-11-23T11:58:59Z"), ready=ready)
    assert (seen.status, seen.reason, seen.deleting) == (InstanceStatus.STOPPING, reason, True)
    assert observed(pod(state=RUNNING, deleted_at="2026-11-23T11:59:01Z"), ready=ready).reason is None


def test_a_silent_node() -> None:
    shown = pod(state=RUNNING, conditions=READY)
    seen = observed(shown, ready=False)
    assert (seen.status, seen.reason) == (InstanceStatus.STARTING, Reason.NODE_LOST)
    assert seen.message == "node node-1 does not answer"
    assert not seen.lost, "it may still run: replacing it now could make two of it"
    assert observed(shown, ready=None).status is InstanceStatus.RUNNING


@pytest.mark.parametrize(
    ("annotations", "condition", "agent", "status", "reason"),
    [
        (FROZEN, "True", True, InstanceStatus.SUSPENDED, None),
        (FROZEN, "False", True, InstanceStatus.SUSPENDING, Reason.WAITING),
        (FROZEN, None, False, InstanceStatus.SUSPENDING, Reason.SUSPEND_UNSUPPORTED),
        ({}, "True", True, InstanceStatus.STARTING, Reason.WAITING),
        ({}, "False", True, InstanceStatus.RUNNING, None),
    ],
)
def test_suspended_is_what_the_node_agent_says(
    annotations: dict[str, str], condition: str | None, agent: bool, status: InstanceStatus, reason: Reason | None
) -> None:
    conditions = READY if condition is None else {**READY, "cmp.io/Suspended": condition}
    seen = observed(pod(state=RUNNING, conditions=conditions, annotations=annotations), agent=agent)
    assert (seen.status, seen.reason, seen.suspend) == (status, reason, "freeze" if agent else None)


def test_start_creates() -> None:
    (call,) = container.calls_for(InstanceOperation.START, CONTAINER, None)
    assert (call.verb, call.kind, call.name, call.body) == (
        "create",
        "Pod",
        "web-instance-1",
        container.manifest(CONTAINER),
    )


@pytest.mark.parametrize("operation", [InstanceOperation.STOP, InstanceOperation.RESTART])
def test_stop_and_restart_delete_the_pod_that_was_seen(operation: InstanceOperation) -> None:
    seen = observed(pod(state=RUNNING, conditions=READY))
    (call,) = container.calls_for(operation, CONTAINER, seen)
    assert (call.verb, call.name, call.uid, call.missing_ok) == ("delete", "web-instance-1", "pod-uid", True)
    assert not container.calls_for(operation, CONTAINER, None)


@pytest.mark.parametrize(
    ("operation", "value"), [(InstanceOperation.SUSPEND, "true"), (InstanceOperation.RESUME, None)]
)
def test_suspend_and_resume_are_an_annotation_on_the_pod_that_was_seen(
    operation: InstanceOperation, value: str | None
) -> None:
    seen = observed(pod(state=RUNNING, conditions=READY))
    (call,) = container.calls_for(operation, CONTAINER, seen)
    assert (call.verb, call.uid, call.body) == ("merge", "pod-uid", {"metadata": {"annotations": {FROZEN_KEY: value}}})


FROZEN_KEY = "cmp.io/frozen"


def test_a_frozen_pod_is_thawed_before_it_is_deleted() -> None:
    seen = observed(
        pod(state=RUNNING, conditions={**READY, "cmp.io/Suspended": "True"}, annotations=FROZEN), agent=True
    )
    calls = container.removal(CONTAINER, seen)
    assert [call.verb for call in calls] == ["merge", "delete"]
    assert calls[0].body == {"metadata": {"annotations": {FROZEN_KEY: None}}}
    assert all(call.missing_ok for call in calls)


def test_sizes() -> None:
    spec = container.manifest(replace(CONTAINER, cpu=2000, memory=1))["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "1Mi"}


def test_nothing_known_yet_is_waiting() -> None:
    seen = observed({"metadata": {"name": "x", "uid": "u"}})
    assert (seen.status, seen.reason) == (InstanceStatus.PENDING, Reason.WAITING)


def test_where_there_are_agents_the_pod_is_running_when_the_agent_says_so() -> None:
    assert "readinessGates" not in container.manifest(CONTAINER)["spec"]
    gated = container.manifest(replace(CONTAINER, agents=True))["spec"]
    assert gated["readinessGates"] == [{"conditionType": "cmp.io/Running"}]


def test_who_waits_for_an_agent_that_is_gone_is_told_so() -> None:
    unready = {"Ready": {"status": "False", "reason": "ReadinessGatesNotReady", "message": "some gate"}}
    shown = pod(state=RUNNING, conditions={"PodScheduled": "True", **unready})
    assert observed(shown).message == "the node agent on node-1, which has to say that it runs, does not answer"
    assert observed(shown, agent=True).message == "some gate"


def test_what_has_a_liveness_probe_cannot_be_suspended() -> None:
    spec = replace(CONTAINER, settings={"health": {"liveness": {"tcp": 80, **PROBE}}})
    made = container.manifest(spec)["metadata"]["annotations"]
    assert made["cmp.io/unsuspendable"] == "liveness-probe"
    shown = pod(state=RUNNING, conditions=READY, annotations=made)
    assert observed(shown, agent=True).suspend is None
    assert "cmp.io/unsuspendable" not in container.manifest(CONTAINER)["metadata"]["annotations"]


def test_what_ended_while_suspended_has_lost_its_memory() -> None:
    lost: dict[str, str | dict[str, str]] = {
        **READY,
        "cmp.io/Suspended": {"status": "False", "reason": "MemoryLost", "message": "a container ended"},
    }
    for state in (RUNNING, ended(), waiting("ContainerCreating")):
        seen = observed(pod(state=state, conditions=lost, annotations=FROZEN), agent=True)
        assert (seen.status, seen.reason, seen.lost) == (InstanceStatus.FAILED, Reason.SUSPEND_LOST, True)
    again = observed(pod(state=RUNNING, conditions=lost), agent=True)
    assert (again.status, again.lost) == (InstanceStatus.RUNNING, False)
