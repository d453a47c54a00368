"""The audit trail: entries, their order and their seals."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.database import Database, Row, Session, affected
from app.models import AuditEntry, AuditOutcome, Base, Platform
from app.rules.access import Viewer
from app.store.paging import Page, PageRequest, page_of
from app.store.sent_rows import defaults, parameter, record, sent

_TABLE = Base.metadata.tables[AuditEntry.__tablename__]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """`everyones` is for those who may see it."""

    everyones: bool = False
    actor: str | None = None
    method: str | None = None
    outcome: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def add(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await session.execute(sa.insert(AuditEntry), [dict(row) for row in rows])


async def add_at_once(database: Database, rows: Sequence[Mapping[str, Any]]) -> None:
    """Committed when this returns; on PostgreSQL as one statement."""
    records = [record(AuditEntry, row) for row in rows]
    if await database.write_at_once(_adding(), {parameter(AuditEntry): records}) is None:
        await database.run(lambda session: add(session, rows))


async def complete(session: Session, done: Sequence[tuple[uuid.UUID, str, int | None, datetime]]) -> None:
    """(id, outcome, status, finished at) of each. Once: what is complete stays as it is."""
    if done:
        names = ("of", "outcome", "status", "finished_at")
        statement = sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam("of"), _TABLE.c.seq.is_(None))
        values: dict[str, Any] = {name: sa.bindparam(name) for name in names[1:]}
        connection = await session.connection()
        await connection.execute(statement.values(values), [dict(zip(names, row, strict=True)) for row in done])


async def abandon(session: Session, before: datetime, at: datetime) -> None:
    """What a process began and did not live to complete: nobody knows how it ended."""
    await session.execute(
        sa.update(AuditEntry)
        .where(AuditEntry.outcome == AuditOutcome.PENDING, AuditEntry.created_at < before)
        .values(outcome=AuditOutcome.UNKNOWN, finished_at=at)
    )


async def unsealed(session: Session, limit: int) -> Sequence[Row]:
    statement = sa.select(*_TABLE.c).where(AuditEntry.seq.is_(None), AuditEntry.outcome != AuditOutcome.PENDING)
    return [dict(row) for row in (await session.execute(statement.order_by(AuditEntry.id).limit(limit))).mappings()]


async def head(session: Session) -> tuple[int, str]:
    """(seq, chain) of what was sealed last, also where it was pruned since."""
    row = (await session.execute(sa.select(Platform.audit_seq, Platform.audit_chain))).one()
    return int(row[0]), str(row[1])


async def seal(session: Session, sealed: Sequence[tuple[uuid.UUID, int, str]]) -> None:
    """(id, seq, chain) of each."""
    statement = sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam("of"))
    values: dict[str, Any] = {"seq": sa.bindparam("number"), "chain": sa.bindparam("link")}
    connection = await session.connection()
    await connection.execute(
        statement.values(values), [{"of": id, "number": seq, "link": chain} for id, seq, chain in sealed]
    )


async def set_head(session: Session, seq: int, chain: str) -> None:
    await session.execute(sa.update(Platform).values(audit_seq=seq, audit_chain=chain))


async def all_sealed(session: Session, after: int, limit: int) -> Sequence[Row]:
    statement = sa.select(*_TABLE.c).where(AuditEntry.seq > after)
    return [dict(row) for row in (await session.execute(statement.order_by(AuditEntry.seq).limit(limit))).mappings()]


async def page_for(session: Session, viewer: Viewer, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
    statement = sa.select(AuditEntry)
    if not wanted.everyones:
        statement = statement.where(AuditEntry.actor_id == viewer.user_id)
    for column, value in (
        (AuditEntry.actor, wanted.actor),
        (AuditEntry.method, wanted.method),
        (AuditEntry.outcome, wanted.outcome),
        (AuditEntry.request_id, wanted.request_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.since is not None:
        statement = statement.where(AuditEntry.created_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(AuditEntry.created_at < wanted.until)
    return await page_of(session, statement, page, {"created_at": AuditEntry.id}, AuditEntry.id)


async def prune(session: Session, before: datetime) -> int:
    """Only what is sealed, from the oldest: what stays still fits together."""
    last = await session.scalar(sa.select(sa.func.max(AuditEntry.seq)).where(AuditEntry.created_at < before))
    if last is None:
        return 0
    return await affected(session, sa.delete(AuditEntry).where(AuditEntry.seq <= last))


def as_row(entry: AuditEntry) -> Row:
    return {column.key: getattr(entry, column.key) for column in _TABLE.columns}


@lru_cache
def _adding() -> sa.Select[Any]:
    columns = list(defaults(AuditEntry))
    rows = sent(AuditEntry)
    inserted = sa.insert(AuditEntry).from_select(columns, sa.select(*(rows.c[name] for name in columns)))
    return sa.select(sa.literal(1)).add_cte(inserted.cte("added"))
