"""Keyset pages: after the last row seen, never by counting rows off."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.database import Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`sort` is a field name; `after` the [value, id] of the last row of the page before."""

    limit: int
    sort: str
    descending: bool
    after: list[Any] | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: list[T]
    last: list[Any] | None
    """[value, id] of the last row when there are more, for the cursor."""


async def page_of(
    session: Session, statement: sa.Select[Any], page: PageRequest, sorts: Mapping[str, Any], identity: Any
) -> Page[Any]:
    """One page of entities. Sorting by the identity alone is sorting by creation: ids are UUIDv7."""
    column = sorts[page.sort]
    statement = ordered(statement, page, column, identity)
    if page.after is not None:
        statement = statement.where(beyond(page, column, identity, *decoded(page, column, identity)))
    rows = list((await session.execute(statement.limit(page.limit + 1))).scalars())
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    last = [key_value(getattr(rows[-1], column.key)), str(rows[-1].id)] if more else None
    return Page(rows, last)


class position(FunctionElement[int]):
    """Where a text holds another, from 1; 0 where it does not. To the letter, on every dialect: LIKE is not."""

    type = sa.Integer()
    inherit_cache = True


@compiles(position)
def _instr(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kwargs)})"


@compiles(position, "postgresql")
def _strpos(element: Any, compiler: Any, **kwargs: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kwargs)})"


def contains(column: Any, part: Any) -> Any:
    """`part` is a text or a bind parameter; it has no wildcards, so nothing needs escaping."""
    return position(column, sa.literal(part, sa.String()) if isinstance(part, str) else part) > 0


def ordered(statement: sa.Select[Any], page: PageRequest, column: Any, identity: Any) -> sa.Select[Any]:
    direction = sa.desc if page.descending else sa.asc
    if column is identity:
        return statement.order_by(direction(identity))
    return statement.order_by(direction(column), direction(identity))


def beyond(page: PageRequest, column: Any, identity: Any, value: Any, id: Any) -> Any:
    """The condition for rows after (value, id); both may be bind parameters."""
    if column is identity:
        return identity < id if page.descending else identity > id
    further = column < value if page.descending else column > value
    return sa.or_(further, sa.and_(column == value, identity < id if page.descending else identity > id))


def decoded(page: PageRequest, column: Any, identity: Any) -> tuple[Any, uuid.UUID]:
    """The last row's value and id, from the cursor's JSON."""
    assert page.after is not None
    value, id = page.after
    python_type = column.type.python_type if not isinstance(column.type, sa.Uuid) else str
    return (datetime.fromisoformat(value) if python_type is datetime else value), uuid.UUID(id)


def key_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
