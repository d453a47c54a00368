"""Which instances take their turn while a change goes round, so that never more than allowed are down because of it."""

import uuid

from app.models import Instance, InstanceStatus, Wanted
from app.reconciler.decide.values import Picture, Seen


def turn(picture: Picture) -> frozenset[uuid.UUID]:
    """Those to be replaced now: what is down anyway, then the lowest numbers, as many as may be down.

    Only while the operation that changes them is open, so that the first one that fails ends it for all; and only where
    being replaced loses no more than a restart does, which a VM takes by itself.
    """
    if picture.kept_when_stopped or not picture.updating:
        return frozenset()
    running = [i for i in picture.remaining() if i.wanted == Wanted.RUNNING]
    down = {i.id for i in running if not _up(picture, i)}
    old = [i.id for i in running if _is_old(picture, i)]
    room = max(0, picture.cluster.max_unavailable - len(down))
    return frozenset([id for id in old if id in down] + [id for id in old if id not in down][:room])


def outdated(picture: Picture, seen: Seen) -> bool:
    return seen.revision is not None and seen.revision < picture.cluster.revision


def _is_old(picture: Picture, instance: Instance) -> bool:
    seen = picture.seen.get(instance.id)
    return seen is not None and not seen.deleting and instance.id not in picture.unseen and outdated(picture, seen)


def _up(picture: Picture, instance: Instance) -> bool:
    seen = picture.seen.get(instance.id)
    if seen is None or seen.deleting or instance.id in picture.unseen:
        return False
    return seen.status is InstanceStatus.RUNNING
