"""What is asked once of a running instance and leaves no wish: a reboot, a move to another node.

Nothing but the open operation remembers it. A reboot is asked for once more if a worker dies after asking and before
writing that down; a migration bears its operation's id, so that asking again makes no second one.
"""

import uuid
from collections.abc import Collection, Iterator
from datetime import datetime

from app.models import Instance, InstanceStatus, Operation, OperationKind, OperationStatus, Reason, Wanted
from app.reconciler.decide.rulings import Ruling
from app.reconciler.decide.values import (
    OperationRuling,
    Outcome,
    Picture,
    Seen,
    SeenMigration,
    Step,
    Verb,
    seconds_since,
)
from app.rules.reasons import explain

VERBS = {OperationKind.INSTANCE_REBOOT: Verb.REBOOT, OperationKind.INSTANCE_MIGRATE: Verb.MIGRATE}
# Until it must have been asked for, or have found a place.
PATIENCE = {Verb.REBOOT: 60.0, Verb.MIGRATE: 120.0}
# KubeVirt moves a few machines at a time: until then the others wait for their turn, which is no trouble.
_QUEUED = 1800.0
_LOOK_AGAIN = 2.0


def steps(picture: Picture, busy: Collection[uuid.UUID]) -> Iterator[Step]:
    """`busy`: instances that take a step towards their wish now; an errand waits for that."""
    errands = {op.instance_id: op for op in picture.operations if op.kind in VERBS}
    for instance in picture.instances:
        seen, op = picture.seen.get(instance.id), errands.get(instance.id)
        migration = seen.migration if seen is not None else None
        if migration is not None and (op is None or migration.name != str(op.id)):
            if not migration.deleting:
                yield Step(Verb.ABANDON, instance.id)
        elif op is not None and migration is None and instance.id not in busy and _may(picture, instance, seen, op):
            yield Step(VERBS[OperationKind(op.kind)], instance.id, op.id)


def judged(picture: Picture, outcome: Outcome, ruling: Ruling | None, op: Operation, now: datetime) -> OperationRuling:
    if ruling is None or op.instance_id is None:
        return OperationRuling(op, OperationStatus.CANCELLED, op.done, op.total, None, "the instance is gone")
    if ruling.wanted is not Wanted.RUNNING:
        return OperationRuling(op, OperationStatus.CANCELLED, op.done, op.total, None, "superseded by a later wish")
    if (trouble := outcome.declined.get(op.id)) is not None:
        return _failed(op, trouble.reason, f"Kubernetes says: {trouble.message}")
    seen, verb = picture.seen.get(op.instance_id), VERBS[OperationKind(op.kind)]
    migration = seen.migration if seen is not None else None
    age = seconds_since(op.created_at, now)
    if migration is not None and migration.name == str(op.id):
        return _migration(op, migration, late=age > (PATIENCE[verb] if migration.reason is not None else _QUEUED))
    if verb is Verb.REBOOT and op.id in picture.asked:
        return OperationRuling(op, OperationStatus.SUCCEEDED, op.total, op.total)
    if age > PATIENCE[verb]:
        return _failed(op, Reason.DEADLINE, explain(Reason.DEADLINE, f"it is {ruling.status}, and did not {verb}"))
    return OperationRuling(op, None, 0, op.total)


def look_again(picture: Picture, operations: Collection[OperationRuling]) -> list[float]:
    """Seconds: soon where an errand is open, at once where one ended, to clear its migration away."""
    ended = {ruling.operation.id for ruling in operations if ruling.status is not None}
    return [0.0 if op.id in ended else _LOOK_AGAIN for op in picture.operations if op.kind in VERBS]


def _may(picture: Picture, instance: Instance, seen: Seen | None, op: Operation) -> bool:
    wished = instance.wanted == Wanted.RUNNING and op.id not in picture.asked
    runs = seen is not None and seen.status is InstanceStatus.RUNNING and not seen.deleting
    return wished and runs


def _migration(op: Operation, migration: SeenMigration, *, late: bool) -> OperationRuling:
    if migration.state == "succeeded":
        return OperationRuling(op, OperationStatus.SUCCEEDED, op.total, op.total)
    if migration.state == "failed" or (late and migration.state == "waiting"):
        reason = migration.reason or Reason.MIGRATION_FAILED
        return _failed(op, reason, explain(reason, migration.message))
    said = explain(migration.reason, migration.message)
    return OperationRuling(op, None, 0, op.total, migration.reason, said)


def _failed(op: Operation, reason: Reason, message: str | None) -> OperationRuling:
    return OperationRuling(op, OperationStatus.FAILED, op.done, op.total, reason, message and message[:1024])
