"""What is said: statuses, patience, phases and the ends of operations."""

import uuid
from typing import Any

import pytest

from app.k8s_service import NamespaceState, Observed
from app.models import (
    ClusterPhase,
    InstanceOperation,
    InstanceStatus,
    OperationKind,
    OperationStatus,
    Reason,
    Wanted,
)
from app.reconciler.decide import Outcome, Trouble, Verb, judge, unreachable
from app.rules.lifecycle import TRANSITIONS
from tests.unit.reconciler.rows import NOTHING, NOW, cluster, instance, later, operation, picture, seen

S = InstanceStatus


def said(wanted: Wanted, status: S, observed: Observed | None, **more: Any) -> str:
    """The status that an instance is given."""
    row = cluster()
    one = instance(row, wanted=wanted, status=status, **more)
    verdict = judge(picture(row, [one], [observed]), NOTHING, NOW)
    return str(verdict.instances.get(one.id, {}).get("status", one.status))


@pytest.mark.parametrize(
    ("wanted", "before", "observed", "after"),
    [
        (Wanted.RUNNING, S.PENDING, None, "pending"),
        (Wanted.RUNNING, S.PENDING, seen(S.PENDING), "pending"),
        (Wanted.RUNNING, S.PENDING, seen(S.STARTING), "starting"),
        (Wanted.RUNNING, S.PENDING, seen(), "running"),
        (Wanted.RUNNING, S.STARTING, seen(S.PENDING, reason=Reason.WAITING), "starting"),
        (Wanted.RUNNING, S.STARTING, seen(S.PENDING, reason=Reason.UNSCHEDULABLE), "pending"),
        (Wanted.RUNNING, S.STARTING, seen(S.PENDING, reason=Reason.VOLUME), "pending"),
        (Wanted.RUNNING, S.STARTING, seen(incarnation=0), "starting"),
        (Wanted.RUNNING, S.STARTING, seen(incarnation=None), "starting"),
        (Wanted.RUNNING, S.RUNNING, None, "starting"),
        (Wanted.RUNNING, S.RUNNING, seen(S.FAILED, lost=True), "starting"),
        (Wanted.RUNNING, S.RUNNING, seen(S.STOPPING, deleting=True), "starting"),
        (Wanted.RUNNING, S.STARTING, seen(S.SUSPENDED), "starting"),
        (Wanted.RUNNING, S.FAILED, seen(), "running"),
        (Wanted.STOPPED, S.STOPPING, seen(), "stopping"),
        (Wanted.STOPPED, S.STOPPING, seen(S.STOPPING, deleting=True), "stopping"),
        (Wanted.STOPPED, S.STOPPING, None, "stopped"),
        (Wanted.STOPPED, S.STOPPING, seen(S.STOPPED), "stopped"),
        (Wanted.SUSPENDED, S.SUSPENDING, seen(), "suspending"),
        (Wanted.SUSPENDED, S.SUSPENDING, seen(S.SUSPENDING), "suspending"),
        (Wanted.SUSPENDED, S.SUSPENDING, seen(S.SUSPENDED), "suspended"),
        (Wanted.SUSPENDED, S.SUSPENDED, None, "stopped"),
        (Wanted.SUSPENDED, S.SUSPENDED, seen(S.STOPPING, deleting=True), "stopping"),
        (Wanted.SUSPENDED, S.SUSPENDED, seen(S.FAILED, lost=True), "stopping"),
        (Wanted.SUSPENDED, S.SUSPENDED, seen(S.FAILED, ended="failed"), "stopping"),
        (Wanted.SUSPENDED, S.SUSPENDED, seen(S.STARTING, rerun=True), "stopping"),
        (Wanted.ABSENT, S.RUNNING, seen(), "deleting"),
        (Wanted.ABSENT, S.DELETING, None, "deleting"),
    ],
)
def test_statuses(wanted: Wanted, before: S, observed: Observed | None, after: str) -> None:
    assert said(wanted, before, observed) == after


@pytest.mark.parametrize(
    ("reason", "patience"),
    [(Reason.IMAGE_PULL, 120), (Reason.UNSCHEDULABLE, 300), (Reason.CRASH_LOOP, 60), (Reason.NODE_LOST, 600)],
)
def test_patience(reason: Reason, patience: int) -> None:
    row = cluster()
    one = instance(row, status=S.STARTING)
    why = seen(S.STARTING, reason=reason, message="because")
    first = judge(picture(row, [one], [why]), NOTHING, NOW).instances[one.id]
    assert (first["reason"], first["waiting_since"]) == (reason, NOW)
    assert "because" in first["message"]
    assert "status" not in first
    one.reason, one.waiting_since = reason, NOW
    almost = judge(picture(row, [one], [why]), NOTHING, later(patience - 1))
    assert "status" not in almost.instances.get(one.id, {})
    over = judge(picture(row, [one], [why]), NOTHING, later(patience)).instances[one.id]
    assert over["status"] == S.FAILED
    one.status = S.FAILED
    assert judge(picture(row, [one], [seen()]), NOTHING, later(patience + 1)).instances[one.id]["status"] == S.RUNNING


def test_patience_starts_anew() -> None:
    """With another cause, with a new wish, and when nobody looked; not while Kubernetes is away."""
    row = cluster()
    one = instance(row, status=S.STARTING, reason=Reason.IMAGE_PULL, waiting_since=NOW)
    pulling = seen(S.STARTING, reason=Reason.IMAGE_PULL)
    crashing = seen(S.STARTING, reason=Reason.CRASH_LOOP)
    much_later = later(10_000)
    assert judge(picture(row, [one], [crashing]), NOTHING, much_later).instances[one.id]["waiting_since"] == much_later
    assert "status" not in judge(picture(row, [one], [pulling], rested=True), NOTHING, much_later).instances[one.id]
    restart = operation(row, OperationKind.INSTANCE_RESTART, one, created_at=later(9_990))
    wished = judge(picture(row, [one], [pulling], [restart]), NOTHING, much_later)
    assert "status" not in wished.instances[one.id]
    away = judge(picture(row, [one], [pulling]), Outcome(unavailable="gone fishing"), much_later)
    assert "status" not in away.instances.get(one.id, {})
    assert away.cluster["reason"] == Reason.KUBERNETES_UNAVAILABLE
    assert judge(picture(row, [one], [pulling]), NOTHING, much_later).instances[one.id]["status"] == S.FAILED


def test_causes_that_take_turns_share_one_patience() -> None:
    row = cluster()
    one = instance(row, status=S.STARTING, reason=Reason.EXITED, waiting_since=NOW)
    crashing = seen(S.STARTING, reason=Reason.CRASH_LOOP)
    assert judge(picture(row, [one], [crashing]), NOTHING, later(61)).instances[one.id]["status"] == S.FAILED


def test_silence_ends_too() -> None:
    row = cluster()
    one = instance(row, status=S.STARTING, waiting_since=NOW)
    over = judge(picture(row, [one], [seen(S.STARTING, reason=Reason.WAITING)]), NOTHING, later(600)).instances[one.id]
    assert (over["status"], over["reason"]) == (S.FAILED, Reason.DEADLINE)
    one = instance(row, wanted=Wanted.STOPPED, status=S.STOPPING, waiting_since=NOW)
    leaving = seen(S.STOPPING, deleting=True)
    over = judge(picture(row, [one], [leaving]), NOTHING, later(600)).instances[one.id]
    assert (over["status"], over["reason"]) == (S.FAILED, Reason.TERMINATION_STUCK)


def test_refused_and_blocked() -> None:
    row = cluster()
    one = instance(row, status=S.PENDING)
    refused = Outcome(refused={one.id: Trouble(Reason.QUOTA, "exceeded quota")})
    verdict = judge(picture(row, [one]), refused, NOW)
    assert verdict.instances[one.id]["reason"] == Reason.QUOTA
    blocked = Outcome(blocked=Trouble(Reason.WAITING, "the namespace is being deleted"))
    verdict = judge(picture(row, [one]), blocked, NOW)
    assert "status" not in verdict.instances[one.id]
    assert verdict.next_visit is not None
    one.waiting_since = NOW
    late = judge(picture(row, [one]), blocked, later(601)).instances[one.id]
    assert (late["status"], late["reason"]) == (S.FAILED, Reason.TERMINATION_STUCK)


def test_a_kind_that_cannot_exist_fails_with_the_reason() -> None:
    row = cluster(instance_type="vm", phase=ClusterPhase.PENDING)
    one = instance(row, status=S.PENDING)
    create = operation(row, OperationKind.CLUSTER_CREATE)
    verdict = judge(picture(row, [one], operations=[create], unavailable="KubeVirt is not installed"), NOTHING, NOW)
    assert (verdict.instances[one.id]["status"], verdict.instances[one.id]["reason"]) == ("failed", "configuration")
    assert "KubeVirt is not installed" in verdict.cluster["message"]
    assert verdict.operations[0].status is OperationStatus.FAILED


def test_healing_is_told_until_it_runs() -> None:
    row = cluster()
    one = instance(row)
    values = judge(picture(row, [one], unseen={one.id: Verb.APPLY}), NOTHING, NOW).instances[one.id]
    assert "deleted in Kubernetes" in values["message"]
    one.status, one.message, one.waiting_since = S.STARTING, values["message"], NOW
    assert judge(picture(row, [one]), NOTHING, NOW).instances == {}
    assert judge(picture(row, [one], [seen()]), NOTHING, NOW).instances[one.id]["message"] is None


def test_suspend_lost() -> None:
    row = cluster()
    one = instance(row, wanted=Wanted.SUSPENDED, status=S.SUSPENDING)
    suspend = operation(row, OperationKind.INSTANCE_SUSPEND, one)
    verdict = judge(picture(row, [one], [None], [suspend]), NOTHING, NOW)
    values = verdict.instances[one.id]
    assert (values["wanted"], values["status"], values["reason"]) == ("stopped", "stopped", "suspend_lost")
    assert verdict.operations[0].status is OperationStatus.FAILED
    assert verdict.stopped == (one.id,)
    one.wanted, one.status, one.reason, one.message = "stopped", "stopped", values["reason"], values["message"]
    assert judge(picture(row, [one]), NOTHING, NOW).instances == {}


def test_what_cannot_be_seen_is_not_lost() -> None:
    row = cluster(instance_type="vm")
    one = instance(row, wanted=Wanted.SUSPENDED, status=S.SUSPENDED)
    unread = judge(picture(row, [one], unavailable="not read"), NOTHING, NOW)
    away = judge(picture(row, [one]), Outcome(unavailable="away"), NOW)
    for verdict in (unread, away):
        assert "wanted" not in verdict.instances.get(one.id, {})


def test_a_suspend_that_cannot_be_is_given_up_and_it_runs_on() -> None:
    row = cluster()
    one = instance(row, wanted=Wanted.SUSPENDED, status=S.SUSPENDING, reason="suspend_unsupported", waiting_since=NOW)
    suspend = operation(row, OperationKind.INSTANCE_SUSPEND, one)
    verdict = judge(picture(row, [one], [seen(suspend=None)], [suspend]), NOTHING, later(61))
    assert (verdict.instances[one.id]["wanted"], verdict.instances[one.id]["status"]) == ("running", "running")
    assert (verdict.operations[0].status, verdict.operations[0].reason) == ("failed", "suspend_unsupported")


@pytest.mark.parametrize("verb", list(TRANSITIONS))
def test_operations_end_when_it_is_as_wished(verb: InstanceOperation) -> None:
    row = cluster()
    change = TRANSITIONS[verb]
    one = instance(row, wanted=change.wanted, status=change.meanwhile, incarnation=2)
    op = operation(row, OperationKind(f"instance.{verb}"), one)
    there = {"running": seen(incarnation=2), "stopped": None, "suspended": seen(S.SUSPENDED, incarnation=2)}
    assert judge(picture(row, [one], [there[change.wanted]], [op]), NOTHING, NOW).operations[0].status == "succeeded"
    elsewhere = seen(S.STARTING, incarnation=1)
    assert judge(picture(row, [one], [elsewhere], [op]), NOTHING, NOW).operations == ()
    unseen = picture(row, [one], [there[change.wanted]], [op], unseen={one.id: Verb.APPLY})
    assert judge(unseen, NOTHING, NOW).operations == ()
    one.wanted = Wanted.STOPPED if change.wanted is Wanted.RUNNING else Wanted.RUNNING
    assert judge(picture(row, [one], [seen()], [op]), NOTHING, NOW).operations[0].status == "cancelled"
    assert judge(picture(row, [], [], [op]), NOTHING, NOW).operations[0].status == "cancelled"


@pytest.mark.parametrize(
    ("before", "creating", "statuses", "phase"),
    [
        ("pending", True, [None, None], "provisioning"),
        ("provisioning", True, ["running", None], "provisioning"),
        ("provisioning", True, ["running", "running"], "running"),
        ("provisioning", True, ["running", "failed"], "degraded"),
        ("provisioning", True, ["failed", "failed"], "failed"),
        ("running", False, ["running", None], "degraded"),
        ("running", False, [None, None], "degraded"),
        ("failed", False, ["running", "failed"], "degraded"),
        ("failed", False, ["running", "running"], "running"),
    ],
)
def test_phases(before: str, creating: bool, statuses: list[str | None], phase: str) -> None:
    row = cluster(phase=before)
    ones = [instance(row, n, status=S.STARTING, reason="image_pull", waiting_since=NOW) for n in (1, 2)]
    views = {None: None, "running": seen(), "failed": seen(S.STARTING, reason=Reason.IMAGE_PULL)}
    ops = [operation(row, OperationKind.CLUSTER_CREATE, total=2)] if creating else []
    verdict = judge(picture(row, ones, [views[s] for s in statuses], ops), NOTHING, later(200))
    assert verdict.cluster.get("phase", before) == phase
    if creating:
        expected = {"running": "succeeded", "provisioning": None}.get(phase, "failed")
        ended = [op.status for op in verdict.operations if op.status is not None]
        assert ended == ([expected] if expected else [])


def test_pending_until_something_was_done() -> None:
    row = cluster(phase=ClusterPhase.PENDING, namespace_uid=None)
    one = instance(row, status=S.PENDING)
    create = operation(row, OperationKind.CLUSTER_CREATE)
    assert "phase" not in judge(picture(row, [one], [], [create], namespace=None), Outcome(raced=True), NOW).cluster
    made = judge(picture(row, [one], [], [create], namespace=None), Outcome(namespace_uid="ns-9"), NOW)
    assert (made.cluster["phase"], made.cluster["namespace_uid"]) == ("provisioning", "ns-9")


def test_the_cluster_names_its_most_frequent_reason() -> None:
    row = cluster(phase=ClusterPhase.RUNNING)
    reasons = [Reason.IMAGE_PULL, Reason.UNSCHEDULABLE, Reason.IMAGE_PULL]
    ones = [instance(row, n, status="failed", reason=r, waiting_since=NOW) for n, r in enumerate(reasons, 1)]
    verdict = judge(picture(row, ones, [seen(S.STARTING, reason=r) for r in reasons]), NOTHING, later(1000))
    assert verdict.cluster["reason"] == Reason.IMAGE_PULL
    assert verdict.cluster["message"].startswith("2 of 3 instances: The image cannot be pulled")


def test_deletion_is_said_to_be_stuck_after_a_while_only() -> None:
    row = cluster(phase=ClusterPhase.DELETING)
    delete = operation(row, OperationKind.CLUSTER_DELETE)
    stuck = Outcome(blocked=Trouble(Reason.TERMINATION_STUCK, "Some content remains"))
    leaving = NamespaceState("ns-1", terminating=True)
    early = judge(picture(row, [], [], [delete], namespace=leaving), stuck, later(599))
    assert early.cluster.get("reason") is None
    late = judge(picture(row, [], [], [delete], namespace=leaving), stuck, later(601))
    assert late.cluster["reason"] == Reason.TERMINATION_STUCK
    assert "Some content remains" in late.cluster["message"]
    assert late.operations == ()
    create = operation(row, OperationKind.CLUSTER_CREATE)
    assert judge(picture(row, [], [], [create]), NOTHING, NOW).operations[0].status == "cancelled"


def test_unreachable_changes_nothing_but_the_reason() -> None:
    row = cluster()
    assert set(unreachable(row, "no route").cluster) == {"reason", "message"}
    assert unreachable(row, "no route").instances == {}


def test_nothing_changes_when_everything_is_as_wished() -> None:
    row = cluster(ready_instances=1)
    one = instance(row, suspend="freeze")
    verdict = judge(picture(row, [one], [seen()]), NOTHING, NOW)
    assert (verdict.cluster, verdict.instances, verdict.operations, verdict.next_visit) == ({}, {}, (), None)


def test_a_gone_instance_is_not_written() -> None:
    row = cluster()
    one = instance(row, wanted=Wanted.ABSENT)
    verdict = judge(picture(row, [one]), Outcome(gone_instances=frozenset({one.id})), NOW)
    assert one.id not in verdict.instances
    assert uuid.UUID(int=0) not in verdict.instances


def test_what_completed_is_put_away_soon() -> None:
    """Nothing of it changes any more, so no event would bring a worker here."""
    row = cluster(instance_type="vm")
    one = instance(row)
    verdict = judge(picture(row, [one], [seen(S.STOPPED, ended="completed")]), NOTHING, NOW)
    assert (verdict.instances[one.id]["wanted"], verdict.instances[one.id]["reason"]) == ("stopped", "completed")
    assert verdict.next_visit == 1.0
