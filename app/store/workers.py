"""Which reconciler processes are at work, and how each sees Kubernetes."""

import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.database import Session, affected
from app.models import Worker

SILENT_AFTER = timedelta(seconds=60)
"""Of whoever was not heard of for so long it is not said that they are at work."""


async def beat(
    session: Session,
    worker_id: uuid.UUID,
    *,
    host: str,
    pid: int,
    kubernetes: str | None,
    kubernetes_error: str | None,
) -> None:
    """Say that this worker lives; makes its row the first time."""
    now = datetime.now(UTC)
    seen = {
        "kubernetes": kubernetes[:255] if kubernetes else None,
        "kubernetes_error": kubernetes_error[:1024] if kubernetes_error else None,
        "seen_at": now,
    }
    statement = sa.update(Worker).where(Worker.id == worker_id).values(seen)
    if await affected(session, statement) == 0:
        row = {"id": worker_id, "host": host[:255], "pid": pid, "started_at": now} | seen
        await session.execute(sa.insert(Worker), [row])


async def remove(session: Session, worker_id: uuid.UUID) -> None:
    await session.execute(sa.delete(Worker).where(Worker.id == worker_id))


async def all_seen_since(session: Session, moment: datetime) -> list[Worker]:
    statement = sa.select(Worker).where(Worker.seen_at >= moment).order_by(Worker.started_at)
    return list((await session.execute(statement)).scalars())


async def prune(session: Session, older_than: datetime) -> int:
    return await affected(session, sa.delete(Worker).where(Worker.seen_at < older_than))
