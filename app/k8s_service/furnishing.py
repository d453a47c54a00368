"""Keeps a tenant namespace as app/k8s_service/tenancy.py says, whatever others do to it. A quota grows before it is
needed, and shrinks only when nothing larger runs any more.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.instance_types.values import FIELD_MANAGER, ClusterRef
from app.k8s_service import tenancy
from app.k8s_service.errors import Raced, Refused
from app.k8s_service.tenancy import Isolation, Room
from app.k8s_service.writing import Writer, said_our_way
from app.kube.cache import Cache
from app.kube.client import KubeClient
from app.kube.kinds import ACCOUNT, KINDS, LIMIT_RANGE, NETWORK_POLICY, QUOTA, RUNTIME_CLASS
from app.models import Reason
from app.rules import units

FURNITURE: Mapping[str, tuple[str, ...]] = {
    ACCOUNT.name: ("automountServiceAccountToken",),
    NETWORK_POLICY.name: ("spec",),
    LIMIT_RANGE.name: ("spec",),
    QUOTA.name: ("spec", "status.hard"),
}
"""The kinds, and what is kept of each."""

_COUNTED_WITHIN = 2.0
_LOOK = 0.02


class Furnisher:
    def __init__(self, client: KubeClient, caches: Mapping[str, Cache], writer: Writer, isolation: Isolation) -> None:
        self._client = client
        self._caches = caches
        self._writer = writer
        self._isolation = isolation

    def furnished(self, cluster: ClusterRef, room: Room) -> bool:
        """From the caches alone, and without what a runtime takes, which is not known to them."""
        wanted = self._wanted(cluster, room)
        superfluous = next(self._superfluous(cluster, wanted), None)
        return superfluous is None and all(self._stands(body) for body in wanted) and self._counts(cluster)

    async def furnish(self, cluster: ClusterRef, room: Room) -> None:
        """Raises Refused, and Raced where the quota is not counted by yet."""
        room = replace(room, overhead=await self._overhead(room))
        wanted = self._wanted(cluster, room)
        async with said_our_way():
            puts = [self._put(body) for body in wanted if not self._stands(body)]
            for failed in filter(None, await asyncio.gather(*puts, return_exceptions=True)):
                raise failed
            for obj in list(self._superfluous(cluster, wanted)):
                metadata = obj["metadata"]
                await self._writer.delete(NETWORK_POLICY.name, cluster.namespace, metadata["name"], metadata["uid"])
        await self._counted(cluster)

    def _wanted(self, cluster: ClusterRef, room: Room) -> list[dict[str, Any]]:
        bodies = tenancy.furniture(cluster, room, self._isolation)
        held = self._caches[QUOTA.name].get(cluster.namespace, tenancy.QUOTA)
        if held is None:
            return bodies
        had = (held.get("spec") or {}).get("hard") or {}
        for body in bodies:
            if body["kind"] == QUOTA.name:
                body["spec"]["hard"] = _kept(body["spec"]["hard"], had, lower=room.settled and not _has_runtime(room))
        return bodies

    def _stands(self, body: Mapping[str, Any]) -> bool:
        metadata = body["metadata"]
        held = self._caches[body["kind"]].get(metadata["namespace"], metadata["name"])
        return held is not None and _is_as(body, held)

    def _superfluous(self, cluster: ClusterRef, wanted: list[dict[str, Any]]) -> Any:
        names = {body["metadata"]["name"] for body in wanted if body["kind"] == NETWORK_POLICY.name}
        for obj in self._caches[NETWORK_POLICY.name].group(cluster.cluster_id):
            metadata = obj["metadata"]
            if metadata["namespace"] == cluster.namespace and metadata["name"] not in names:
                yield obj

    async def _put(self, body: dict[str, Any]) -> None:
        """By force: nobody else decides what stands there. What others added to it goes with a whole new one."""
        kind, metadata = KINDS[body["kind"]], body["metadata"]
        async with self._writer.changes:
            made = await self._client.apply(kind, metadata["namespace"], metadata["name"], body, FIELD_MANAGER)
        if not _is_as(body, made):
            whole = {**body, "metadata": {**metadata, "resourceVersion": made["metadata"]["resourceVersion"]}}
            async with self._writer.changes:
                made = await self._client.replace(kind, whole, FIELD_MANAGER)
        self._writer.absorb(kind.name, made)

    async def _overhead(self, room: Room) -> tuple[int, int]:
        """What the runtime takes beside each instance. Raises Refused where Kubernetes does not have that runtime."""
        name = room.settings.get("runtime_class")
        if not name:
            return 0, 0
        async with said_our_way():
            found = await self._writer.live(RUNTIME_CLASS.name, None, name)
        if found is None:
            raise Refused(Reason.CONFIGURATION, f"Kubernetes has no RuntimeClass {name}")
        fixed = (found.get("overhead") or {}).get("podFixed") or {}
        cpu, memory = (units.measured(str(fixed.get(dimension) or "0")) for dimension in ("cpu", "memory"))
        return -int(-cpu * 1000 // 1), -int(-memory // 2**20)

    async def _counted(self, cluster: ClusterRef) -> None:
        """Until the quota's controller has taken up what the quota says: before, it admits by what it said."""
        for _ in range(int(_COUNTED_WITHIN / _LOOK)):
            if self._counts(cluster):
                return
            await asyncio.sleep(_LOOK)
        raise Raced("the namespace's quota is not in force yet")

    def _counts(self, cluster: ClusterRef) -> bool:
        cache = self._caches[QUOTA.name]
        held = cache.get(cluster.namespace, tenancy.QUOTA)
        if held is None:
            return cache.absent is not None
        return _same((held.get("spec") or {}).get("hard"), (held.get("status") or {}).get("hard"))


def _has_runtime(room: Room) -> bool:
    return bool(room.settings.get("runtime_class"))


def _kept(hard: Mapping[str, str], had: Mapping[str, str], *, lower: bool) -> dict[str, str]:
    """The larger of both where it may not be lowered."""
    if lower:
        return dict(hard)
    return {
        name: had[name] if name in had and units.measured(str(had[name])) > units.measured(amount) else amount
        for name, amount in hard.items()
    }


def _is_as(body: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    labels = held["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in body["metadata"]["labels"].items()):
        return False
    part = "automountServiceAccountToken" if body["kind"] == ACCOUNT.name else "spec"
    return _same(body[part], held.get(part))


def _same(wanted: Any, held: Any) -> bool:
    """To the last key; an empty list is as good as none."""
    if isinstance(wanted, Mapping) and isinstance(held, Mapping):
        return all(_same(wanted.get(key), held.get(key)) for key in {*wanted, *held})
    if isinstance(wanted, list) and isinstance(held, list):
        return len(wanted) == len(held) and all(_same(*pair) for pair in zip(wanted, held, strict=True))
    none = wanted in ([], None) and held in ([], None)
    return none or wanted == held or _same_amount(wanted, held)


def _same_amount(wanted: Any, held: Any) -> bool:
    try:
        return isinstance(wanted, str) and isinstance(held, str) and units.measured(wanted) == units.measured(held)
    except ValueError:
        return False
