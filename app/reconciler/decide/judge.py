"""What is said about a cluster, its instances and the operations under way, after the steps were tried."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.models import (
    Cluster,
    ClusterPhase,
    Instance,
    InstanceOperation,
    InstanceStatus,
    Operation,
    OperationKind,
    OperationStatus,
    Reason,
    Wanted,
)
from app.reconciler.decide import errands, update
from app.reconciler.decide.rolling import outdated
from app.reconciler.decide.rulings import Ruling, rule
from app.reconciler.decide.values import OperationRuling, Outcome, Picture, seconds_since
from app.rules.lifecycle import TRANSITIONS
from app.rules.reasons import EXPLANATIONS, explain

_LOOK_AGAIN = 5.0
_REFUSED_AGAIN = 10.0
_DELETING_AGAIN = 2.0
_STUCK_AGAIN = 30.0
_NAMED = 5
_OF_WHAT_IS_SEEN = ("node", "ip", "unmigratable", "guest")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Only what changes: columns by instance, the cluster's columns, operations. `stopped`: newly seen to be stopped.
    `sized`: newly seen to hold no more than the cluster's size, though more was charged. `next_visit` in seconds; None:
    nothing but the ordinary sweep.
    """

    cluster: Mapping[str, Any] = field(default_factory=dict)
    instances: Mapping[uuid.UUID, Mapping[str, Any]] = field(default_factory=dict)
    operations: tuple[OperationRuling, ...] = ()
    stopped: tuple[uuid.UUID, ...] = ()
    sized: tuple[uuid.UUID, ...] = ()
    next_visit: float | None = None


def judge(picture: Picture, outcome: Outcome, now: datetime) -> Verdict:
    rulings = {i.id: rule(picture, outcome, i, now) for i in picture.instances}
    gone = outcome.gone_instances
    operations = tuple(
        ruling
        for op in picture.operations
        if (ruling := _operation(picture, outcome, rulings, op, now)) is not None and _differs(op, ruling)
    )
    sized = frozenset(i.id for i in picture.remaining() if _newly_sized(picture, i, rulings[i.id]))
    return Verdict(
        cluster=_changed(picture.cluster, _cluster(picture, outcome, rulings, operations, now)),
        instances={
            i.id: changes
            for i in picture.instances
            if i.id not in gone and (changes := _changed(i, _instance(picture, outcome, i, rulings[i.id], sized)))
        },
        operations=operations,
        stopped=tuple(i.id for i in picture.instances if _newly_stopped(i, rulings[i.id])),
        sized=tuple(sized),
        next_visit=_next_visit(picture, outcome, rulings, operations, now),
    )


def unreachable(cluster: Cluster, why: str) -> Verdict:
    """Kubernetes cannot be seen at all: everything stays as it was last seen, and that is said."""
    said = {"reason": Reason.KUBERNETES_UNAVAILABLE, "message": explain(Reason.KUBERNETES_UNAVAILABLE, why)}
    return Verdict(cluster=_changed(cluster, said))


def _instance(
    picture: Picture, outcome: Outcome, instance: Instance, ruling: Ruling, sized: frozenset[uuid.UUID]
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": ruling.status,
        "wanted": ruling.wanted,
        "reason": ruling.reason,
        "message": ruling.message[:1024] if ruling.message else None,
        "waiting_since": ruling.waiting_since,
    }
    if instance.id in sized:
        values |= {"cpu": picture.cluster.cpu_per_inst, "memory": picture.cluster.memory_per_inst}
    seen = picture.seen.get(instance.id)
    if seen is None:
        return values | dict.fromkeys(("restart_required", "migratable"), False) | dict.fromkeys(_OF_WHAT_IS_SEEN)
    told = ("restarts", "suspend", "revision", "migratable", *_OF_WHAT_IS_SEEN)
    waits = seen.restart_required or outdated(picture, seen) or instance.id in outcome.unchanged
    return values | {name: getattr(seen, name) for name in told} | {"restart_required": waits}


def _newly_stopped(instance: Instance, ruling: Ruling) -> bool:
    return ruling.settled and ruling.status is InstanceStatus.STOPPED and instance.status != InstanceStatus.STOPPED


def _newly_sized(picture: Picture, instance: Instance, ruling: Ruling) -> bool:
    if (instance.cpu, instance.memory) == (picture.cluster.cpu_per_inst, picture.cluster.memory_per_inst):
        return False
    if ruling.settled and ruling.status is InstanceStatus.STOPPED:
        return True
    seen = picture.seen.get(instance.id)
    if seen is None or seen.deleting or instance.id in picture.unseen:
        return False
    return picture.has_size(seen)


# --- operations ------------------------------------------------------------------------------------------------------


def _operation(
    picture: Picture, outcome: Outcome, rulings: Mapping[uuid.UUID, Ruling], op: Operation, now: datetime
) -> OperationRuling | None:
    if op.kind == OperationKind.CLUSTER_DELETE:
        return _deletion(picture, outcome, op)
    if picture.deleting:
        return OperationRuling(op, OperationStatus.CANCELLED, op.done, op.total, None, "the cluster is being deleted")
    if op.kind == OperationKind.CLUSTER_CREATE:
        return _creation(picture, rulings, op)
    if op.kind == OperationKind.CLUSTER_SCALE:
        return _scaling(picture, outcome, rulings, op)
    if op.kind == OperationKind.CLUSTER_UPDATE:
        return update.progress(picture, outcome, rulings, op, now)
    if op.kind in errands.VERBS:
        return errands.judged(picture, outcome, rulings.get(op.instance_id or op.id), op, now)
    return _instance_operation(rulings, op)


def _deletion(picture: Picture, outcome: Outcome, op: Operation) -> OperationRuling:
    total = max(len(picture.instances), 1)
    if outcome.gone:
        return OperationRuling(op, OperationStatus.SUCCEEDED, total, total)
    present = sum(1 for i in picture.instances if i.id in picture.seen)
    return OperationRuling(op, None, min(len(picture.instances) - present, total), total)


def _creation(picture: Picture, rulings: Mapping[uuid.UUID, Ruling], op: Operation) -> OperationRuling:
    instances = picture.remaining()
    done = sum(1 for i in instances if rulings[i.id].as_wished)
    failed = [i for i in instances if rulings[i.id].failed]
    if failed:
        first = rulings[failed[0].id]
        names = ", ".join(i.instance_name for i in failed[:_NAMED]) + (" and more" if len(failed) > _NAMED else "")
        message = f"{len(failed)} of {len(instances)} instances failed ({names}): {first.message}"
        return OperationRuling(op, OperationStatus.FAILED, done, len(instances), first.reason, message[:1024])
    status = OperationStatus.SUCCEEDED if done == len(instances) else None
    return OperationRuling(op, status, done, len(instances))


def _scaling(picture: Picture, outcome: Outcome, rulings: Mapping[uuid.UUID, Ruling], op: Operation) -> OperationRuling:
    """Of the instances that it made, and those that it lets go."""
    made = [i for i in picture.remaining() if i.created_at >= op.created_at]
    leaving = [i for i in picture.instances if i.wanted == Wanted.ABSENT and i.id not in outcome.gone_instances]
    behind = [i for i in made if not rulings[i.id].as_wished]
    done = max(op.total - len(behind) - len(leaving), 0)
    if failed := [rulings[i.id] for i in made if rulings[i.id].failed]:
        message = f"{len(failed)} of {len(made)} new instances failed: {failed[0].message}"
        return OperationRuling(op, OperationStatus.FAILED, done, op.total, failed[0].reason, message[:1024])
    return OperationRuling(op, None if behind or leaving else OperationStatus.SUCCEEDED, done, op.total)


def _instance_operation(rulings: Mapping[uuid.UUID, Ruling], op: Operation) -> OperationRuling:
    ruling = rulings.get(op.instance_id) if op.instance_id is not None else None
    if ruling is None:
        return OperationRuling(op, OperationStatus.CANCELLED, op.done, op.total, None, "the instance is gone")
    wish = TRANSITIONS[InstanceOperation(op.kind.removeprefix("instance."))].wanted
    if ruling.blame is not None and wish is Wanted.SUSPENDED:
        return _ended(op, OperationStatus.FAILED, ruling.blame.reason, ruling.blame.message)
    if ruling.reason is Reason.COMPLETED and wish is Wanted.RUNNING:
        return OperationRuling(op, OperationStatus.SUCCEEDED, op.total, op.total)
    if ruling.wanted is not wish:
        return _ended(op, OperationStatus.CANCELLED, None, "superseded by a later wish")
    if ruling.failed:
        return _ended(op, OperationStatus.FAILED, ruling.reason, ruling.message)
    if ruling.as_wished:
        return OperationRuling(op, OperationStatus.SUCCEEDED, op.total, op.total)
    return OperationRuling(op, None, 0, op.total, ruling.reason, ruling.message)


def _ended(op: Operation, status: OperationStatus, reason: Reason | None, message: str | None) -> OperationRuling:
    return OperationRuling(op, status, op.done, op.total, reason, message)


def _differs(op: Operation, ruling: OperationRuling) -> bool:
    if ruling.status is not None or op.status == OperationStatus.PENDING:
        return True
    return (op.done, op.total, op.reason, op.message) != (ruling.done, ruling.total, ruling.reason, ruling.message)


# --- the cluster -----------------------------------------------------------------------------------------------------


def _cluster(
    picture: Picture,
    outcome: Outcome,
    rulings: Mapping[uuid.UUID, Ruling],
    operations: tuple[OperationRuling, ...],
    now: datetime,
) -> dict[str, Any]:
    uid = outcome.namespace_uid
    if uid is None and picture.namespace is not None and not picture.namespace.foreign:
        uid = picture.namespace.uid
    known = {"namespace_uid": uid} if uid is not None else {}
    if picture.deleting:
        return known | {"ready_instances": 0} | _stuck(picture, outcome, now)
    instances = picture.remaining()
    ready = sum(1 for i in instances if rulings[i.id].as_wished)
    phase = _phase(picture, outcome, rulings, operations, ready)
    return known | {"phase": phase, "ready_instances": ready} | _why(picture, outcome, rulings, ready)


def _phase(
    picture: Picture,
    outcome: Outcome,
    rulings: Mapping[uuid.UUID, Ruling],
    operations: tuple[OperationRuling, ...],
    ready: int,
) -> ClusterPhase:
    instances = picture.remaining()
    if ready == len(instances):
        return ClusterPhase.RUNNING
    failed = any(rulings[i.id].failed for i in instances)
    ended = {ruling.operation.id for ruling in operations if ruling.status is not None}
    making = (OperationKind.CLUSTER_CREATE, OperationKind.CLUSTER_SCALE, OperationKind.CLUSTER_UPDATE)
    creating = any(op.kind in making and op.id not in ended for op in picture.operations)
    first_time = creating or picture.cluster.phase in (ClusterPhase.PENDING, ClusterPhase.PROVISIONING)
    if first_time and not failed:
        nothing_yet = picture.namespace is None and outcome.namespace_uid is None
        pending = picture.cluster.phase == ClusterPhase.PENDING and nothing_yet
        return ClusterPhase.PENDING if pending else ClusterPhase.PROVISIONING
    if failed and ready == 0:
        return ClusterPhase.FAILED
    return ClusterPhase.DEGRADED


def _why(picture: Picture, outcome: Outcome, rulings: Mapping[uuid.UUID, Ruling], ready: int) -> dict[str, Any]:
    """The most frequent reason, failures first, and how many it concerns."""
    if outcome.unavailable is not None:
        reason: Reason | None = Reason.KUBERNETES_UNAVAILABLE
        return {"reason": reason, "message": explain(reason, outcome.unavailable)}
    instances = picture.remaining()
    behind = [r for i in instances if not (r := rulings[i.id]).as_wished and r.reason is not None]
    behind = [r for r in behind if r.failed] or [r for r in behind if r.reason is not Reason.WAITING]
    if not behind:
        message = outcome.blocked.message if outcome.blocked is not None and ready < len(instances) else None
        return {"reason": None, "message": message}
    reason, count = Counter(r.reason for r in behind).most_common(1)[0]
    first = next(r for r in behind if r.reason is reason)
    return {"reason": reason, "message": f"{count} of {len(instances)} instances: {first.message}"[:1024]}


def _stuck(picture: Picture, outcome: Outcome, now: datetime) -> dict[str, Any]:
    if outcome.unavailable is not None:
        reason = Reason.KUBERNETES_UNAVAILABLE
        return {"reason": reason, "message": explain(reason, outcome.unavailable)}
    if outcome.gone or _deleting_for(picture, now) < EXPLANATIONS[Reason.TERMINATION_STUCK].patience:
        return {"reason": None, "message": None}
    detail = outcome.blocked.message if outcome.blocked is not None else None
    if detail is None and picture.namespace is not None:
        detail = picture.namespace.message
    return {"reason": Reason.TERMINATION_STUCK, "message": explain(Reason.TERMINATION_STUCK, detail)}


def _next_visit(
    picture: Picture,
    outcome: Outcome,
    rulings: Mapping[uuid.UUID, Ruling],
    operations: tuple[OperationRuling, ...],
    now: datetime,
) -> float | None:
    """A lost event must not cost more than some seconds where something is under way, nor a stuck thing a busy loop."""
    if outcome.unfinished or outcome.gone_instances:
        return 0.0
    if outcome.raced:
        return 0.5
    if picture.deleting:
        return min(_STUCK_AGAIN, max(_DELETING_AGAIN, _deleting_for(picture, now) / 10))
    failed = any(r.failed for r in rulings.values())
    if outcome.blocked is not None:
        return _STUCK_AGAIN if failed else _DELETING_AGAIN
    waits = [min(r.left, _LOOK_AGAIN) for r in rulings.values() if r.left is not None]
    waits += [_STUCK_AGAIN if failed else _REFUSED_AGAIN] if outcome.refused else []
    waits += [_LOOK_AGAIN] if picture.updating else []
    waits += errands.look_again(picture, operations)
    waits += [_DELETING_AGAIN] if any(i.wanted == Wanted.ABSENT for i in picture.instances) else []
    return min(waits, default=None)


def _deleting_for(picture: Picture, now: datetime) -> float:
    asked = [op.created_at for op in picture.operations if op.kind == OperationKind.CLUSTER_DELETE]
    return seconds_since(max(asked, default=picture.cluster.updated_at), now)


def _changed(row: Cluster | Instance, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if getattr(row, name) != value}
