"""What is said about one instance: its status, the reason in words, and whether it waited too long."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.models import Instance, InstanceStatus, OperationKind, Reason, Wanted
from app.reconciler.decide.values import Outcome, Picture, Seen, Trouble, seconds_since
from app.rules.lifecycle import as_wished
from app.rules.reasons import EXPLANATIONS, explain

# Causes that take turns with each other: the waiting goes on through all of them.
_FAMILIES: Mapping[Reason | None, str] = {
    None: "waiting",
    Reason.WAITING: "waiting",
    Reason.DEADLINE: "waiting",
    Reason.TERMINATION_STUCK: "waiting",
    Reason.EVICTED: "waiting",
    Reason.EXITED: "ending",
    Reason.CRASH_LOOP: "ending",
    Reason.OUT_OF_MEMORY: "ending",
}
_REFUSALS = frozenset({Reason.QUOTA, Reason.REJECTED, Reason.CONFIGURATION, Reason.FOREIGN_OBJECT})
_PLACELESS = (Reason.UNSCHEDULABLE, Reason.VOLUME)
# Why it was stopped though nobody asked for that: said for as long as it is.
_REMEMBERED = (Reason.SUSPEND_LOST, Reason.COMPLETED)
_DELETED_OUTSIDE = "It was deleted in Kubernetes, not by CMP, and is made again."
_ITS_TURN = "It is made again, as the change of its cluster wishes it."


@dataclass(frozen=True, slots=True)
class Ruling:
    """The instance's new words. `left`: seconds until its patience ends. `blame`: why a suspend was given up."""

    status: InstanceStatus
    wanted: Wanted
    settled: bool = False
    reason: Reason | None = None
    message: str | None = None
    waiting_since: datetime | None = None
    left: float | None = None
    blame: Trouble | None = None

    @property
    def failed(self) -> bool:
        return self.status is InstanceStatus.FAILED

    @property
    def as_wished(self) -> bool:
        return self.settled and as_wished(self.wanted, self.status)


@dataclass(frozen=True, slots=True)
class _Finding:
    """`overdue`: what it is called once patience with it ends, where it has no better name."""

    status: InstanceStatus
    settled: bool = False
    reason: Reason | None = None
    detail: str | None = None
    overdue: Reason = Reason.DEADLINE
    at_once: bool = False


def rule(picture: Picture, outcome: Outcome, instance: Instance, now: datetime) -> Ruling:
    wanted = Wanted(instance.wanted)
    seen = picture.seen.get(instance.id)
    knowable = outcome.unavailable is None and picture.unavailable is None
    if wanted is Wanted.SUSPENDED and knowable and _memory_lost(seen):
        return _suspend_lost(picture, instance, seen)
    if wanted is Wanted.RUNNING and knowable and seen is not None and _has_ended(picture, instance, seen):
        return _ended(seen)
    finding = _finding(picture, outcome, instance, seen)
    if finding.settled:
        return _settled(instance, wanted, finding)
    return _on_the_way(picture, outcome, instance, finding, now)


def _finding(picture: Picture, outcome: Outcome, instance: Instance, seen: Seen | None) -> _Finding:
    wanted = Wanted(instance.wanted)
    if wanted is Wanted.ABSENT:
        detail = seen.message if seen is not None else None
        return _Finding(InstanceStatus.DELETING, detail=detail, overdue=Reason.TERMINATION_STUCK)
    if picture.unavailable is not None:
        return _Finding(InstanceStatus.FAILED, reason=Reason.CONFIGURATION, detail=picture.unavailable, at_once=True)
    if (trouble := outcome.refused.get(instance.id)) is not None:
        return _Finding(_meanwhile(instance, wanted, seen), reason=trouble.reason, detail=trouble.message)
    if wanted is Wanted.RUNNING:
        return _running(picture, outcome, instance, seen)
    if wanted is Wanted.STOPPED:
        return _stopped(picture, instance, seen)
    return _suspended(picture, instance, seen)


def _running(picture: Picture, outcome: Outcome, instance: Instance, seen: Seen | None) -> _Finding:
    meanwhile = _meanwhile(instance, Wanted.RUNNING, seen)
    if outcome.blocked is not None and (seen is None or seen.deleting):
        overdue = outcome.blocked.reason if outcome.blocked.reason is not Reason.WAITING else Reason.TERMINATION_STUCK
        shown = outcome.blocked.reason if outcome.blocked.reason in _REFUSALS else None
        return _Finding(meanwhile, reason=shown, detail=outcome.blocked.message, overdue=overdue)
    if seen is None:
        return _Finding(meanwhile, detail=_healing(picture, instance))
    if seen.deleting:
        detail = seen.message or _healing(picture, instance)
        return _Finding(meanwhile, reason=_real(seen.reason), detail=detail, overdue=Reason.TERMINATION_STUCK)
    if seen.lost:
        # A node that has no room after all throws it out again and again: that must not look like a new start.
        reason = Reason.EVICTED if seen.reason in (None, Reason.UNSCHEDULABLE) else seen.reason
        return _Finding(InstanceStatus.STARTING, reason=reason, detail=seen.message)
    current = seen.incarnation is not None and seen.incarnation >= instance.incarnation
    if seen.status is InstanceStatus.RUNNING and current and instance.id not in picture.unseen:
        return _Finding(InstanceStatus.RUNNING, settled=True, detail=seen.message)
    if not current or seen.status is InstanceStatus.RUNNING:
        return _Finding(meanwhile)
    return _Finding(meanwhile, reason=seen.reason, detail=seen.message)


def _healing(picture: Picture, instance: Instance) -> str | None:
    """Said once it goes though it ran and nobody wished that, and until it runs again."""
    ran = instance.status == InstanceStatus.RUNNING
    if picture.updating and (ran or instance.message == _ITS_TURN):
        return _ITS_TURN
    return _DELETED_OUTSIDE if ran or instance.message == _DELETED_OUTSIDE else None


def _stopped(picture: Picture, instance: Instance, seen: Seen | None) -> _Finding:
    lately = picture.unseen.get(instance.id)
    if seen is None and (picture.kept_when_stopped or lately is None):
        return _Finding(InstanceStatus.STOPPED, settled=True)
    if seen is None:
        return _Finding(InstanceStatus.STOPPING)
    if seen.status is InstanceStatus.STOPPED and not seen.deleting and lately is None:
        return _Finding(InstanceStatus.STOPPED, settled=True, detail=seen.message)
    reason = seen.reason if seen.status is InstanceStatus.STOPPING else None
    return _Finding(
        InstanceStatus.STOPPING, reason=_real(reason), detail=seen.message, overdue=Reason.TERMINATION_STUCK
    )


def _suspended(picture: Picture, instance: Instance, seen: Seen | None) -> _Finding:
    if seen is None:
        return _Finding(InstanceStatus(instance.status))
    if seen.status is InstanceStatus.SUSPENDED and instance.id not in picture.unseen:
        return _Finding(InstanceStatus.SUSPENDED, settled=True)
    if seen.status is InstanceStatus.RUNNING and seen.suspend is None:
        return _Finding(InstanceStatus.SUSPENDING, reason=Reason.SUSPEND_UNSUPPORTED)
    reason = None if seen.status is InstanceStatus.RUNNING else seen.reason
    return _Finding(InstanceStatus.SUSPENDING, reason=reason, detail=seen.message if reason else None)


def _has_ended(picture: Picture, instance: Instance, seen: Seen) -> bool:
    current = seen.incarnation is not None and seen.incarnation >= instance.incarnation
    return seen.ended is not None and current and not seen.deleting and instance.id not in picture.unseen


def _ended(seen: Seen) -> Ruling:
    """What completed is wished stopped from now on; what failed stays as it is until somebody restarts or stops it."""
    if seen.ended == "completed":
        message = explain(Reason.COMPLETED, seen.message)
        status, reason = InstanceStatus.STOPPED, Reason.COMPLETED
        return Ruling(status, Wanted.STOPPED, settled=True, reason=reason, message=message, left=1.0)
    message = explain(seen.reason, seen.message)
    return Ruling(InstanceStatus.FAILED, Wanted.RUNNING, reason=seen.reason, message=message)


def _memory_lost(seen: Seen | None) -> bool:
    ended = (InstanceStatus.STOPPED, InstanceStatus.STOPPING)
    if seen is None or seen.deleting or seen.lost or seen.rerun:
        return True
    return seen.ended is not None or seen.status in ended


def _suspend_lost(picture: Picture, instance: Instance, seen: Seen | None) -> Ruling:
    """Never answered by a quiet restart: what it held is gone, so it is stopped, and told."""
    detail = seen.message if seen is not None else None
    message = explain(Reason.SUSPEND_LOST, detail)
    nothing_runs = instance.id not in picture.unseen if seen is None else seen.status is InstanceStatus.STOPPED
    status = InstanceStatus.STOPPED if nothing_runs else InstanceStatus.STOPPING
    return Ruling(
        status,
        Wanted.STOPPED,
        settled=status is InstanceStatus.STOPPED,
        reason=Reason.SUSPEND_LOST,
        message=message,
        left=1.0,
        blame=Trouble(Reason.SUSPEND_LOST, message),
    )


def _settled(instance: Instance, wanted: Wanted, finding: _Finding) -> Ruling:
    reason, message = None, finding.detail
    if wanted is Wanted.STOPPED and instance.reason in _REMEMBERED:
        reason, message = Reason(instance.reason), instance.message
    return Ruling(finding.status, wanted, settled=True, reason=reason, message=message)


def _on_the_way(picture: Picture, outcome: Outcome, instance: Instance, finding: _Finding, now: datetime) -> Ruling:
    wanted = Wanted(instance.wanted)
    same = _family(instance.reason) == _family(finding.reason)
    had_failed = instance.status == InstanceStatus.FAILED and same
    since = _since(picture, instance, now) if same else now
    left = EXPLANATIONS[finding.reason or _patience_of(finding)].patience - seconds_since(since, now)
    patient = left > 0 or (outcome.unavailable is not None and not had_failed)
    if patient and not finding.at_once:
        reason, message = finding.reason, explain(finding.reason, finding.detail)
        if wanted is Wanted.STOPPED and instance.reason in _REMEMBERED:
            reason, message = Reason(instance.reason), instance.message
        return Ruling(finding.status, wanted, reason=reason, message=message, waiting_since=since, left=max(left, 0.1))
    reason = finding.reason if finding.reason not in (None, Reason.WAITING) else finding.overdue
    message = explain(reason, finding.detail)
    if wanted is Wanted.ABSENT:
        return Ruling(InstanceStatus.DELETING, wanted, reason=reason, message=message, waiting_since=since)
    if wanted is Wanted.SUSPENDED and _open_suspend(picture, instance.id):
        return _given_up(picture.seen.get(instance.id), reason, message)
    return Ruling(InstanceStatus.FAILED, wanted, reason=reason, message=message, waiting_since=since)


def _given_up(seen: Seen | None, reason: Reason | None, message: str | None) -> Ruling:
    """It could not be suspended: it runs on, and only the operation has failed."""
    running = seen is not None and seen.status is InstanceStatus.RUNNING
    status = InstanceStatus.RUNNING if running else InstanceStatus.STARTING
    blame = Trouble(reason or Reason.DEADLINE, message)
    return Ruling(status, Wanted.RUNNING, settled=running, left=0.1, blame=blame)


def _meanwhile(instance: Instance, wanted: Wanted, seen: Seen | None) -> InstanceStatus:
    if wanted is Wanted.STOPPED:
        return InstanceStatus.STOPPING
    if wanted is Wanted.SUSPENDED:
        return InstanceStatus.SUSPENDING
    if seen is not None and seen.status is not InstanceStatus.PENDING:
        return InstanceStatus.STARTING
    # KubeVirt begins to start a VM before anybody knows whether there is a place for it.
    placeless = seen is not None and seen.reason in _PLACELESS
    fresh = instance.status == InstanceStatus.PENDING
    return InstanceStatus.PENDING if fresh or placeless else InstanceStatus.STARTING


def _since(picture: Picture, instance: Instance, now: datetime) -> datetime:
    """When the present waiting began: not before it was last asked for, nor before anybody looked."""
    if instance.waiting_since is None or (picture.rested and instance.status != InstanceStatus.FAILED):
        return now
    asked = [op.created_at for op in picture.operations if op.instance_id == instance.id]
    return max([instance.waiting_since, *asked])


def _patience_of(finding: _Finding) -> Reason:
    return Reason.WAITING if finding.overdue is Reason.DEADLINE else finding.overdue


def _real(reason: Reason | None) -> Reason | None:
    return None if reason is Reason.WAITING else reason


def _family(reason: str | None) -> str:
    known = Reason(reason) if reason is not None else None
    return _FAMILIES.get(known, str(known))


def _open_suspend(picture: Picture, instance_id: uuid.UUID) -> bool:
    return any(op.instance_id == instance_id and op.kind == OperationKind.INSTANCE_SUSPEND for op in picture.operations)
