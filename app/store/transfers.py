"""Offers of clusters to others, and the change of hands itself."""

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Row, Session, violates
from app.models import Cluster, ClusterTransfer, LedgerEntry, Operation, User
from app.rules.access import Permission, Viewer
from app.rules.quota import DIMENSIONS, Amounts
from app.store.operations import OPEN
from app.store.paging import Page, PageRequest, beyond, decoded, ordered

_owner, _to = sa.orm.aliased(User, name="giver"), sa.orm.aliased(User, name="taker")
_COLUMNS = (
    ClusterTransfer.id,
    ClusterTransfer.cluster_id,
    Cluster.name.label("cluster_name"),
    Cluster.instance_type,
    Cluster.instance_count,
    Cluster.owner_id,
    _owner.username.label("owner"),
    ClusterTransfer.to_id,
    _to.username.label("to"),
    ClusterTransfer.offered_by,
    ClusterTransfer.created_at,
    *(
        sa.select(sa.func.coalesce(sa.func.sum(getattr(LedgerEntry, d)), 0))
        .where(LedgerEntry.cluster_id == ClusterTransfer.cluster_id)
        .correlate(ClusterTransfer)
        .scalar_subquery()
        .label(f"held_{d}")
        for d in DIMENSIONS
    ),
)


class NameInUse(Exception):
    """The receiver has a cluster of that name."""


async def page_for(session: Session, viewer: Viewer, page: PageRequest) -> Page[Row]:
    """What the viewer offers, and what is offered to them."""
    mine = sa.or_(ClusterTransfer.to_id == viewer.user_id, Cluster.owner_id == viewer.account_id)
    statement = ordered(_statement().where(mine), page, ClusterTransfer.id, ClusterTransfer.id)
    if page.after is not None:
        last = decoded(page, ClusterTransfer.id, ClusterTransfer.id)
        statement = statement.where(beyond(page, ClusterTransfer.id, ClusterTransfer.id, *last))
    rows = [_row(row) for row in (await session.execute(statement.limit(page.limit + 1))).mappings()]
    more = len(rows) > page.limit
    rows = rows[: page.limit]
    return Page(rows, [str(rows[-1]["id"])] * 2 if more else None)


async def get(session: Session, viewer: Viewer, id: uuid.UUID) -> Row | None:
    """One that the viewer may see: the owner's, the receiver's, and anybody's whose role looks after everybody's."""
    statement = _statement().where(ClusterTransfer.id == id)
    if not viewer.may(Permission.EVERYONES):
        mine = sa.or_(ClusterTransfer.to_id == viewer.user_id, Cluster.owner_id == viewer.account_id)
        statement = statement.where(mine)
    row = (await session.execute(statement)).mappings().first()
    return _row(row) if row is not None else None


async def of_cluster(session: Session, cluster_id: uuid.UUID) -> ClusterTransfer | None:
    statement = sa.select(ClusterTransfer).where(ClusterTransfer.cluster_id == cluster_id)
    return (await session.execute(statement)).scalar_one_or_none()


async def add(session: Session, transfer: ClusterTransfer) -> None:
    """Instead of any earlier offer of that cluster, whose row is locked."""
    await remove(session, transfer.cluster_id)
    session.add(transfer)
    await session.flush()


async def remove(session: Session, cluster_id: uuid.UUID) -> None:
    await session.execute(sa.delete(ClusterTransfer).where(ClusterTransfer.cluster_id == cluster_id))


async def hand_over(session: Session, cluster: Cluster, to_id: uuid.UUID) -> None:
    """The row and what is open for it are the receiver's; what ended stays in its earlier owner's history.

    Raises NameInUse.
    """
    cluster.owner_id = to_id
    cluster.version += 1
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_clusters_owner_id_name"):
            raise NameInUse from error
        raise
    open_ = sa.and_(Operation.cluster_id == cluster.id, Operation.status.in_(OPEN))
    statement = sa.update(Operation).where(open_).values(owner_id=to_id)
    await session.execute(statement.execution_options(synchronize_session=False))


def _row(found: Any) -> Row:
    return {**found, "held": Amounts(*(int(found[f"held_{d}"]) for d in DIMENSIONS))}


def _statement() -> sa.Select[Any]:
    return (
        sa.select(*_COLUMNS)
        .select_from(ClusterTransfer)
        .join(Cluster, Cluster.id == ClusterTransfer.cluster_id)
        .join(_owner, _owner.id == Cluster.owner_id)
        .join(_to, _to.id == ClusterTransfer.to_id)
    )
