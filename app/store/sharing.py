"""Which clusters somebody may see: the conditions that look-ups of clusters, instances and history carry."""

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from app.database import Session
from app.models import Cluster, ClusterGrant, User
from app.rules.access import Access, Permission, Viewer


def visible(viewer: Viewer, keys: Sequence[uuid.UUID | str], id: Any, name: Any) -> sa.ColumnElement[bool]:
    """Of clusters, or of what is joined to them: by id, by name among one's own, or by `name@owner`."""
    ids = [key for key in keys if isinstance(key, uuid.UUID)]
    names = [key for key in keys if isinstance(key, str) and "@" not in key]
    found: list[sa.ColumnElement[bool]] = []
    if ids:
        found.append(sa.and_(id == ids[0] if len(ids) == 1 else id.in_(ids), _seen(viewer)))
    if names:
        mine = name == names[0] if len(names) == 1 else name.in_(names)
        found.append(sa.and_(mine, Cluster.owner_id == viewer.account_id))
    for key in keys:
        if isinstance(key, str) and "@" in key:
            what, _, owner = key.partition("@")
            owner_id = sa.select(User.id).where(User.username == owner).scalar_subquery()
            found.append(sa.and_(name == what, Cluster.owner_id == owner_id, _seen(viewer)))
    return sa.or_(*found) if found else sa.false()


def remembered(viewer: Viewer, table: Any, cluster_id: uuid.UUID | None) -> sa.ColumnElement[bool]:
    """Of operations or events: one's own, and those of the named cluster while it is shared with the viewer.

    Not those of the time when the cluster had another owner.
    """
    mine: sa.ColumnElement[bool] = table.owner_id == viewer.account_id
    return mine if cluster_id is None else sa.or_(mine, shared_history(viewer, table))


def shared_history(viewer: Viewer, table: Any) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        ClusterGrant.cluster_id == table.cluster_id,
        ClusterGrant.user_id == viewer.user_id,
        Cluster.id == ClusterGrant.cluster_id,
        Cluster.owner_id == table.owner_id,
    )


async def access_to(session: Session, viewer: Viewer, cluster: Cluster) -> Access | None:
    """What the viewer is to a cluster; None: nothing."""
    if cluster.owner_id == viewer.account_id:
        return Access.OWNER
    if viewer.may(Permission.EVERYONES):
        return Access.ROLE
    level = sa.select(ClusterGrant.level).where(
        ClusterGrant.cluster_id == cluster.id, ClusterGrant.user_id == viewer.user_id
    )
    found = await session.scalar(level)
    return Access(found) if found is not None else None


def _seen(viewer: Viewer) -> sa.ColumnElement[bool]:
    if viewer.may(Permission.EVERYONES):
        return sa.true()
    shared = sa.exists().where(ClusterGrant.cluster_id == Cluster.id, ClusterGrant.user_id == viewer.user_id)
    return sa.or_(Cluster.owner_id == viewer.account_id, shared)
