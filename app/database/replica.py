"""Reads that may come from a copy of the database, where that has all that is committed by then. docs/adr/0057"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
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
"""In which a replica must say how far it is; and how long one that failed is left alone."""
_BEHIND_SECONDS = 0.25
"""How long one is left alone that was behind."""
_LONGEST = 35.0
"""Of a read; the server ends a statement before (POSTGRES_SETTINGS), unless it fell silent."""
_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.032, 0.0)
"""Seconds between looks whether the replica has come as far as the primary was."""
_WRONG = (
    "CMP_DATABASE_REPLICA_URL: a standby of PostgreSQL is needed, such as postgresql://cmp:…@replica:5432/cmp, with "
    "CMP_DATABASE_URL for its primary"
)
_UNSAID = "It does not say that it follows a primary: no streaming standby, or its role lacks pg_read_all_stats."
_ANOTHER = "It is no standby of this database, but another's."
_WHICH = "SELECT current_database() || ' ' || system_identifier FROM pg_control_system()"
# A commit that others see is flushed, but for this setting. The first eight digits name the timeline.
_PRIMARY = """
SELECT CASE current_setting('synchronous_commit')
       WHEN 'off' THEN pg_current_wal_insert_lsn() ELSE pg_current_wal_flush_lsn() END::text,
       left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
"""
# The timeline, too: a standby that was ahead of the one that was promoted has what the new primary never had.
_REPLICA = """
SELECT pg_last_wal_replay_lsn() >= CAST(CAST($1 AS text) AS pg_lsn),
       (SELECT upper(lpad(to_hex(received_tli), 8, '0')) FROM pg_stat_wal_receiver),
       (SELECT current_database() || ' ' || system_identifier FROM pg_control_system())
"""
_REPLICA_NAMED = sa.text(_REPLICA.replace("$1", ":position"))


def replica_at(url: str, *, pool_size: int, tls: str | None) -> Database:
    """For Reads. Raises ValueError."""
    try:
        return Database(url, pool_size=pool_size, tls=tls, named="replica-")
    except (ValueError, exc.ArgumentError) as error:
        raise ValueError(_WRONG) from error


class _Position(NamedTuple):
    which: str
    of_log: str
    timeline: str


class _Behind(Exception):
    """The replica does not have all of it yet."""


class _Asked:
    """One read of the replica."""

    def __init__(self, position: _Position) -> None:
        self._position = position
        self._has_come = asyncio.Event()

    async def has_come(self, compared: Callable[[str], Awaitable[Sequence[Any]]]) -> None:
        """Raises _Behind when it has not soon, Unavailable where it never will."""
        for pause in _PAUSES:
            reached, timeline, which = await compared(self._position.of_log)
            if which != self._position.which or timeline is None:
                trouble = _UNSAID if timeline is None else _ANOTHER
                raise Unavailable(trouble, internal=trouble)
            if reached and timeline == self._position.timeline:
                self._has_come.set()
                return
            await asyncio.sleep(pause)
        raise _Behind

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """TimeoutError where it takes too long, even if it cannot be cancelled: a silent host's connection."""
        task, has_come = _task(work), _task(self._has_come.wait())
        try:
            await asyncio.wait({task, has_come}, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if self._has_come.is_set():
                await asyncio.wait({task}, timeout=_LONGEST)
            if not task.done():
                raise TimeoutError("it says nothing")
            return task.result()
        finally:
            task.cancel()
            has_come.cancel()


class Reads:
    """On PostgreSQL with a replica, from there; otherwise, and where the replica cannot, from the primary."""

    def __init__(self, primary: Database, replica: Database | None = None) -> None:
        if replica is not None and not primary.dialect == replica.dialect == "postgresql":
            raise ValueError(_WRONG)
        self.dialect = primary.dialect
        self._primary = primary
        self._replica = replica
        self._opening = asyncio.Lock()
        self._opened = False
        self._asking = asyncio.Lock()
        self._next: asyncio.Task[_Position] | None = None
        self._which: str | None = None
        self._alone_until = 0.0
        self._trouble: str | None = None

    async def close(self) -> None:
        if self._replica is not None and self._opened:
            await asyncio.wait({_task(self._replica.close())}, timeout=_SECONDS)

    async def look(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """What `work` finds. It only reads, and may be begun a second time."""

        async def from_replica(asked: _Asked, replica: Database) -> T:
            async with replica.reading() as session:

                async def compared(position: str) -> Sequence[Any]:
                    return (await session.execute(_REPLICA_NAMED, {"position": position})).one()

                await asked.has_come(compared)
                return await work(session)

        async def from_primary() -> T:
            async with self._primary.reading() as session:
                return await work(session)

        return await self._from_either(from_replica, from_primary)

    async def fetch(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> list[Row]:
        """As Database.fetch."""

        async def from_replica(asked: _Asked, replica: Database) -> list[Row]:
            assert replica.postgres is not None
            async with replica.postgres.acquire() as connection, connection.transaction(readonly=True):
                await asked.has_come(partial(connection.fetchrow, _REPLICA))
                return await replica.fetch(statement, parameters, connection)

        return await self._from_either(from_replica, partial(self._primary.fetch, statement, parameters))

    async def _from_either(
        self,
        from_replica: Callable[[_Asked, Database], Awaitable[T]],
        from_primary: Callable[[], Awaitable[T]],
    ) -> T:
        if self._replica is None:
            return await from_primary()
        if time.monotonic() < self._alone_until:
            metrics.read_from("primary", "behind" if self._trouble is None else "away")
            return await from_primary()
        if self._trouble is not None:
            self._leave_alone(_SECONDS)  # for all but this one, which tries
        try:
            with translated():
                position = await asyncio.wait_for(self._position(), _SECONDS)
        except (Unavailable, TimeoutError, asyncpg.PostgresError):
            return await from_primary()  # which says it itself
        asked = _Asked(position)
        try:
            found = await asked.within(self._tried(self._replica, partial(from_replica, asked)))
        except _Behind:
            metrics.read_from("primary", "behind")
            self._leave_alone(_BEHIND_SECONDS)
        except (Unavailable, TimeoutError, exc.DBAPIError, asyncpg.PostgresError) as error:
            if is_retryable(error):
                metrics.read_from("primary", "conflict")
            else:
                metrics.read_from("primary", "away")
                self._failed(getattr(error, "internal", None) or repr(error))
        else:
            metrics.read_from("replica")
            self._is_well()
            return found
        return await from_primary()

    async def _tried(self, replica: Database, read: Callable[[Database], Awaitable[T]]) -> T:
        async with self._opening:
            if not self._opened:
                try:
                    await replica.open()
                except Exception as error:  # whatever the driver makes of what is in the URL
                    raise Unavailable("The replica cannot be opened.", internal=repr(error)) from error
                self._opened = True
        with translated():
            return await read(replica)

    async def _position(self) -> _Position:
        """Of the primary, at some time after this was called: one question for all who wait for the one before."""
        if self._next is None:
            self._next = _task(self._ask())
        return await asyncio.shield(self._next)

    async def _ask(self) -> _Position:
        async with self._asking:
            self._next = None
            assert self._primary.postgres is not None
            if self._which is None:  # the next primary is the same in this
                self._which = await self._primary.postgres.fetchval(_WHICH)
            return _Position(self._which, *await self._primary.postgres.fetchrow(_PRIMARY))

    def _leave_alone(self, seconds: float) -> None:
        self._alone_until = time.monotonic() + seconds

    def _failed(self, trouble: str) -> None:
        self._leave_alone(_SECONDS)
        if self._trouble is None:
            log.warning("replica.left_alone", why=trouble)
        self._trouble = trouble

    def _is_well(self) -> None:
        if self._trouble is not None:
            log.info("replica.is_back")
            self._alone_until = 0.0
        self._trouble = None


def _task(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Whose error is nobody's trouble once nobody waits for it."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
