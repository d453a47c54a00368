"""How far the change of a cluster is: it has come to an instance when that runs with the new size, image and settings.

What does not run gets them when it starts. A VM has them in its template; whether they wait for its next start stands
on it.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime

from app.models import Instance, Operation, OperationStatus, Reason, Wanted
from app.reconciler.decide.rolling import outdated
from app.reconciler.decide.rulings import Ruling
from app.reconciler.decide.values import OperationRuling, Outcome, Picture, Seen, Trouble, seconds_since
from app.rules.reasons import EXPLANATIONS, explain

_RESTART = "Restart it, so that it is placed by its new size."


def progress(
    picture: Picture, outcome: Outcome, rulings: Mapping[uuid.UUID, Ruling], op: Operation, now: datetime
) -> OperationRuling:
    members = picture.remaining()
    behind = [i for i in members if not _has_come(picture, i, rulings[i.id])]
    total, done = len(members), len(members) - len(behind)
    for instance in members:
        trouble = _trouble(picture, outcome, rulings[instance.id], instance, seconds_since(op.created_at, now))
        if trouble is not None:
            message = f"{instance.instance_name}: {trouble.message}"[:1024]
            return OperationRuling(op, OperationStatus.FAILED, done, total, trouble.reason, message)
    if behind:
        return OperationRuling(op, None, done, total, None, _waits_for(picture, behind))
    return OperationRuling(op, OperationStatus.SUCCEEDED, total, total, None, _left_to_restart(picture, members))


def _has_come(picture: Picture, instance: Instance, ruling: Ruling) -> bool:
    seen = picture.seen.get(instance.id)
    if picture.kept_when_stopped:
        return seen is not None and instance.id not in picture.unseen and _is_told(picture, seen)
    if instance.wanted != Wanted.RUNNING:
        return True
    if seen is None or instance.id in picture.unseen or outdated(picture, seen):
        return False
    return ruling.as_wished and picture.has_size(seen)


def _is_told(picture: Picture, seen: Seen) -> bool:
    current = seen.told is None or seen.told >= picture.cluster.revision
    return current and picture.asks_for_size(seen)


def _trouble(picture: Picture, outcome: Outcome, ruling: Ruling, instance: Instance, seconds: float) -> Trouble | None:
    if (refused := outcome.unchanged.get(instance.id)) is not None:
        return _said(refused.reason, refused.message)
    seen = picture.seen.get(instance.id)
    if seen is None or picture.kept_when_stopped or instance.id in picture.unseen:
        return None
    if ruling.failed and not outdated(picture, seen):
        return Trouble(ruling.reason or Reason.DEADLINE, ruling.message)
    if seen.pending_size is None or not picture.asks_for_size(seen):
        return None
    if seen.restart_required or seconds > EXPLANATIONS[Reason.UNSCHEDULABLE].patience:
        return _said(Reason.UNSCHEDULABLE, seen.pending_size)
    return None


def _said(reason: Reason, detail: str | None) -> Trouble:
    words = explain(reason, detail)
    return Trouble(reason, f"{words} {_RESTART}" if reason is Reason.UNSCHEDULABLE else words)


def _waits_for(picture: Picture, behind: list[Instance]) -> str | None:
    for instance in behind:
        seen = picture.seen.get(instance.id)
        if seen is not None and seen.pending_size is not None and picture.asks_for_size(seen):
            return f"{instance.instance_name}: {seen.pending_size}"[:1024]
    return None


def _left_to_restart(picture: Picture, members: list[Instance]) -> str | None:
    waiting = [
        i
        for i in members
        if (seen := picture.seen.get(i.id)) is not None and (outdated(picture, seen) or not picture.has_size(seen))
    ]
    if not waiting:
        return None
    return f"{len(waiting)} of {len(members)} instances take it up at their next restart."
