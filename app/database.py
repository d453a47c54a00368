"""The engine, the dialects' quirks, and the only commit in the house. Holds no statement about our tables.

Every dialect runs at READ COMMITTED with bounded waits; SQLite, which has no such thing, writes one transaction at a
time (BEGIN IMMEDIATE) and belongs to one process.
"""

import asyncio
import fcntl
import os
import random
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects.postgresql import asyncpg as postgresql_asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.errors import Unavailable
from app.models import Base, UtcDateTime

T = TypeVar("T")
Session = AsyncSession
Row = Mapping[str, Any]

# Serialization failure, deadlock, lock timeout; MariaDB's snapshot conflict 1020, deadlock 1213, lock timeout 1205,
# and 1305, no such savepoint: the deadlock just before took the savepoints away.
_RETRYABLE_SQLSTATES = {"40001", "40P01", "55P03"}
_RETRYABLE_MYSQL = {1020, 1213, 1205, 1305}
# Connection lost; out of resources; operator intervention, a statement that took too long among it.
_LOST_SQLSTATES = {"08", "53", "57"}
# Beside the client's own, 2000 to 2999: no room, not let in, no such database (yet), too many connections, shutting
# down, killed, read-only, a statement that took too long.
_LOST_MYSQL = {0, 1021, 1040, 1041, 1044, 1045, 1049, 1053, 1129, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290}
_LOST_MYSQL |= {1317, 1836, 1927, 1969, 3024}
_LOST_SQLITE = {
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB,
}  # fmt: skip
_POSTGRES_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_ATTEMPTS = 10
_READ_ONLY = "cmp_read_only"


class SqliteInUse(RuntimeError):
    """Another process has this SQLite file: two writers would corrupt what they promise."""


class TryAgain(Exception):
    """The transaction met a row that was not there when it looked: run it again from its beginning."""


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

    def __init__(self, url: str, *, pool_size: int = 16, tls: str | None = None) -> None:
        """`tls`: the PEM of the authority that the server's certificate must be from, or `system`."""
        self._tls = _tls(tls)
        self.url = _normalised(url)
        self.dialect = self.url.get_backend_name()
        self.postgres: asyncpg.Pool | None = None
        self._pool_size = pool_size
        self._lock_file: int | None = None
        self._writing: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self.dialect == "sqlite" else nullcontext()  # waiting here beats SQLITE_BUSY
        )
        self.engine = _engine(self.url, pool_size, self._tls)

    async def open(self) -> None:
        """Take what must be exclusive, and the driver's pool. Raises SqliteInUse, Unavailable."""
        if self.dialect == "sqlite":
            self._lock_sqlite()
        if self.dialect == "postgresql":
            self.postgres = await self._driver_pool()

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
            with _translated():
                async with _session(self.engine) as session, session.begin():
                    yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A short look; never waits for a writer and never writes."""
        with _translated():
            async with _session(self.engine.execution_options(**{_READ_ONLY: True})) as session:
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
                if attempt == _ATTEMPTS:
                    busy = "The database is too busy. Try again in a moment."
                    raise Unavailable(busy, internal=repr(error)) from error
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    async def fetch(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> list[Row]:
        """Rows of one read, by column name. `statement` is built once per shape, with named bind parameters.

        On PostgreSQL the statement is compiled once and the driver runs it: SQLAlchemy's execution is what costs most
        on a hot read (docs/adr/0014). Values come back as the column types say on every dialect.
        """
        if self.postgres is None:
            async with self.reading() as session:
                return [dict(row) for row in (await session.execute(statement, dict(parameters))).mappings()]
        sql, names, own = _compiled(statement)
        values = {**own, **parameters}
        with _translated():
            rows: list[Row] = await self.postgres.fetch(sql, *[values[name] for name in names])
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
        query = dict(self.url.query)
        with _translated():
            return await asyncpg.create_pool(
                host=self.url.host,
                port=self.url.port,
                user=self.url.username,
                password=self.url.password,
                database=self.url.database,
                ssl=self._tls or query.get("ssl"),
                min_size=1,
                max_size=self._pool_size,
                server_settings=_POSTGRES_SETTINGS,
                timeout=10,
                init=_driver_connected,
                reset=_nothing_to_reset,
            )


def is_retryable(error: BaseException) -> bool:
    """Whether the database, or the work itself, asks to run the transaction again."""
    if isinstance(error, TryAgain):
        return True
    cause = getattr(error, "orig", error)
    if getattr(cause, "sqlstate", None) in _RETRYABLE_SQLSTATES:
        return True
    code = cause.args[0] if cause is not None and getattr(cause, "args", None) else None
    return code in _RETRYABLE_MYSQL or (isinstance(code, str) and "database is locked" in code)


def violates(error: BaseException, constraint: str) -> bool:
    """Whether this integrity error is about the unique constraint of that name, on any dialect."""
    text = str(getattr(error, "orig", error))
    if constraint in text:
        return True
    columns = _unique_columns().get(constraint)
    return columns is not None and text.endswith(f"UNIQUE constraint failed: {columns}")


async def affected(session: Session, statement: sa.Update | sa.Delete) -> int:
    """How many rows it changed or removed. What the session has in memory stays as it was."""
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]


class utc_now(FunctionElement[Any]):
    """The database's own clock, in UTC, plus some seconds: leases are never measured by a worker's clock."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, offset_seconds: float = 0) -> None:
        super().__init__(sa.bindparam(None, float(offset_seconds), type_=sa.Float(), unique=True))


@compiles(utc_now, "postgresql")
def _now_postgresql(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"(clock_timestamp() + {compiler.process(element.clauses, **kwargs)} * interval '1 second')"


@compiles(utc_now, "mysql")
@compiles(utc_now, "mariadb")
def _now_mysql(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"(utc_timestamp(6) + interval {compiler.process(element.clauses, **kwargs)} * 1000000 microsecond)"


@compiles(utc_now, "sqlite")
def _now_sqlite(element: Any, compiler: Any, **kwargs: Any) -> str:
    offset = compiler.process(element.clauses, **kwargs)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({offset}) || ' seconds')"


_POSTGRES: sa.Dialect = postgresql_asyncpg.dialect()  # type: ignore[no-untyped-call]
_POSTGRES_SETTINGS = {
    "application_name": "cmp",
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",
    "timezone": "UTC",
}


def _normalised(url: str) -> sa.URL:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}
    parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    backend = {"mariadb": "mysql"}.get(parsed.get_backend_name(), parsed.get_backend_name())
    if backend not in drivers:
        raise ValueError(f"CMP_DATABASE_URL: {backend} is not supported; use sqlite, postgresql or mysql (MariaDB too)")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError("CMP_DATABASE_URL: SQLite needs a file: sqlite:///path/to/cmp.sqlite3")
    return parsed.set(drivername=drivers[backend])


def _tls(authority: str | None) -> ssl.SSLContext | None:
    """Checks the certificate and the host's name in it."""
    if authority is None:
        return None
    return ssl.create_default_context(cafile=None if authority == "system" else authority)


def _engine(url: sa.URL, pool_size: int, tls: ssl.SSLContext | None) -> AsyncEngine:
    secured = {} if tls is None else {"ssl": tls}
    backend = url.get_backend_name()
    common: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 10}
    if backend == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": 10, "isolation_level": None}, **common)
        event.listen(engine.sync_engine, "connect", _sqlite_connected)
        event.listen(engine.sync_engine, "begin", _sqlite_begin)
        return engine
    if backend == "postgresql":
        return create_async_engine(
            url,
            pool_pre_ping=True,
            connect_args={"server_settings": _POSTGRES_SETTINGS, "timeout": 10, **secured},
            **common,
        )
    engine = create_async_engine(
        url,
        pool_pre_ping=True,
        pool_recycle=1800,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": 10, **secured},
        **common,
    )
    event.listen(engine.sync_engine, "connect", _mysql_connected)
    return engine


def _sqlite_connected(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _mysql_connected(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 10, time_zone = '+00:00'"
    )
    cursor.close()


@lru_cache(maxsize=512)
def _compiled(statement: sa.Select[Any]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The text, its parameters in order, and the values that are part of the statement itself."""
    compiled = statement.compile(dialect=_POSTGRES)
    own = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), tuple(compiled.positiontup or ()), own


async def _driver_connected(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
        )


async def _nothing_to_reset(_connection: asyncpg.Connection) -> None:
    """No statement of ours changes the session, so a returned connection needs no round trip to be as it was.

    The driver has rolled back what was open before it calls this.
    """


def _session(engine: AsyncEngine) -> AsyncSession:
    return AsyncSession(engine, expire_on_commit=False, autoflush=False)


class _translated:
    """Turns "the database does not answer" into the house's own word for it; leaves every other error alone."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if error is not None and _is_lost(error):
            raise Unavailable("The database does not answer. Try again in a moment.", internal=repr(error)) from error


def _is_lost(error: BaseException) -> bool:
    """Not what we did wrong: a file of ours that cannot be read, a statement that makes no sense."""
    if isinstance(error, OSError):
        return error.filename is None
    if isinstance(error, exc.DBAPIError):
        return error.connection_invalidated or (not is_retryable(error) and _is_servers_fault(error.orig))
    if isinstance(error, _POSTGRES_ERRORS):
        return not is_retryable(error) and _is_servers_fault(error)
    return isinstance(error, exc.TimeoutError)


def _is_servers_fault(error: BaseException | None) -> bool:
    """`error` is a driver's, or what SQLAlchemy has in the place of asyncpg's."""
    said = error.__cause__ if error is not None and isinstance(error.__cause__, _POSTGRES_ERRORS) else error
    if isinstance(said, asyncpg.PostgresError):
        return str(said.sqlstate)[:2] in _LOST_SQLSTATES
    if isinstance(said, _POSTGRES_ERRORS):
        return not isinstance(said, ValueError)  # which is a value of the wrong type
    if isinstance(said, sqlite3.Error):
        return getattr(said, "sqlite_errorcode", 0) & 0xFF in _LOST_SQLITE
    number = said.args[0] if said is not None and said.args else None
    return isinstance(number, int) and (2000 <= number < 3000 or number in _LOST_MYSQL)


def _unique_columns() -> dict[str, str]:
    named: dict[str, str] = {}
    for table in Base.metadata.tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint) and constraint.name:
                named[str(constraint.name)] = ", ".join(f"{table.name}.{column.name}" for column in constraint.columns)
    return named
