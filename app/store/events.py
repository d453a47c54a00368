"""What happened, row by row: written in the transaction of the change, read by people and streams."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.database import Database, Row, Session, affected
from app.models import Cluster, Event, Instance
from app.rules.access import Viewer
from app.store import notifications, sharing
from app.store.paging import Page, PageRequest

COLUMNS = list(Event.__table__.columns)


async def add(session: Session, **what: Any) -> None:
    """What `entry` takes."""
    await add_many(session, [entry(**what)])


def entry(
    *,
    kind: str,
    actor: str = "platform",
    owner_id: uuid.UUID | None = None,
    cluster: Cluster | None = None,
    instance: Instance | None = None,
    operation_id: uuid.UUID | None = None,
    status: str | None = None,
    reason: str | None = None,
    message: str | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """One row, as columns by name."""
    return {
        "kind": kind,
        "actor": actor,
        "owner_id": owner_id or (cluster.owner_id if cluster is not None else None),
        "cluster_id": cluster.id if cluster is not None else None,
        "cluster_name": cluster.name if cluster is not None else None,
        "instance_id": instance.id if instance is not None else None,
        "instance_name": instance.instance_name if instance is not None else None,
        "operation_id": operation_id,
        "status": status,
        "reason": reason,
        "message": message[:1024] if message else None,
        "request_id": request_id,
        "created_at": datetime.now(UTC),
    }


async def add_many(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as column dicts; `created_at` is set here where they have none. Who wants to be told of them will be."""
    if rows:
        now = datetime.now(UTC)
        dated = [{"created_at": now} | row for row in rows]
        await session.execute(sa.insert(Event), dated)
        await notifications.tell(session, dated)


async def latest_id(session: Session) -> int:
    return int(await session.scalar(sa.select(sa.func.coalesce(sa.func.max(Event.id), 0))) or 0)


async def page_for(
    session: Session,
    viewer: Viewer,
    page: PageRequest,
    *,
    everyones: bool = False,
    cluster_id: uuid.UUID | None = None,
) -> Page[Row]:
    """`everyones` is the caller's promise that the viewer may."""
    statement = sa.select(Event)
    if not everyones:
        statement = statement.where(sharing.remembered(viewer, Event, cluster_id))
    if cluster_id is not None:
        statement = statement.where(Event.cluster_id == cluster_id)
    if page.after is not None:
        last = int(page.after[1])
        statement = statement.where(Event.id < last if page.descending else Event.id > last)
    statement = statement.order_by(Event.id.desc() if page.descending else Event.id.asc()).limit(page.limit + 1)
    rows: list[Row] = [vars(row) for row in (await session.execute(statement)).scalars()]
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    return Page(rows, [str(rows[-1]["id"]), str(rows[-1]["id"])] if more else None)


async def all_since(database: Database, after: int, limit: int) -> list[Row]:
    """In order of id. Ids may become visible out of order: see services.events."""
    return await database.fetch(_all_since(), {"after": after, "most": limit})


@lru_cache
def _all_since() -> sa.Select[Any]:
    after, most = (sa.bindparam(name, type_=sa.BigInteger()) for name in ("after", "most"))
    return sa.select(*COLUMNS).where(Event.id > after).order_by(Event.id).limit(most)


async def all_of(session: Session, ids: list[int]) -> list[Row]:
    statement = sa.select(*COLUMNS).where(Event.id.in_(ids)).order_by(Event.id)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def late(session: Session, owner_id: uuid.UUID | None, until: int, oldest: datetime) -> list[Row]:
    """One owner's (or everybody's) up to an id that are not older than that: some may have become visible lately."""
    statement = sa.select(*COLUMNS).where(Event.id <= until, Event.created_at >= oldest).order_by(Event.id)
    if owner_id is not None:
        statement = statement.where(Event.owner_id == owner_id)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def since(session: Session, owner_id: uuid.UUID | None, after: int, limit: int) -> list[Row]:
    """One owner's, or everybody's where no owner is named."""
    statement = sa.select(*COLUMNS).where(Event.id > after).order_by(Event.id).limit(limit)
    if owner_id is not None:
        statement = statement.where(Event.owner_id == owner_id)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def count_since(session: Session, owner_id: uuid.UUID, kind: str, oldest: datetime) -> int:
    """How many of that kind an owner has that are not older than that."""
    counted = sa.select(sa.func.count()).where(
        Event.owner_id == owner_id, Event.kind == kind, Event.created_at >= oldest
    )
    return int(await session.scalar(counted) or 0)


async def prune(session: Session, older_than: datetime) -> int:
    return await affected(session, sa.delete(Event).where(Event.created_at < older_than))
