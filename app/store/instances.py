"""Instances of clusters."""

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from app.database import Session
from app.models import Cluster, Instance
from app.rules.access import Viewer
from app.store import sharing
from app.store.paging import Page, PageRequest, contains, page_of


async def get(
    session: Session, viewer: Viewer, key: uuid.UUID | str, *, lock: bool = False
) -> tuple[Instance, Cluster] | None:
    """By id, by its name among the viewer's own, or by `name@owner`.

    `lock` holds its cluster and then itself until the commit.
    """
    if lock:
        await _lock_cluster(session, viewer, key)
    statement = sa.select(Instance, Cluster).join(Cluster).where(_visible(viewer, key))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    row = (await session.execute(statement)).first()
    return (row[0], row[1]) if row is not None else None


async def place_of(session: Session, viewer: Viewer, key: uuid.UUID | str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Its id and its cluster's; loads no row."""
    statement = sa.select(Instance.id, Instance.cluster_id).join(Cluster).where(_visible(viewer, key))
    row = (await session.execute(statement)).first()
    return (row[0], row[1]) if row is not None else None


async def clusters_of(
    session: Session, viewer: Viewer, keys: Sequence[uuid.UUID | str]
) -> set[tuple[uuid.UUID, uuid.UUID]]:
    """(id, owner's id) of the clusters of those instances that the viewer may see."""
    wanted = sharing.visible(viewer, keys, Instance.id, Instance.instance_name)
    statement = sa.select(Cluster.id, Cluster.owner_id).join(Instance, Instance.cluster_id == Cluster.id)
    return {(row[0], row[1]) for row in await session.execute(statement.where(wanted).distinct())}


async def lock_clusters(session: Session, cluster_ids: Sequence[uuid.UUID]) -> None:
    """In the order of their ids: whoever locks many does it in that order."""
    statement = sa.select(Cluster.id).where(Cluster.id.in_(cluster_ids)).order_by(Cluster.id)
    await session.execute(statement.with_for_update())


async def all_of(session: Session, cluster_ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Instance]]:
    """In order of their ordinals, by cluster."""
    grouped: dict[uuid.UUID, list[Instance]] = {id: [] for id in cluster_ids}
    statement = sa.select(Instance).where(Instance.cluster_id.in_(cluster_ids))
    for instance in (await session.execute(statement.order_by(Instance.cluster_id, Instance.ordinal))).scalars():
        grouped[instance.cluster_id].append(instance)
    return grouped


async def all_ids_of_owner(session: Session, owner_id: uuid.UUID) -> list[uuid.UUID]:
    """Cluster by cluster."""
    statement = sa.select(Instance.id).join(Cluster).where(Cluster.owner_id == owner_id)
    return list((await session.execute(statement.order_by(Instance.cluster_id, Instance.ordinal))).scalars())


async def page_for(
    session: Session,
    viewer: Viewer,
    page: PageRequest,
    *,
    everyones: bool = False,
    cluster_id: uuid.UUID | None = None,
    name: str | None = None,
    status: str | None = None,
    instance_type: str | None = None,
) -> Page[Instance]:
    statement = sa.select(Instance).join(Cluster)
    if not everyones:
        statement = statement.where(Cluster.owner_id == viewer.account_id)
    if name is not None:
        statement = statement.where(contains(Instance.instance_name, name))
    for column, value in (
        (Instance.cluster_id, cluster_id),
        (Instance.status, status),
        (Cluster.instance_type, instance_type),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return await page_of(
        session, statement, page, {"created_at": Instance.id, "name": Instance.instance_name}, Instance.id
    )


def _visible(viewer: Viewer, key: uuid.UUID | str) -> Any:
    return sharing.visible(viewer, [key], Instance.id, Instance.instance_name)


async def _lock_cluster(session: Session, viewer: Viewer, key: uuid.UUID | str) -> None:
    mine = sa.select(Instance.cluster_id).join(Cluster).where(_visible(viewer, key))
    cluster_id = (await session.execute(mine)).scalar()
    if cluster_id is not None:
        await session.execute(sa.select(Cluster.id).where(Cluster.id == cluster_id).with_for_update())
