"""Owner references: dependents go when their last owner is gone, or are let go when their owner was deleted so.

Source: kube-controller-manager's garbage collector.
"""

from simulator.deletes import FOREGROUND, ORPHAN, DeleteOptions
from simulator.resources import STORED
from simulator.store import Event, Stored
from simulator.world import World


class GarbageCollector:
    def __init__(self, world: World) -> None:
        self._world = world
        self._alive: dict[str, Stored] = {}
        for resource in STORED:
            world.store.on(resource, self._changed)

    def resume(self) -> None:
        for resource in STORED:
            self._alive.update((stored.uid, stored) for stored in self._world.store.all(resource))
        for resource in STORED:
            for stored in self._world.store.all(resource):
                self._look_at(stored)

    def _changed(self, event: Event) -> None:
        uid = event.stored.uid
        if event.type == "DELETED":
            self._alive.pop(uid, None)
            if uid in self._world.store.owned:
                self._soon(uid)
            for owner in event.stored.obj["metadata"].get("ownerReferences") or ():
                self._owner_soon(owner["uid"])
            return
        self._alive[uid] = event.stored
        self._look_at(event.stored)

    def _look_at(self, stored: Stored) -> None:
        metadata = stored.obj["metadata"]
        owners = metadata.get("ownerReferences") or ()
        if owners and not any(owner["uid"] in self._alive for owner in owners):
            self._world.later(self._world.settings.garbage_delay, lambda: self._collect(stored))
        finalizers = metadata.get("finalizers") or ()
        if metadata.get("deletionTimestamp") and (FOREGROUND in finalizers or ORPHAN in finalizers):
            self._world.later(self._world.settings.garbage_delay, lambda: self._release(stored))

    def _soon(self, uid: str) -> None:
        self._world.later(self._world.settings.garbage_delay, lambda: self._collect_owned_by(uid))

    def _owner_soon(self, uid: str) -> None:
        if uid in self._alive:
            self._world.later(self._world.settings.garbage_delay, lambda: self._release_uid(uid))

    def _collect_owned_by(self, uid: str) -> None:
        for resource, key in tuple(self._world.store.owned.get(uid, ())):
            stored = self._world.store.get(resource, key)
            if stored is not None:
                self._collect(stored)

    def _collect(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None:
            return
        owners = current.obj["metadata"].get("ownerReferences") or []
        living = [owner for owner in owners if owner["uid"] in self._alive]
        if not owners or current.obj["metadata"].get("deletionTimestamp"):
            return
        if living:
            if len(living) < len(owners):
                self._world.set_metadata(current, ownerReferences=living)
            return
        self._world.deletes.delete(current, DeleteOptions(uid=current.uid))

    def _release_uid(self, uid: str) -> None:
        owner = self._alive.get(uid)
        if owner is not None:
            self._release(owner)

    def _release(self, stored: Stored) -> None:
        """Finish a foreground or orphaning deletion once its dependents are dealt with."""
        current = self._world.current(stored)
        if current is None:
            return
        finalizers = current.obj["metadata"].get("finalizers") or ()
        dependents = tuple(self._world.store.owned.get(current.uid, ()))
        if ORPHAN in finalizers:
            self._let_go(current)
            return
        if FOREGROUND not in finalizers:
            return
        waiting = False
        for resource, key in dependents:
            dependent = self._world.store.get(resource, key)
            if dependent is None:
                continue
            waiting = waiting or _blocks(dependent, current.uid)
            if not dependent.obj["metadata"].get("deletionTimestamp"):
                self._world.deletes.delete(dependent, DeleteOptions(uid=dependent.uid, policy="Foreground"))
        if not waiting:
            self._world.drop_finalizer(current, FOREGROUND)

    def _let_go(self, owner: Stored) -> None:
        for resource, key in tuple(self._world.store.owned.get(owner.uid, ())):
            dependent = self._world.store.get(resource, key)
            if dependent is not None:
                owners = [item for item in dependent.obj["metadata"]["ownerReferences"] if item["uid"] != owner.uid]
                self._world.set_metadata(dependent, ownerReferences=owners or None)
        current = self._world.current(owner)
        if current is not None:
            self._world.drop_finalizer(current, ORPHAN)


def _blocks(dependent: Stored, owner: str) -> bool:
    owners = dependent.obj["metadata"].get("ownerReferences") or ()
    return any(item["uid"] == owner and item.get("blockOwnerDeletion") for item in owners)
