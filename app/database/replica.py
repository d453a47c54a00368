"""Reads that may come from a copy of the database, where that has all that is committed by then. docs/adr/0057"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy import exc

from app.database.errors import is_retryable, translated
from app.database.transactions import Database, Row, Session
from app.errors import Unavailable
from app.telemetry import metrics

T = TypeVar("T")
log = structlog.get_logger("cmp.database")

_SECONDS = 5.0
"""Of one read, after which it is the primary's; and how long a replica that failed is left alone."""
_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.032, 0.0)
"""Seconds between looks whether the replica has come as far as the primary was."""
_UNSAID = "It does not say that it follows a primary: no streaming standby, or its role lacks pg_read_all_stats."
_PRIMARY = "SELECT pg_current_wal_insert_lsn()::text, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
# The timeline, too: a standby that was ahead of the one that was promoted has what the new primary never had.
_REPLICA = """
SELECT pg_last_wal_replay_lsn() >= CAST(CAST($1 AS text) AS pg_lsn),
       (SELECT upper(lpad(to_hex(received_tli), 8, '0')) FROM pg_stat_wal_receiver)
"""
_REPLICA_NAMED = sa.text(_REPLICA.replace("$1", ":position"))


class _Position(NamedTuple):
    of_log: str
    timeline: str


class _Behind(Exception):
    """The replica does not have all of it yet."""


class Reads:
    """On PostgreSQL with a replica, from there; otherwise, and where the replica cannot, from the primary."""

    def __init__(self, primary: Database, replica: Database | None = None) -> None:
        if replica is not None and not primary.dialect == replica.dialect == "postgresql":
            raise ValueError("CMP_DATABASE_REPLICA_URL: CMP reads from replicas of PostgreSQL only; leave it out")
        self.dialect = primary.dialect
        self._primary = primary
        self._replica = replica
        self._opening = asyncio.Lock()
        self._opened = False
        self._asking = asyncio.Lock()
        self._next: asyncio.Task[_Position] | None = None
        self._alone_until = 0.0
        self._trouble: str | None = None

    async def close(self) -> None:
        if self._replica is not None and self._opened:
            with suppress(TimeoutError):
                await _within(_SECONDS, self._replica.close())

    async def look(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """What `work` finds. It only reads, and may be begun a second time."""

        async def from_replica(position: _Position, replica: Database) -> T:
            async with replica.reading() as session:

                async def compared(position: str) -> Sequence[Any]:
                    return (await session.execute(_REPLICA_NAMED, {"position": position})).one()

                await _has_come_to(position, compared)
                return await work(session)

        async def from_primary() -> T:
            async with self._primary.reading() as session:
                return await work(session)

        return await self._from_either(from_replica, from_primary)

    async def fetch(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> list[Row]:
        """As Database.fetch."""

        async def from_replica(position: _Position, replica: Database) -> list[Row]:
            assert replica.postgres is not None
            async with replica.postgres.acquire() as connection, connection.transaction(readonly=True):
                await _has_come_to(position, partial(connection.fetchrow, _REPLICA))
                return await replica.fetch(statement, parameters, connection)

        return await self._from_either(from_replica, partial(self._primary.fetch, statement, parameters))

    async def _from_either(
        self,
        from_replica: Callable[[_Position, Database], Awaitable[T]],
        from_primary: Callable[[], Awaitable[T]],
    ) -> T:
        if self._replica is not None and time.monotonic() >= self._alone_until:
            try:
                found = await _within(_SECONDS, self._tried(self._replica, from_replica))
            except _Behind:
                metrics.read_from("primary", "behind")
            except (Unavailable, TimeoutError, exc.DBAPIError, asyncpg.PostgresError) as error:
                if is_retryable(error):
                    metrics.read_from("primary", "conflict")
                else:
                    self._leave_alone(getattr(error, "internal", None) or repr(error))
            else:
                self._is_well()
                return found
        return await from_primary()

    async def _tried(self, replica: Database, read: Callable[[_Position, Database], Awaitable[T]]) -> T:
        async with self._opening:
            if not self._opened:
                await replica.open()
                self._opened = True
        with translated():
            return await read(await self._position(), replica)

    async def _position(self) -> _Position:
        """Of the primary, at some time after this was called: one question for all who wait for the one before."""
        if self._next is None:
            self._next = asyncio.create_task(self._asked())
        return await asyncio.shield(self._next)

    async def _asked(self) -> _Position:
        async with self._asking:
            self._next = None
            assert self._primary.postgres is not None
            return _Position(*await self._primary.postgres.fetchrow(_PRIMARY))

    def _leave_alone(self, trouble: str) -> None:
        metrics.read_from("primary", "away")
        self._alone_until = time.monotonic() + _SECONDS
        if self._trouble is None:
            log.warning("replica.left_alone", why=trouble)
        self._trouble = trouble

    def _is_well(self) -> None:
        metrics.read_from("replica")
        if self._trouble is not None:
            log.info("replica.is_back")
        self._trouble = None


async def _has_come_to(position: _Position, compared: Callable[[str], Awaitable[Sequence[Any]]]) -> None:
    """Raises _Behind when it has not soon, Unavailable where it never will."""
    for pause in _PAUSES:
        reached, timeline = await compared(position.of_log)
        if timeline is None:
            raise Unavailable(_UNSAID, internal=_UNSAID)
        if reached and timeline == position.timeline:
            return
        await asyncio.sleep(pause)
    raise _Behind


async def _within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """TimeoutError after that time, also where `work` does not let itself be cancelled: a silent host's connection."""
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError(f"nothing within {seconds:g} s")
    return task.result()
