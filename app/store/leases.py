"""The reconciler's view of cluster rows: whose turn it is, and writes that count only while a lease is still held.

Every time here is the database's own. A lease is a token and an expiry on the cluster's row; who comes with another
token touches no row.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Session, affected, utc_now, violates
from app.models import Cluster, Event, Instance, Operation, OperationKind, OperationStatus

ORPHAN_FOUND = "orphan.found"
_OPEN = (OperationStatus.PENDING, OperationStatus.RUNNING)
_INSTANCE_COLUMNS = (
    "status", "wanted", "reason", "message", "waiting_since", "suspend", "node", "ip", "restarts", "cpu", "memory",
    "revision", "restart_required", "migratable", "unmigratable", "guest",
)  # fmt: skip


class NamespaceInUse(Exception):
    """Another cluster has that namespace."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """`late`: seconds since the row was due, by the database's clock."""

    cluster_id: uuid.UUID
    owner_id: uuid.UUID
    token: uuid.UUID
    attempts: int
    late: float


@dataclass(frozen=True, slots=True)
class Loaded:
    cluster: Cluster
    instances: list[Instance]
    operations: list[Operation]


async def claim(
    session: Session, cluster_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float, sweep_seconds: float
) -> Claimed | None:
    """One cluster, due or not. None when somebody else holds it, or it is gone."""
    found = await _take(session, sa.and_(Cluster.id == cluster_id, _free()), token, lease_seconds, sweep_seconds)
    return found[0] if found else None


async def claim_due(
    session: Session, token: uuid.UUID, *, limit: int, lease_seconds: float, sweep_seconds: float
) -> list[Claimed]:
    """The longest due first. What another worker is claiming at this moment is stepped over."""
    due = sa.and_(Cluster.due_at <= utc_now(), _free())
    return await _take(session, due, token, lease_seconds, sweep_seconds, limit=limit, skip_locked=True)


async def load(session: Session, cluster_id: uuid.UUID, token: uuid.UUID) -> Loaded | None:
    """None when the lease is no longer held with this token."""
    mine = sa.select(Cluster).where(Cluster.id == cluster_id, Cluster.lease_token == token)
    cluster = (await session.execute(mine)).scalar_one_or_none()
    if cluster is None:
        return None
    instances = sa.select(Instance).where(Instance.cluster_id == cluster_id).order_by(Instance.ordinal)
    operations = sa.select(Operation).where(Operation.cluster_id == cluster_id, Operation.status.in_(_OPEN))
    return Loaded(
        cluster,
        list((await session.execute(instances)).scalars()),
        list((await session.execute(operations.order_by(Operation.id))).scalars()),
    )


async def renew(session: Session, cluster_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float) -> bool:
    """False when the lease is lost."""
    return await _update_mine(session, cluster_id, token, {"lease_until": utc_now(lease_seconds)})


async def hold(session: Session, cluster_id: uuid.UUID, token: uuid.UUID) -> bool:
    """Locks the row to the commit while the lease is still held; False writes and locks nothing."""
    return await _update_mine(session, cluster_id, token, {"lease_token": token})


async def release(
    session: Session, cluster_id: uuid.UUID, token: uuid.UUID, *, attempts: int, next_seconds: float | None
) -> int | None:
    """Give the row back, due again in `next_seconds` unless it is due earlier (a poke during the visit is kept).

    Answers the row's version, which cannot change before the commit. None: the lease is lost, nothing was written.
    """
    values: dict[str, Any] = {"lease_token": None, "lease_until": None, "attempts": attempts}
    if next_seconds is not None:
        values["due_at"] = _sooner(next_seconds)
    if not await _update_mine(session, cluster_id, token, values):
        return None
    return await session.scalar(sa.select(Cluster.version).where(Cluster.id == cluster_id))


async def poke(session: Session, cluster_id: uuid.UUID) -> bool:
    """Make it due now: the durable hint, whoever holds it. False when there is no such cluster."""
    return await affected(session, sa.update(Cluster).where(Cluster.id == cluster_id).values(due_at=_sooner(0))) == 1


async def forget_all(session: Session) -> int:
    """Drop every lease: only for a database that belongs to this one process, at its start."""
    statement = sa.update(Cluster).where(Cluster.lease_token.is_not(None))
    return await affected(session, statement.values(lease_token=None, lease_until=None, due_at=_sooner(0)))


async def abandoned(session: Session) -> list[uuid.UUID]:
    """Whose lease ran out unreturned, so that its holder is dead, and who are not due yet. Locks nothing."""
    statement = sa.select(Cluster.id).where(Cluster.lease_until < utc_now(), Cluster.due_at > utc_now())
    return list((await session.execute(statement)).scalars())


async def write_cluster(session: Session, cluster_id: uuid.UUID, values: Mapping[str, Any], now: datetime) -> None:
    await affected(
        session,
        sa.update(Cluster)
        .where(Cluster.id == cluster_id)
        .values(dict(values) | {"version": Cluster.version + 1, "updated_at": now}),
    )


async def write_instances(
    session: Session, rows: Sequence[Instance], changes: Mapping[uuid.UUID, Mapping[str, Any]], now: datetime
) -> set[uuid.UUID]:
    """Write what changed on rows that are still as they were loaded; answers which those were."""
    if not changes:
        return set()
    ids = {row.id: row.version for row in rows if row.id in changes}
    current = sa.select(Instance.id, Instance.version).where(Instance.cluster_id == rows[0].cluster_id)
    found = (await session.execute(current.order_by(Instance.id).with_for_update())).all()
    unchanged = {row.id for row in found if ids.get(row.id) == row.version}
    values = [
        {"row_id": row.id, "now": now}
        | {f"new_{c}": changes[row.id].get(c, getattr(row, c)) for c in _INSTANCE_COLUMNS}
        for row in rows
        if row.id in unchanged
    ]
    if values:
        await (await session.connection()).execute(_WRITE_INSTANCE, values)
    return unchanged


async def rename_namespace(session: Session, cluster_id: uuid.UUID, namespace: str, now: datetime) -> None:
    """Raises NamespaceInUse."""
    try:
        await write_cluster(session, cluster_id, {"namespace": namespace, "namespace_uid": None}, now)
    except IntegrityError as error:
        if violates(error, "uq_clusters_namespace"):
            raise NamespaceInUse from error
        raise


async def delete_cluster(session: Session, cluster_id: uuid.UUID) -> None:
    await affected(session, sa.delete(Instance).where(Instance.cluster_id == cluster_id))
    await affected(session, sa.delete(Cluster).where(Cluster.id == cluster_id))


async def delete_instances(session: Session, instance_ids: Sequence[uuid.UUID]) -> None:
    await affected(session, sa.delete(Instance).where(Instance.id.in_(instance_ids)))


async def namespaces_of(session: Session, cluster_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Of those clusters that have a row."""
    statement = sa.select(Cluster.id, Cluster.namespace).where(Cluster.id.in_(cluster_ids))
    return {row.id: row.namespace for row in await session.execute(statement)}


async def deletions_of(session: Session, cluster_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """When the last deletion of each was asked for, or ended: the proof that it is ours to delete."""
    statement = sa.select(Operation.cluster_id, Operation.created_at, Operation.finished_at).where(
        Operation.cluster_id.in_(cluster_ids),
        Operation.kind == OperationKind.CLUSTER_DELETE,
        Operation.status.in_((*_OPEN, OperationStatus.SUCCEEDED)),
    )
    found: dict[uuid.UUID, datetime] = {}
    for row in await session.execute(statement):
        at = row.finished_at or row.created_at
        found[row.cluster_id] = max(at, found.get(row.cluster_id, at))
    return found


async def reported_orphans(session: Session, cluster_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of which an orphan was reported before."""
    statement = sa.select(Event.cluster_id).where(Event.kind == ORPHAN_FOUND, Event.cluster_id.in_(cluster_ids))
    return {id for id in (await session.execute(statement)).scalars() if id is not None}


_table: Any = Instance.__table__
_WRITE_INSTANCE = (
    sa.update(_table)
    .where(_table.c.id == sa.bindparam("row_id"))
    .values(
        {c: sa.bindparam(f"new_{c}", type_=_table.c[c].type) for c in _INSTANCE_COLUMNS}
        | {"updated_at": sa.bindparam("now", type_=_table.c.updated_at.type), "version": _table.c.version + 1}
    )
)


async def _take(
    session: Session,
    condition: sa.ColumnElement[bool],
    token: uuid.UUID,
    lease_seconds: float,
    sweep_seconds: float,
    *,
    limit: int = 1,
    skip_locked: bool = False,
) -> list[Claimed]:
    columns = (Cluster.id, Cluster.owner_id, Cluster.attempts, Cluster.due_at, utc_now().label("now"))
    statement = (
        sa.select(*columns)
        .where(condition)
        .order_by(Cluster.due_at)
        .limit(limit)
        .with_for_update(skip_locked=skip_locked)
    )
    rows = (await session.execute(statement)).all()
    if not rows:
        return []
    taken = {"lease_token": token, "lease_until": utc_now(lease_seconds), "due_at": utc_now(sweep_seconds)}
    await affected(session, sa.update(Cluster).where(Cluster.id.in_([row.id for row in rows])).values(taken))
    return [Claimed(row.id, row.owner_id, token, row.attempts, (row.now - row.due_at).total_seconds()) for row in rows]


def _free() -> sa.ColumnElement[bool]:
    return sa.or_(Cluster.lease_until.is_(None), Cluster.lease_until < utc_now())


def _sooner(seconds: float) -> sa.ColumnElement[datetime]:
    return sa.case((Cluster.due_at < utc_now(seconds), Cluster.due_at), else_=utc_now(seconds))


async def _update_mine(session: Session, cluster_id: uuid.UUID, token: uuid.UUID, values: Mapping[str, Any]) -> bool:
    statement = sa.update(Cluster).where(Cluster.id == cluster_id, Cluster.lease_token == token)
    return await affected(session, statement.values(dict(values))) == 1
