"""PersistentVolumeClaims: bound a moment after they are made, kept while a Pod uses them."""

from simulator.defaults import CLAIM_PROTECTION
from simulator.resources import CLAIMS, PODS
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World


class Claims:
    def __init__(self, world: World) -> None:
        self._world = world
        world.store.on(CLAIMS, self._changed)
        world.store.on(PODS, self._pod_changed)

    def resume(self) -> None:
        for stored in self._world.store.all(CLAIMS):
            self._soon(stored)

    def _changed(self, event: Event) -> None:
        if event.type != "DELETED":
            self._soon(event.stored)

    def _pod_changed(self, event: Event) -> None:
        if event.type != "DELETED":
            return
        for name in _used(event.stored.obj):
            claim = self._world.store.get(CLAIMS, (event.stored.key[0], name))
            if claim is not None:
                self._soon(claim)

    def _soon(self, stored: Stored) -> None:
        going = bool(stored.obj["metadata"].get("deletionTimestamp"))
        if going or (stored.obj.get("status") or {}).get("phase") != "Bound":
            self._world.later(self._world.settings.claim_delay, lambda: self._settle(stored))

    def _settle(self, stored: Stored) -> None:
        current = self._world.current(stored)
        if current is None:
            return
        if not current.obj["metadata"].get("deletionTimestamp"):
            asked = (current.obj["spec"].get("resources") or {}).get("requests") or {}
            modes = current.obj["spec"].get("accessModes") or []
            self._world.set_status(current, phase="Bound", capacity=asked, accessModes=modes)
        elif not self._in_use(current) and CLAIM_PROTECTION in (current.obj["metadata"].get("finalizers") or ()):
            self._world.drop_finalizer(current, CLAIM_PROTECTION)

    def _in_use(self, claim: Stored) -> bool:
        return any(claim.key[1] in _used(pod.obj) for pod in self._world.store.all(PODS, claim.key[0]))


def _used(pod: Json) -> set[str]:
    volumes = pod["spec"].get("volumes") or ()
    return {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume}
