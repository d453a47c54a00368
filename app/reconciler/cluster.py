"""The one function that makes the wish true, for one cluster: load, observe, decide, act, settle.

No transaction is open while Kubernetes is spoken to. A lease on the row says whose visit it is.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from app.database import Database, Session
from app.errors import Unavailable
from app.k8s_service import (
    INSTANCE_TYPES,
    ClusterRef,
    ForeignNamespace,
    KubernetesService,
    Observed,
    OwnedObject,
    Refused,
)
from app.models import InstanceStatus, InstanceType, Reason, Wanted
from app.reconciler.act import Actor, LeaseLost, Recent
from app.reconciler.decide import NamespaceStep, Outcome, Picture, Verb, Verdict, judge, plan, unreachable
from app.reconciler.settle import finish_deletion, settle
from app.reconciler.telling import about, room_of, spec_of, type_of
from app.rules import naming
from app.rules.sealing import NoKey, Sealer
from app.store import leases
from app.store.leases import Claimed, Loaded
from app.telemetry import metrics, traces

log = structlog.get_logger(__name__)

# After so long without a look, waiting times say nothing about Kubernetes.
_RESTED_SECONDS = 60.0
# A bookmark is due about every minute; the caches give a silent server up after ninety seconds.
_BLIND_SECONDS = 180.0
_LONGEST_BACKOFF = 60.0
_NAMES = 20


@dataclass(slots=True)
class Lease:
    """A claim on one cluster. `until` by this process's monotonic clock, counted from before the claim was sent."""

    cluster_id: uuid.UUID
    owner_id: uuid.UUID
    token: uuid.UUID
    until: float
    attempts: int
    late: float

    def mine(self) -> bool:
        """Whether it is certainly still held."""
        return time.monotonic() < self.until


class Visitor:
    """Visits clusters for one worker process."""

    def __init__(
        self,
        database: Database,
        service: KubernetesService,
        *,
        installation_id: uuid.UUID,
        sealer: Sealer,
        lease_seconds: float,
        sweep_seconds: float,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._service = service
        self._installation_id = str(installation_id)
        self._sealer = sealer
        self._lease_seconds = lease_seconds
        self._sweep_seconds = sweep_seconds
        self._on_commit = on_commit
        self._recent = Recent()
        self._unreached: set[uuid.UUID] = set()

    def unreached(self) -> set[uuid.UUID]:
        """Clusters that Kubernetes did not answer about, once: to be visited when it answers again."""
        taken, self._unreached = self._unreached, set()
        return taken

    def blind(self) -> str | None:
        """Why nothing can be concluded from the caches, if so."""
        if not self._service.synced():
            return "its objects could not be read yet"
        silent = self._service.staleness()
        return f"nothing was heard of it for {silent:.0f} seconds" if silent > _BLIND_SECONDS else None

    async def claim(self, cluster_id: uuid.UUID) -> Lease | None:
        """None when another worker has it (it is made due again, so that nothing is missed) or it is gone."""
        before, token = time.monotonic(), uuid.uuid4()
        claimed = await self._database.run(
            lambda session: leases.claim(
                session, cluster_id, token, lease_seconds=self._lease_seconds, sweep_seconds=self._sweep()
            )
        )
        if claimed is None:
            await self._database.run(lambda session: leases.poke(session, cluster_id))
            return None
        return self._lease(claimed, before)

    async def claim_due(self, limit: int) -> list[Lease]:
        before, token = time.monotonic(), uuid.uuid4()
        claimed = await self._database.run(
            lambda session: leases.claim_due(
                session, token, limit=limit, lease_seconds=self._lease_seconds, sweep_seconds=self._sweep()
            )
        )
        return [self._lease(one, before) for one in claimed]

    async def visit(self, lease: Lease) -> float | None:
        """Seconds until the next visit, where that is sooner than the sweep. The lease is given back, come what may."""
        try:
            async with self._renewed(lease):
                next_seconds = await self._visit(lease)
            metrics.VISITS.labels("settled").inc()
            return next_seconds
        except LeaseLost:
            metrics.VISITS.labels("lost").inc()
            log.info("lease lost", cluster_id=str(lease.cluster_id))
            return None
        except asyncio.CancelledError:
            await self.give_back(lease)
            raise
        except Exception:
            await self._return(lease, lease.attempts + 1, _backoff(lease.attempts + 1))
            raise

    async def give_back(self, lease: Lease) -> None:
        """Half-way or unvisited, for somebody else to take at once."""
        await self._return(lease, lease.attempts, 0.0)

    async def _visit(self, lease: Lease) -> float | None:
        async with self._database.reading() as session:
            loaded = await leases.load(session, lease.cluster_id, lease.token)
        if loaded is None:
            raise LeaseLost
        said = about(loaded)
        traceparents = [op.traceparent for op in loaded.operations]
        with structlog.contextvars.bound_contextvars(**said), traces.continued("reconcile", traceparents, **said):
            return await self._converge(lease, loaded)

    async def _converge(self, lease: Lease, loaded: Loaded) -> float | None:
        if (why := self.blind()) is not None:
            return await self._settle(lease, loaded, unreachable(loaded.cluster, why), Outcome(unavailable=why))
        ref = self._ref(loaded)
        picture, strangers = self._look(lease, loaded, ref)
        todo = plan(picture)
        if todo.namespace is NamespaceStep.RENAME:
            return await self._rename(lease, loaded)
        specs = {i.id: spec_of(ref, loaded, i) for i in loaded.instances}
        seen: dict[uuid.UUID, Observed] = dict(picture.seen)  # type: ignore[arg-type]
        actor = Actor(
            self._service,
            self._recent,
            lease.cluster_id,
            ref,
            specs,
            seen,
            lease.mine,
            type_of(loaded),
            room=room_of(picture),
            secrets=lambda: self._opened(loaded),
        )
        try:
            outcome = await actor.act(todo, strangers)
        except ForeignNamespace:
            return await self._rename(lease, loaded)
        if outcome.gone:
            await self._finish(lease, loaded)
            return None
        unseen = self._recent.unseen(lease.cluster_id, seen) | await self._still_there(picture, ref)
        after = replace(picture, unseen=unseen, asked=self._asked(loaded))
        return await self._settle(lease, loaded, judge(after, outcome, datetime.now(UTC)), outcome)

    def _look(self, lease: Lease, loaded: Loaded, ref: ClusterRef) -> tuple[Picture, list[OwnedObject]]:
        names = {str(i.id): i.instance_name for i in loaded.instances}
        observation = self._service.observe(ref, names)
        seen = {uuid.UUID(key): value for key, value in observation.instances.items()}
        strangers = [owned for owned in observation.strangers if owned.namespace == ref.namespace]
        instance_type = type_of(loaded)
        picture = Picture(
            cluster=loaded.cluster,
            instances=loaded.instances,
            operations=loaded.operations,
            namespace=observation.namespace,
            seen=seen,
            kept_when_stopped=INSTANCE_TYPES[instance_type].kept_when_stopped,
            unavailable=self._service.has(instance_type),
            unseen=self._recent.unseen(lease.cluster_id, seen),
            asked=self._asked(loaded),
            strangers=len(strangers),
            rested=lease.late > _RESTED_SECONDS or loaded.cluster.reason == "kubernetes_unavailable",
        )
        furnished = self._service.furnished(ref, instance_type, room_of(picture))
        return replace(picture, furnished=furnished), strangers

    def _asked(self, loaded: Loaded) -> frozenset[uuid.UUID]:
        return self._recent.asked(loaded.cluster.id, {op.id for op in loaded.operations})

    def _opened(self, loaded: Loaded) -> dict[str, Any]:
        """Its secrets, in plain text, for the moment in which they are given to Kubernetes. Raises Refused."""
        if loaded.cluster.secrets is None:
            return {}
        try:
            return self._sealer.open(loaded.cluster.secrets, str(loaded.cluster.id))
        except NoKey as error:
            log.error("secrets cannot be opened", cluster_id=str(loaded.cluster.id), why=str(error))
            why = "its secrets were sealed with a key that this worker does not have; CMP_SECRET_KEY must name it"
            raise Refused(Reason.CONFIGURATION, why) from error

    async def _still_there(self, picture: Picture, ref: ClusterRef) -> dict[uuid.UUID, Verb]:
        """Instances about to be called stopped because the cache lacks them, which Kubernetes, asked now, still has."""
        doubtful = [
            i.id
            for i in picture.instances
            if i.wanted == Wanted.STOPPED and i.status != InstanceStatus.STOPPED and i.id not in picture.seen
        ]
        if not doubtful or picture.kept_when_stopped:
            return {}
        try:
            living = await self._service.living(ref, InstanceType(picture.cluster.instance_type))
        except Unavailable:
            return dict.fromkeys(doubtful, Verb.STOP)
        return {id: Verb.STOP for id in doubtful if str(id) in living}

    async def _settle(self, lease: Lease, loaded: Loaded, verdict: Verdict, outcome: Outcome) -> float | None:
        attempts, next_seconds = 0, verdict.next_visit
        if outcome.unavailable is not None:
            self._unreached.add(lease.cluster_id)
            attempts = loaded.cluster.attempts + 1
            next_seconds = max(_backoff(attempts), outcome.retry_after or 0)
        now = datetime.now(UTC)
        mine = await self._database.run(
            lambda session: settle(
                session, lease.token, loaded, verdict, outcome.gone_instances,
                attempts=attempts, next_seconds=next_seconds, now=now,
            )
        )  # fmt: skip
        if not mine:
            raise LeaseLost
        if verdict.cluster or verdict.instances or verdict.operations or outcome.gone_instances:
            self._on_commit()
        return next_seconds

    async def _finish(self, lease: Lease, loaded: Loaded) -> None:
        if not await self._database.run(lambda session: finish_deletion(session, lease.token, loaded)):
            raise LeaseLost
        log.info("cluster deleted", cluster_id=str(lease.cluster_id), namespace=loaded.cluster.namespace)
        self._on_commit()

    async def _rename(self, lease: Lease, loaded: Loaded) -> float:
        """The namespace of that name is not ours: leave it alone and take another name."""
        for _ in range(_NAMES):
            name = naming.namespace_with_suffix(loaded.cluster.name)
            try:
                await self._rename_to(lease, loaded, name)
            except leases.NamespaceInUse:
                continue
            log.info("namespace is taken", cluster_id=str(lease.cluster_id), taken=loaded.cluster.namespace, now=name)
            self._on_commit()
            return 0.0
        raise RuntimeError(f"no free namespace name for cluster {lease.cluster_id}")

    async def _rename_to(self, lease: Lease, loaded: Loaded, name: str) -> None:
        async def write(session: Session) -> bool:
            held = await leases.release(session, lease.cluster_id, lease.token, attempts=0, next_seconds=0)
            if held is not None:
                await leases.rename_namespace(session, lease.cluster_id, name, datetime.now(UTC))
            return held is not None

        if not await self._database.run(write):
            raise LeaseLost

    async def _return(self, lease: Lease, attempts: int, next_seconds: float) -> None:
        """Where even this fails the lease runs out by itself."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(3):
                await self._database.run(
                    lambda session: leases.release(
                        session, lease.cluster_id, lease.token, attempts=attempts, next_seconds=next_seconds
                    )
                )

    @asynccontextmanager
    async def _renewed(self, lease: Lease) -> AsyncIterator[None]:
        task = asyncio.create_task(self._renew(lease), name=f"lease {lease.cluster_id}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            before = time.monotonic()
            try:
                held = await self._database.run(
                    lambda session: leases.renew(
                        session, lease.cluster_id, lease.token, lease_seconds=self._lease_seconds
                    )
                )
            except Exception:
                log.warning("lease not renewed", cluster_id=str(lease.cluster_id), exc_info=True)
                continue
            lease.until = before + self._certain() if held else 0.0

    def _lease(self, claimed: Claimed, before: float) -> Lease:
        return Lease(
            claimed.cluster_id,
            claimed.owner_id,
            claimed.token,
            before + self._certain(),
            claimed.attempts,
            claimed.late,
        )

    def _certain(self) -> float:
        """A little less than the lease, for clocks that do not run alike."""
        return self._lease_seconds * 0.9

    def _sweep(self) -> float:
        """Spread, so that what was made together is not swept together for ever."""
        return self._sweep_seconds * random.uniform(0.75, 1.25)  # noqa: S311

    def _ref(self, loaded: Loaded) -> ClusterRef:
        cluster = loaded.cluster
        return ClusterRef(
            installation_id=self._installation_id,
            owner_id=str(cluster.owner_id),
            cluster_id=str(cluster.id),
            cluster_name=cluster.name,
            namespace=cluster.namespace,
            namespace_uid=cluster.namespace_uid,
        )


def _backoff(attempts: int) -> float:
    return min(_LONGEST_BACKOFF, 0.5 * 2.0 ** min(attempts, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
