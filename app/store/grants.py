"""Whom clusters are shared with."""

import uuid

import sqlalchemy as sa

from app.database import Row, Session
from app.models import ClusterGrant, User

_COLUMNS = (
    User.id.label("user_id"),
    User.username,
    ClusterGrant.level,
    ClusterGrant.granted_by,
    ClusterGrant.created_at,
    ClusterGrant.updated_at,
)


async def all_of(session: Session, cluster_id: uuid.UUID, user_id: uuid.UUID | None = None) -> list[Row]:
    """Of a cluster, whose caller may see it, by username; or one user's alone."""
    statement = sa.select(*_COLUMNS).join(ClusterGrant, ClusterGrant.user_id == User.id)
    statement = statement.where(ClusterGrant.cluster_id == cluster_id).order_by(User.username)
    if user_id is not None:
        statement = statement.where(ClusterGrant.user_id == user_id)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def get(session: Session, cluster_id: uuid.UUID, user_id: uuid.UUID) -> ClusterGrant | None:
    return await session.get(ClusterGrant, (cluster_id, user_id), populate_existing=True)


async def count(session: Session, cluster_id: uuid.UUID) -> int:
    counted = sa.select(sa.func.count()).select_from(ClusterGrant).where(ClusterGrant.cluster_id == cluster_id)
    return int(await session.scalar(counted) or 0)


async def add(session: Session, grant: ClusterGrant) -> None:
    session.add(grant)
    await session.flush()


async def remove(session: Session, cluster_id: uuid.UUID, user_id: uuid.UUID | None = None) -> None:
    """One user's, or everybody's."""
    statement = sa.delete(ClusterGrant).where(ClusterGrant.cluster_id == cluster_id)
    await session.execute(statement if user_id is None else statement.where(ClusterGrant.user_id == user_id))
