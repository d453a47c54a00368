"""Rows that travel to PostgreSQL as one JSON value: three or three thousand are the same statement."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.models import Base


def sent(table: type[Base]) -> sa.TableValuedAlias:
    """What the bind parameter `parameter(table)` holds, as a table."""
    whole: sa.ColumnElement[Any] = sa.literal_column(f"NULL::{table.__tablename__}")
    rows = sa.func.json_populate_recordset(whole, sa.bindparam(parameter(table), type_=sa.JSON()))
    return rows.table_valued(*defaults(table), name=f"new_{table.__tablename__}")


def parameter(table: type[Base]) -> str:
    return f"rows_of_{table.__tablename__}"


def record(table: type[Base], row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one row; those that it does not name have their default, or nothing."""
    return {name: row.get(name, default) for name, default in defaults(table).items()}


@lru_cache
def defaults(table: type[Base]) -> dict[str, Any]:
    """By column: all but the serial number of events, which the database gives."""
    columns = Base.metadata.tables[table.__tablename__].columns
    return {column.name: _default(column) for column in columns if column.autoincrement is not True}


def _default(column: sa.Column[Any]) -> Any:
    return column.default.arg if isinstance(column.default, sa.ColumnDefault) and column.default.is_scalar else None
