"""Transactions and reads, run again where the database asks for it: the only commit in the house."""

import asyncio
import fcntl
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import asyncpg
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import QueuePool

from app.database.dialects import (
    POSTGRES_SETTINGS,
    READ_ONLY,
    compiled,
    driver_connected,
    engine_for,
    normalised,
    nothing_to_reset,
    tls_of,
)
from app.database.errors import SqliteInUse, TryAgain, is_retryable, translated
from app.database.postgresql import connected
from app.errors import Unavailable
from app.telemetry import metrics, traces

T = TypeVar("T")
Session = AsyncSession
Row = Mapping[str, Any]

_ATTEMPTS = 10
_AFTER_COMMIT = "cmp.after_commit"


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Once this transaction is committed; never where it is not, or is run again."""
    session.info.setdefault(_AFTER_COMMIT, []).append(call)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """A cancellation waits until this is done: a transaction is not torn, a connection not left open."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


class Database:
    """One per process. `postgres` is the driver's own pool for the hot statements, where there is PostgreSQL."""

    def __init__(self, url: str, *, pool_size: int = 16, tls: str | None = None, named: str = "") -> None:
        """`tls`: the PEM of the authority that the server's certificate must be from, or `system`.

        `named`: what its pools' names begin with in the metrics.
        """
        self._named = named
        self._tls = tls_of(tls)
        self.url = normalised(url)
        self.dialect = self.url.get_backend_name()
        self.postgres: asyncpg.Pool | None = None
        self._pool_size = pool_size
        self._said = {"db.system.name": self.dialect}
        self._lock_file: int | None = None
        self._writing: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self.dialect == "sqlite" else nullcontext()  # waiting here beats SQLITE_BUSY
        )
        self.engine = engine_for(self.url, pool_size, self._tls)

    async def open(self) -> None:
        """Take what must be exclusive, and the driver's pool. Raises SqliteInUse, Unavailable."""
        if self.dialect == "sqlite":
            self._lock_sqlite()
        if self.dialect == "postgresql":
            self.postgres = await self._driver_pool()
        self._measured()

    async def close(self) -> None:
        if self.postgres is not None:
            await self.postgres.close()
        await self.engine.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commits when the block ends well. Nothing slow may happen inside."""
        async with self._writing:
            with translated(), traces.span("database transaction", **self._said):
                async with _session(self.engine) as session:
                    async with session.begin():
                        yield session
                    for call in session.info.get(_AFTER_COMMIT, ()):
                        call()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A short look; never waits for a writer and never writes."""
        with translated(), traces.span("database read", **self._said):
            async with _session(self.engine.execution_options(**{READ_ONLY: True})) as session:
                yield session

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """`work` in a transaction, again from its beginning when the database asks for that (deadlock, conflict).

        Raises Unavailable when it goes on asking.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self.transaction() as session:
                    return await work(session)
            except (exc.DBAPIError, TryAgain) as error:
                if not is_retryable(error):
                    raise
                metrics.DATABASE_RETRIES.inc()
                if attempt == _ATTEMPTS:
                    busy = "The database is too busy. Try again in a moment."
                    raise Unavailable(busy, internal=repr(error)) from error
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    async def fetch(
        self, statement: sa.Select[Any], parameters: Mapping[str, Any], connection: Any = None
    ) -> list[Row]:
        """Rows of one read, by column name. `statement` is built once per shape, with named bind parameters.

        On PostgreSQL the statement is compiled once and the driver runs it, on `connection` where one is given:
        SQLAlchemy's execution is what costs most on a hot read (docs/adr/0014). Values come back as the column types
        say on every dialect.
        """
        if self.postgres is None:
            async with self.reading() as session:
                return [dict(row) for row in (await session.execute(statement, dict(parameters))).mappings()]
        sql, names, own = compiled(statement)
        values = {**own, **parameters}
        with translated(), traces.span("database statement", **self._said):
            rows: list[Row] = await (connection or self.postgres).fetch(sql, *[values[name] for name in names])
            return rows

    async def write_at_once(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> list[Row] | None:
        """One statement that writes, as a transaction of its own, by PostgreSQL's driver; see `fetch`.

        None where there is no PostgreSQL, and where it refused (a key that is there already, a conflict with another
        transaction): then nothing was written.
        """
        if self.postgres is None:
            return None
        try:
            return await self.fetch(statement, parameters)
        except asyncpg.PostgresError as error:
            if isinstance(error, asyncpg.UniqueViolationError) or is_retryable(error):
                return None
            raise

    async def ping(self) -> None:
        async with self.reading() as session:
            await session.execute(sa.text("SELECT 1"))

    def describe(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def _measured(self) -> None:
        pool = cast(QueuePool, self.engine.sync_engine.pool)
        used, idle = (partial(metrics.DATABASE_CONNECTIONS.labels, state=state) for state in ("used", "idle"))
        used(pool=f"{self._named}sqlalchemy").set_function(pool.checkedout)
        idle(pool=f"{self._named}sqlalchemy").set_function(pool.checkedin)
        if (driver := self.postgres) is not None:
            used(pool=f"{self._named}driver").set_function(lambda: driver.get_size() - driver.get_idle_size())
            idle(pool=f"{self._named}driver").set_function(driver.get_idle_size)

    def _lock_sqlite(self) -> None:
        path = Path(f"{self.url.database}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock_file)
            self._lock_file = None
            raise SqliteInUse(
                f"{self.url.database} is in use by another process. SQLite belongs to one process: "
                "stop the other one, or set CMP_DATABASE_URL to PostgreSQL or MariaDB."
            ) from error

    async def _driver_pool(self) -> asyncpg.Pool:
        """Where the engine goes too, of several hosts the same."""
        _, where = self.engine.dialect.create_connect_args(self.url)
        ours = {name: value for name, value in where.items() if not name.startswith("prepared_statement")}
        ours |= {} if self._tls is None else {"ssl": self._tls}
        ours |= {"server_settings": POSTGRES_SETTINGS, "connect": connected}
        with translated():
            return await asyncpg.create_pool(
                **ours, min_size=1, max_size=self._pool_size, init=driver_connected, reset=nothing_to_reset
            )


async def affected(session: Session, statement: sa.Update | sa.Delete) -> int:
    """How many rows it changed or removed. What the session has in memory stays as it was."""
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]


def _session(engine: AsyncEngine) -> AsyncSession:
    return AsyncSession(engine, expire_on_commit=False, autoflush=False)
