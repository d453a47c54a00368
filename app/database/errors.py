"""What the database's errors mean: try again, ours to answer for, or the database does not answer."""

import sqlite3
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy import exc

from app.errors import Unavailable
from app.models import Base

# Serialization failure, deadlock, lock timeout; MariaDB's snapshot conflict 1020, deadlock 1213, lock timeout 1205,
# and 1305, no such savepoint: the deadlock just before took the savepoints away.
_RETRYABLE_SQLSTATES = {"40001", "40P01", "55P03"}
_RETRYABLE_MYSQL = {1020, 1213, 1205, 1305}
# Connection lost; out of resources; operator intervention, a statement that took too long among it; only reads here.
_LOST_SQLSTATES = ("08", "53", "57", "25006")
# Beside the client's own, 2000 to 2999: no room, not let in, no such database (yet), too many connections, shutting
# down, killed, read-only, a statement that took too long.
_LOST_MYSQL = {0, 1021, 1040, 1041, 1044, 1045, 1049, 1053, 1129, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290}
_LOST_MYSQL |= {1317, 1836, 1927, 1969, 3024}
_LOST_SQLITE = {
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB,
}  # fmt: skip
_POSTGRES_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class SqliteInUse(RuntimeError):
    """Another process has this SQLite file: two writers would corrupt what they promise."""


class TryAgain(Exception):
    """The transaction met a row that was not there when it looked: run it again from its beginning."""


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


class translated:
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
        return str(said.sqlstate).startswith(_LOST_SQLSTATES)
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
