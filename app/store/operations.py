"""Operations: the durable rows behind every slow verb. A finished one never changes again."""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa

from app.database import Session, affected
from app.models import Cluster, Instance, Operation, OperationKind, OperationStatus
from app.rules.access import Permission, Viewer
from app.store import sharing
from app.store.paging import Page, PageRequest, page_of
from app.telemetry import traces

OPEN = (OperationStatus.PENDING, OperationStatus.RUNNING)


def new(
    viewer: Viewer,
    kind: OperationKind,
    cluster: Cluster,
    *,
    id: uuid.UUID,
    request_id: str,
    instance: Instance | None = None,
    total: int = 1,
    incarnation: int | None = None,
) -> Operation:
    now = datetime.now(UTC)
    return Operation(
        id=id,
        kind=kind,
        status=OperationStatus.PENDING,
        owner_id=cluster.owner_id,
        actor_id=viewer.user_id,
        actor=viewer.username,
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        instance_id=instance.id if instance is not None else None,
        instance_name=instance.instance_name if instance is not None else None,
        done=0,
        total=total,
        incarnation=incarnation,
        reason=None,
        message=None,
        request_id=request_id,
        traceparent=traces.traceparent(),
        created_at=now,
        updated_at=now,
        finished_at=None,
    )


async def get(session: Session, viewer: Viewer, operation_id: uuid.UUID) -> Operation | None:
    statement = sa.select(Operation).where(Operation.id == operation_id)
    if not viewer.may(Permission.EVERYONES):
        mine = Operation.owner_id == viewer.account_id
        statement = statement.where(sa.or_(mine, sharing.shared_history(viewer, Operation)))
    return (await session.execute(statement)).scalar_one_or_none()


async def page_for(
    session: Session,
    viewer: Viewer,
    page: PageRequest,
    *,
    everyones: bool = False,
    cluster_id: uuid.UUID | None = None,
    instance_id: uuid.UUID | None = None,
    status: str | None = None,
    kind: str | None = None,
) -> Page[Operation]:
    """Newest first unless the page says otherwise. `everyones` is the caller's promise that the viewer may."""
    statement = sa.select(Operation)
    if not everyones:
        statement = statement.where(sharing.remembered(viewer, Operation, cluster_id))
    for column, value in (
        (Operation.cluster_id, cluster_id),
        (Operation.instance_id, instance_id),
        (Operation.status, status),
        (Operation.kind, kind),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return await page_of(session, statement, page, {"created_at": Operation.id}, Operation.id)


async def latest(session: Session, cluster_id: uuid.UUID) -> Operation | None:
    """The newest on the cluster as a whole or one of its instances."""
    statement = sa.select(Operation).where(Operation.cluster_id == cluster_id).order_by(Operation.id.desc()).limit(1)
    return (await session.execute(statement)).scalar_one_or_none()


async def open_for_cluster(session: Session, cluster_id: uuid.UUID) -> list[Operation]:
    statement = sa.select(Operation).where(Operation.cluster_id == cluster_id, Operation.status.in_(OPEN))
    return list((await session.execute(statement.order_by(Operation.id))).scalars())


async def cancel(
    session: Session, cluster_id: uuid.UUID, instance_id: uuid.UUID | None, message: str, kind: str | None = None
) -> list[Operation]:
    """What is open for an instance, or for the whole cluster, whose row is locked. Answers them as they were."""
    ours = sa.and_(Operation.cluster_id == cluster_id, Operation.status.in_(OPEN))
    if instance_id is not None:
        ours = sa.and_(ours, Operation.instance_id == instance_id)
    if kind is not None:
        ours = sa.and_(ours, Operation.kind == kind)
    found = list((await session.execute(sa.select(Operation).where(ours).order_by(Operation.id))).scalars())
    if found:
        now = datetime.now(UTC)
        ended = {"status": OperationStatus.CANCELLED, "message": message, "finished_at": now, "updated_at": now}
        statement = sa.update(Operation).where(ours).values(ended)
        await session.execute(statement.execution_options(synchronize_session=False))
    return found


async def progress(
    session: Session,
    operation_id: uuid.UUID,
    *,
    done: int,
    total: int | None = None,
    message: str | None = None,
    reason: str | None = None,
) -> None:
    values = {"status": OperationStatus.RUNNING, "done": done, "message": message, "reason": reason}
    values |= {"total": total} if total is not None else {}
    await _change(session, operation_id, values)


async def finish(
    session: Session,
    operation_id: uuid.UUID,
    status: OperationStatus,
    *,
    reason: str | None = None,
    message: str | None = None,
) -> bool:
    """False when it was finished already."""
    values: dict[str, object] = {"status": status, "reason": reason, "message": message[:1024] if message else None}
    values["finished_at"] = datetime.now(UTC)
    if status is OperationStatus.SUCCEEDED:
        values["done"] = Operation.total
    return await _change(session, operation_id, values)


async def prune(session: Session, older_than: datetime) -> int:
    old = sa.delete(Operation).where(Operation.finished_at.is_not(None), Operation.finished_at < older_than)
    return await affected(session, old)


async def _change(session: Session, operation_id: uuid.UUID, values: dict[str, object]) -> bool:
    open_ = sa.update(Operation).where(Operation.id == operation_id, Operation.status.in_(OPEN))
    return await affected(session, open_.values(values | {"updated_at": datetime.now(UTC)})) == 1
