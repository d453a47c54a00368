"""Which steps bring Kubernetes nearer to the wish. Each is idempotent; none is for an object that is not ours."""

from app.models import Instance, InstanceStatus, Wanted
from app.reconciler.decide import errands, rolling
from app.reconciler.decide.values import NamespaceStep, Picture, Plan, Seen, Step, Verb

_RESIZABLE = (InstanceStatus.PENDING, InstanceStatus.STARTING, InstanceStatus.RUNNING)


def plan(picture: Picture) -> Plan:
    if picture.deleting:
        return _deletion(picture)
    namespace = picture.namespace
    if namespace is not None and namespace.foreign:
        return Plan(NamespaceStep.RENAME)
    if namespace is not None and namespace.terminating:
        return Plan()
    if picture.unavailable is not None:
        return Plan()
    ensure = namespace is None or not picture.furnished
    return Plan(NamespaceStep.ENSURE if ensure else None, _steps(picture))


def step_for(
    wanted: Wanted,
    seen: Seen | None,
    incarnation: int,
    *,
    kept_when_stopped: bool,
    known_gone: bool = True,
    grace: int | None = None,
) -> Verb | None:
    """The one step that an instance needs now, if any. `known_gone`: nothing that was made lately may still show.

    `grace`: seconds that its end may take, where somebody said so.
    """
    if wanted is Wanted.RUNNING:
        return _towards_running(seen, incarnation, kept_when_stopped)
    if wanted is Wanted.STOPPED:
        return _towards_stopped(seen, kept_when_stopped, grace)
    if wanted is Wanted.SUSPENDED:
        return _towards_suspended(seen)
    if seen is None:
        return Verb.CONFIRM if known_gone else None
    return None if seen.deleting else Verb.DELETE


def _steps(picture: Picture) -> tuple[Step, ...]:
    found = []
    turn = rolling.turn(picture)
    for instance in picture.instances:
        lately = picture.unseen.get(instance.id)
        seen = picture.seen.get(instance.id)
        verb = step_for(
            Wanted(instance.wanted),
            seen,
            instance.incarnation,
            kept_when_stopped=picture.kept_when_stopped,
            known_gone=lately is None,
            grace=instance.grace,
        )
        if picture.replacing(instance):
            verb = _anew(instance, seen, verb)
        elif verb is None and seen is not None and instance.wanted != Wanted.ABSENT:
            verb = Verb.RESTART if instance.id in turn else _changed(picture, instance, seen)
        if verb is not None and verb is not lately:
            found.append(Step(verb, instance.id))
    return (*found, *errands.steps(picture, {step.instance_id for step in found}))


def _anew(instance: Instance, seen: Seen | None, otherwise: Verb | None) -> Verb | None:
    """Away with the whole object, whatever it does; then one that finds no disk of it."""
    if seen is None:
        return Verb.RENEW
    if seen.deleting or seen.incarnation is None:
        return None
    return Verb.DELETE if seen.incarnation < instance.incarnation else otherwise


def _changed(picture: Picture, instance: Instance, seen: Seen) -> Verb | None:
    """A Pod has only its size to be changed; whatever else is new it gets when it is made again."""
    if seen.deleting or seen.lost or seen.ended is not None:
        return None
    if picture.kept_when_stopped:
        stale = seen.told is not None and seen.told < picture.cluster.revision
        return Verb.UPDATE if stale or not picture.asks_for_size(seen) else None
    if instance.wanted != Wanted.RUNNING or seen.status not in _RESIZABLE:
        return None
    return None if picture.asks_for_size(seen) else Verb.UPDATE


def _deletion(picture: Picture) -> Plan:
    """Instances first: a VM is shut down properly only while its namespace stands. Pods end the same way either way,
    so that their namespace need not wait for the last of them.
    """
    steps = tuple(
        Step(Verb.DELETE, instance.id)
        for instance in picture.instances
        if (seen := picture.seen.get(instance.id)) is not None
        and not seen.deleting
        and picture.unseen.get(instance.id) is not Verb.DELETE
    )
    strangers = picture.kept_when_stopped and picture.strangers > 0
    if steps or strangers:
        return Plan(None, steps, strangers=strangers)
    leaving = [i for i in picture.instances if i.id in picture.seen]
    if leaving and (picture.kept_when_stopped or any(not picture.seen[i.id].deleting for i in leaving)):
        return Plan()
    if any(verb in (Verb.APPLY, Verb.RENEW) for verb in picture.unseen.values()):
        return Plan()
    return Plan(NamespaceStep.RELEASE)


def _towards_running(seen: Seen | None, incarnation: int, kept_when_stopped: bool) -> Verb | None:
    if seen is None:
        return Verb.APPLY
    if seen.deleting:
        return None
    if seen.ended is not None:
        # What came to its own end is not run again, unless that was wished since.
        again = seen.incarnation is not None and seen.incarnation < incarnation
        return (Verb.START if kept_when_stopped else Verb.DELETE) if again else None
    if seen.lost:
        return Verb.DELETE
    if seen.rerun:
        return Verb.RESTART
    if seen.status in (InstanceStatus.STOPPED, InstanceStatus.STOPPING):
        return Verb.START
    if seen.incarnation is not None and seen.incarnation < incarnation:
        return Verb.RESTART
    if seen.status in (InstanceStatus.SUSPENDED, InstanceStatus.SUSPENDING):
        return Verb.RESUME
    return None


def _towards_stopped(seen: Seen | None, kept_when_stopped: bool, grace: int | None) -> Verb | None:
    if seen is None:
        return Verb.APPLY if kept_when_stopped else None
    if seen.deleting and grace is not None and seen.grace is not None and grace < seen.grace:
        return Verb.STOP
    put_away = seen.status is InstanceStatus.STOPPED and not (kept_when_stopped and seen.ended is not None)
    return None if seen.deleting or put_away else Verb.STOP


def _towards_suspended(seen: Seen | None) -> Verb | None:
    if seen is None or seen.deleting or seen.lost or seen.suspend is None:
        return None
    return Verb.SUSPEND if seen.status is InstanceStatus.RUNNING else None
