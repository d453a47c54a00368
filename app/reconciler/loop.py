"""Which cluster is visited when: hints and due rows feed one queue, a bounded number of visits empties it.

Nothing here dies of an error: it is logged, counted, and tried again later.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter

import structlog

from app.reconciler.cluster import Lease, Visitor
from app.reconciler.queue import Queue
from app.telemetry import metrics

log = structlog.get_logger(__name__)

_IDLE_SECONDS = 0.5
_SOON_SECONDS = 2.0
_TROUBLE_SECONDS = 2.0
_REST = (0.02, 2.0)
_STOP_SECONDS = 4.0
_ALIVE_SECONDS = 30.0


class Loop:
    """`counts` of visits, errors and leases that somebody else held."""

    def __init__(self, visitor: Visitor, *, concurrency: int) -> None:
        self._visitor = visitor
        self._concurrency = concurrency
        self._queue = Queue()
        self._leases: dict[uuid.UUID, Lease] = {}
        self._polled_at = time.monotonic()
        self._stopping = False
        self.counts: Counter[str] = Counter()
        metrics.QUEUE_DEPTH.set_function(self._queue.__len__)
        metrics.VISITING.set_function(lambda: self._queue.visiting)
        metrics.LEASES_HELD.set_function(lambda: len(self._leases) + self._queue.visiting)

    def nudge(self, cluster_id: uuid.UUID) -> None:
        """Somebody wishes something of this cluster: visit it now."""
        self._queue.put(cluster_id)

    def hint(self, cluster_id: uuid.UUID) -> None:
        """Something of this cluster changed: visit it soon."""
        self._queue.hint(cluster_id)

    def healthy(self) -> bool:
        """Whether due rows were asked for lately."""
        return not self._stopping and time.monotonic() - self._polled_at < _ALIVE_SECONDS

    async def run(self) -> None:
        """Until cancelled; then visits under way are finished or given back within a few seconds."""
        visits = [asyncio.create_task(self._visits(), name=f"visits {n}") for n in range(self._concurrency)]
        try:
            await self._poll()
        finally:
            self._stopping = True
            await self._stop(visits)

    async def _stop(self, visits: list[asyncio.Task[None]]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._queue.quiet()
        for task in visits:
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        self._queue.close()
        await asyncio.gather(*(self._visitor.give_back(lease) for lease in self._leases.values()))
        self._leases.clear()

    async def _poll(self) -> None:
        while True:
            free = self._concurrency - self._queue.visiting - len(self._queue)
            pause = _IDLE_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311
            try:
                if free > 0 and await self._claim_due(free) == free:
                    pause = 0.0
                self._polled_at = time.monotonic()
            except Exception:
                self.counts["poll_errors"] += 1
                metrics.RECONCILE_ERRORS.labels("poll").inc()
                log.warning("due clusters could not be claimed", exc_info=True)
                pause = _TROUBLE_SECONDS
            await asyncio.sleep(pause)

    async def _claim_due(self, limit: int) -> int:
        claimed = await self._visitor.claim_due(limit)
        for lease in claimed:
            metrics.LAG_SECONDS.observe(max(0.0, lease.late))
            self._leases[lease.cluster_id] = lease
            self._queue.put(lease.cluster_id, lease.owner_id)
        return len(claimed)

    async def _visits(self) -> None:
        while True:
            key = await self._queue.get()
            started = time.monotonic()
            try:
                if not self._stopping:
                    await self._visit(key)
            except Exception:
                self.counts["errors"] += 1
                metrics.RECONCILE_ERRORS.labels("visit").inc()
                metrics.VISITS.labels("failed").inc()
                log.exception("visit failed", cluster_id=str(key))
            finally:
                self._queue.done(key, rest=min(max(time.monotonic() - started, _REST[0]), _REST[1]))

    async def _visit(self, key: uuid.UUID) -> None:
        lease = self._leases.pop(key, None)
        if lease is None or not lease.mine():
            lease = await self._visitor.claim(key)
        if lease is None:
            self.counts["held"] += 1
            metrics.VISITS.labels("held").inc()
            self._queue.forget(key)
            return
        self.counts["visits"] += 1
        with metrics.VISIT_SECONDS.time():
            next_seconds = await self._visitor.visit(lease)
        if next_seconds is not None and next_seconds <= _SOON_SECONDS:
            self._queue.put_later(key, next_seconds)
