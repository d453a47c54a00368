"""Reboots and moves: asked once, of what runs, and nothing is left of them."""

from dataclasses import replace
from typing import Any

import pytest

from app.instance_types.values import Migration
from app.k8s_service import Observed
from app.models import Cluster, Instance, InstanceStatus, Operation, OperationKind, OperationStatus, Reason, Wanted
from app.reconciler.decide import Outcome, Picture, Step, Trouble, Verb, judge, plan
from tests.unit.reconciler.rows import NOTHING, NOW, cluster, instance, later, operation, picture, seen

S = InstanceStatus
REBOOT, MIGRATE = OperationKind.INSTANCE_REBOOT, OperationKind.INSTANCE_MIGRATE


def asked(kind: OperationKind, **row: Any) -> tuple[Cluster, Instance, Operation]:
    owner = cluster(instance_type="vm")
    one = instance(owner, **row)
    return owner, one, operation(owner, kind, one, status=OperationStatus.PENDING)


def shown(kind: OperationKind, observed: Observed | None, **more: Any) -> tuple[Picture, Instance, Operation]:
    owner, one, op = asked(kind)
    return picture(owner, [one], [observed], [op], **more), one, op


def moving(op: Operation, state: Any = "waiting", **more: Any) -> Migration:
    return Migration(str(op.id), "m-1", state, **more)


@pytest.mark.parametrize(("kind", "verb"), [(REBOOT, Verb.REBOOT), (MIGRATE, Verb.MIGRATE)])
def test_it_is_sent_to_what_runs_once(kind: OperationKind, verb: Verb) -> None:
    seen_running, one, op = shown(kind, seen())
    assert plan(seen_running).steps == (Step(verb, one.id, op.id),)
    assert plan(replace(seen_running, asked=frozenset({op.id}))).steps == ()
    for status in (S.STARTING, S.SUSPENDED):
        waits, _, op = shown(kind, seen(status))
        assert not any(step.operation_id == op.id for step in plan(waits).steps)
    assert plan(shown(kind, None)[0]).steps[0].verb is Verb.APPLY


def test_it_waits_for_a_step_towards_the_wish() -> None:
    owner, one, op = asked(REBOOT, incarnation=2)
    assert [step.verb for step in plan(picture(owner, [one], [seen()], [op])).steps] == [Verb.RESTART]


def test_a_reboot_ends_when_it_was_accepted() -> None:
    looked, one, op = shown(REBOOT, seen())
    (waiting,) = judge(looked, NOTHING, NOW).operations
    assert (waiting.status, waiting.done) == (None, 0)
    verdict = judge(replace(looked, asked=frozenset({op.id})), NOTHING, later(100))
    assert verdict.operations[0].status is OperationStatus.SUCCEEDED
    assert "status" not in verdict.instances.get(one.id, {}), "it is as it was"


@pytest.mark.parametrize("kind", [REBOOT, MIGRATE])
def test_what_kubernetes_declines_fails_the_operation_alone(kind: OperationKind) -> None:
    looked, one, op = shown(kind, seen())
    declined = Outcome(declined={op.id: Trouble(Reason.REJECTED, "VMI is paused")})
    verdict = judge(looked, declined, NOW)
    (ruling,) = verdict.operations
    assert (ruling.status, ruling.reason) == (OperationStatus.FAILED, Reason.REJECTED)
    assert ruling.message == "Kubernetes says: VMI is paused"
    assert "status" not in verdict.instances.get(one.id, {})


@pytest.mark.parametrize(("kind", "patience"), [(REBOOT, 60), (MIGRATE, 120)])
def test_patience_ends(kind: OperationKind, patience: int) -> None:
    looked, _, op = shown(kind, seen(S.STARTING))
    op.status = OperationStatus.RUNNING
    assert judge(looked, NOTHING, later(patience - 1)).operations == ()
    (ruling,) = judge(looked, NOTHING, later(patience + 1)).operations
    assert (ruling.status, ruling.reason) == (OperationStatus.FAILED, Reason.DEADLINE)


@pytest.mark.parametrize("kind", [REBOOT, MIGRATE])
def test_a_later_wish_ends_it(kind: OperationKind) -> None:
    owner, one, op = asked(kind, wanted=Wanted.STOPPED)
    assert judge(picture(owner, [one], [seen()], [op]), NOTHING, NOW).operations[0].status is OperationStatus.CANCELLED
    assert judge(picture(owner, [], [], [op]), NOTHING, NOW).operations[0].status is OperationStatus.CANCELLED


def test_a_migration_is_followed_to_its_end() -> None:
    owner, one, op = asked(MIGRATE)
    op.status = OperationStatus.RUNNING

    def after(migration: Migration, seconds: float = 1) -> Any:
        looked = picture(owner, [one], [seen(migration=migration)], [op])
        assert not plan(looked).steps, "what is under way is left alone"
        return judge(looked, NOTHING, later(seconds))

    (ruling,) = after(moving(op, message="preparing to move: Pending")).operations
    assert (ruling.status, ruling.message) == (None, "preparing to move: Pending")
    (ruling,) = after(moving(op, "moving", message="moving to node-2"), 1000).operations
    assert ruling.status is None, "a move that has begun takes the time it takes"
    verdict = after(moving(op, "succeeded"))
    assert (verdict.operations[0].status, verdict.next_visit) == (OperationStatus.SUCCEEDED, 0.0)
    (ruling,) = after(moving(op, "failed", message="target went away")).operations
    assert (ruling.status, ruling.reason) == (OperationStatus.FAILED, Reason.MIGRATION_FAILED)
    assert "(target went away)" in str(ruling.message)


def test_a_migration_that_finds_no_place_fails_with_the_cause() -> None:
    owner, one, op = asked(MIGRATE)
    waits = moving(op, reason=Reason.UNSCHEDULABLE, message="0/1 nodes are available")
    looked = picture(owner, [one], [seen(migration=waits)], [op])
    (ruling,) = judge(looked, NOTHING, later(119)).operations
    assert (ruling.status, ruling.reason) == (None, Reason.UNSCHEDULABLE)
    verdict = judge(looked, NOTHING, later(121))
    (ruling,) = verdict.operations
    assert (ruling.status, ruling.reason) == (OperationStatus.FAILED, Reason.UNSCHEDULABLE)
    assert "0/1 nodes are available" in str(ruling.message)
    assert "status" not in verdict.instances.get(one.id, {}), "it runs on"
    queued = picture(owner, [one], [seen(migration=moving(op))], [op])
    assert judge(queued, NOTHING, later(1799)).operations[0].status is None, "KubeVirt moves a few at a time"
    assert judge(queued, NOTHING, later(1801)).operations[0].status is OperationStatus.FAILED


@pytest.mark.parametrize("state", ["waiting", "moving", "succeeded", "failed"])
def test_a_migration_that_nobody_waits_for_is_cleared_away(state: Any) -> None:
    owner, one, op = asked(MIGRATE)
    for operations in ([], [operation(owner, MIGRATE, one)], [operation(owner, REBOOT, one)]):
        looked = picture(owner, [one], [seen(migration=moving(op, state))], operations)
        assert plan(looked).steps[0] == Step(Verb.ABANDON, one.id)
    leaving = picture(owner, [one], [seen(migration=moving(op, state, deleting=True))], [])
    assert plan(leaving).steps == ()
