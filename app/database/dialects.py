"""What PostgreSQL, MariaDB, MySQL and SQLite want said differently: connections, the clock, a statement's text."""

import ssl
from functools import lru_cache
from typing import Any

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import asyncpg as postgresql_asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.database.postgresql import connected
from app.models import UtcDateTime

READ_ONLY = "cmp_read_only"
_POSTGRES: sa.Dialect = postgresql_asyncpg.dialect()  # type: ignore[no-untyped-call]
POSTGRES_SETTINGS = {
    "application_name": "cmp",
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",
    "default_transaction_isolation": "read committed",
    "timezone": "UTC",
}


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


def normalised(url: str) -> sa.URL:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}
    parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    backend = {"mariadb": "mysql"}.get(parsed.get_backend_name(), parsed.get_backend_name())
    if backend not in drivers:
        raise ValueError(f"CMP_DATABASE_URL: {backend} is not supported; use sqlite, postgresql or mysql (MariaDB too)")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError("CMP_DATABASE_URL: SQLite needs a file: sqlite:///path/to/cmp.sqlite3")
    return parsed.set(drivername=drivers[backend])


def tls_of(authority: str | None) -> ssl.SSLContext | None:
    """Checks the certificate and the host's name in it."""
    if authority is None:
        return None
    return ssl.create_default_context(cafile=None if authority == "system" else authority)


def engine_for(url: sa.URL, pool_size: int, tls: ssl.SSLContext | None) -> AsyncEngine:
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
            connect_args={"server_settings": POSTGRES_SETTINGS, "async_creator_fn": connected, **secured},
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
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _mysql_connected(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 10, time_zone = '+00:00'"
    )
    cursor.close()


@lru_cache(maxsize=512)
def compiled(statement: sa.Select[Any]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The text, its parameters in order, and the values that are part of the statement itself."""
    compiled = statement.compile(dialect=_POSTGRES)
    own = {name: value for name, value in compiled.params.items() if value is not None}
    return str(compiled), tuple(compiled.positiontup or ()), own


async def driver_connected(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
        )


async def nothing_to_reset(_connection: asyncpg.Connection) -> None:
    """No statement of ours changes the session, so a returned connection needs no round trip to be as it was.

    The driver has rolled back what was open before it calls this.
    """
