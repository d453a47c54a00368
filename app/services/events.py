"""Live events: one reader of the events table per process, however many streams listen.

At least once, never skipped: ids may become visible out of order, so the reader keeps an eye on the ids it has not
seen yet. A listener that does not keep up is cut off and resumes by its last id; it is never silently skipped.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import structlog

from app.database import Database, Row
from app.errors import Unavailable
from app.store import events
from app.telemetry import metrics

log = structlog.get_logger("cmp.events")

_PAGE = 1000
_LATE = timedelta(seconds=60)
_GAPS = 500
_LISTENER_ROOM = 5000
_TOGETHER = 0.01  # seconds: what is committed within them is read at once


class Listener:
    """One stream's queue. `lost` once it has fallen too far behind, or the process ends."""

    def __init__(self, owner_id: uuid.UUID | None, cluster_id: uuid.UUID | None = None) -> None:
        self.owner_id = owner_id
        self.cluster_id = cluster_id
        self.lost = False
        self._queue: asyncio.Queue[Row | None] = asyncio.Queue(_LISTENER_ROOM)

    async def next(self) -> Row | None:
        """None when there is nothing more to come."""
        return await self._queue.get()

    def offer(self, row: Row) -> None:
        if self.owner_id is not None and row["owner_id"] != self.owner_id:
            return
        if self.cluster_id is not None and row["cluster_id"] != self.cluster_id:
            return
        try:
            self._queue.put_nowait(row)
        except asyncio.QueueFull:
            self.lost = True

    def cut(self) -> None:
        self.lost = True
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)


class Broadcaster:
    """`wake` after a commit of this process shows it soon; commits of others are found by looking regularly."""

    def __init__(self, database: Database, *, interval: float = 0.4) -> None:
        self._database = database
        self._interval = interval
        self._listeners: set[Listener] = set()
        self._waiters: dict[uuid.UUID, set[asyncio.Event]] = {}
        self._wake = asyncio.Event()
        self._newest = 0
        self._gaps: dict[int, float] = {}
        self.ending = False

    def end(self) -> None:
        """The process is to end: streams end by themselves, and whoever waits answers what there is."""
        self.ending = True
        for listener in self._listeners:
            listener.cut()
        for operation_id in self._waiters:
            self._tell(operation_id)

    def wake(self) -> None:
        if self._listeners or self._waiters:
            self._wake.set()

    async def open(self) -> None:
        """Events from now on are told; call it before the first listener comes.

        Ids that are missing among the latest ones may belong to transactions under way: they are watched for.
        """
        async with self._database.reading() as session:
            self._newest = max(0, await events.latest_id(session) - _GAPS)
        await self._read()

    async def run(self) -> None:
        """Until cancelled; a database that does not answer is asked again."""
        while True:
            # Not wait_for: in Python 3.11 it can lose a cancellation that comes together with what is waited for.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._wake.wait()
            await asyncio.sleep(_TOGETHER)
            self._wake.clear()
            try:
                await self._read()
            except Unavailable as error:
                log.warning("events.unavailable", error=error.internal)
                await asyncio.sleep(1)
            except Exception:
                log.exception("events.failed")  # every stream of this process stands on this loop
                await asyncio.sleep(1)

    @asynccontextmanager
    async def listening(
        self, owner_id: uuid.UUID | None, cluster_id: uuid.UUID | None = None
    ) -> AsyncIterator[Listener]:
        """Rows of one owner, or of everybody where none is named, from now on; or no more than those of a cluster."""
        listener = Listener(owner_id, cluster_id)
        self._listeners.add(listener)
        if self.ending:
            listener.cut()
        try:
            with metrics.EVENT_STREAMS.track_inprogress():
                yield listener
        finally:
            self._listeners.discard(listener)

    @asynccontextmanager
    async def changes(self, operation_id: uuid.UUID) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever something is told of that operation; the caller clears it."""
        waiter = asyncio.Event()
        waiters = self._waiters.setdefault(operation_id, set())
        waiters.add(waiter)
        try:
            yield waiter
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(operation_id, None)

    async def replay(self, owner_id: uuid.UUID | None, after: int) -> AsyncIterator[Row]:
        """What was there already after an id and, because of late commits, the last moments before it."""
        async with self._database.reading() as session:
            late = await events.late(session, owner_id, after, datetime.now(UTC) - _LATE)
        for row in late:
            yield row
        while True:
            async with self._database.reading() as session:
                rows = await events.since(session, owner_id, after, _PAGE)
            for row in rows:
                yield row
                after = row["id"]
            if len(rows) < _PAGE:
                return

    async def _read(self) -> None:
        more = True
        while more:
            rows = await events.all_since(self._database, self._newest, _PAGE)
            filled: list[Row] = []
            if self._gaps:
                async with self._database.reading() as session:
                    filled = await events.all_of(session, list(self._gaps))
            for row in [*filled, *rows]:
                self._note(row["id"])
                if row["operation_id"] is not None:
                    self._tell(row["operation_id"])
                for listener in self._listeners:
                    listener.offer(row)
            more = len(rows) == _PAGE
        self._forget_gaps()

    def _tell(self, operation_id: uuid.UUID) -> None:
        for waiter in self._waiters.get(operation_id, ()):
            waiter.set()

    def _note(self, id: int) -> None:
        if id <= self._newest:
            self._gaps.pop(id, None)
            return
        noticed = time.monotonic()
        self._gaps.update((missing, noticed) for missing in range(max(self._newest + 1, id - _GAPS), id))
        self._newest = id

    def _forget_gaps(self) -> None:
        """An id that stays missing belonged to a transaction that was rolled back."""
        oldest = time.monotonic() - _LATE.total_seconds()
        self._gaps = dict([(id, at) for id, at in self._gaps.items() if at > oldest][-_GAPS:])
