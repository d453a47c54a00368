"""Waiting for operations, and what happens to them when something newer is wished."""

import asyncio
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from app.database import Database, Session, after_commit
from app.errors import NotFound
from app.models import Cluster, Instance, Operation, OperationStatus
from app.rules.access import Viewer
from app.services.events import Broadcaster
from app.store import clusters, events, operations
from app.telemetry import metrics

_LOOK = 1.0


async def load(database: Database, viewer: Viewer, operation_id: uuid.UUID) -> Operation:
    """Raises NotFound."""
    async with database.reading() as session:
        found = await operations.get(session, viewer, operation_id)
    if found is None:
        raise NotFound("There is no such operation, or it is not yours. List yours to see their ids.")
    return found


async def wait(
    database: Database, broadcaster: Broadcaster, viewer: Viewer, operation_id: uuid.UUID, seconds: float
) -> Operation:
    """The operation once it is finished, or as it stands after so many seconds, or when the process is to end.

    Raises NotFound.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    async with broadcaster.changes(operation_id) as changed:
        while True:
            found = await load(database, viewer, operation_id)
            left = deadline - asyncio.get_running_loop().time()
            if found.finished_at is not None or left <= 0 or broadcaster.ending:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK)):
                    await changed.wait()
            changed.clear()


async def supersede(
    session: Session, viewer: Viewer, cluster: Cluster, by: Operation, *, only_kind: bool = False
) -> None:
    """`by`, which is not written yet, ends what is open for its instance, or for its whole cluster; that is told.

    `only_kind`: no more than what is of its own kind. The cluster's row is locked.
    """
    message = f"superseded by {by.kind} {by.id}"
    told = events.entry(
        kind="operation.finished",
        actor=viewer.username,
        cluster=cluster,
        status=OperationStatus.CANCELLED,
        message=message,
        request_id=by.request_id,
    )
    ended = await operations.cancel(session, cluster.id, by.instance_id, message, by.kind if only_kind else None)
    for op in ended:
        seconds = (datetime.now(UTC) - op.created_at).total_seconds()
        after_commit(session, partial(metrics.operation_ended, op.kind, told["status"], cluster.instance_type, seconds))
    await events.add_many(
        session,
        [
            told | {"operation_id": op.id, "instance_id": op.instance_id, "instance_name": op.instance_name}
            for op in ended
        ],
    )


async def begin(
    session: Session,
    viewer: Viewer,
    cluster: Cluster,
    operation: Operation,
    message: str | None = None,
    instance: Instance | None = None,
) -> None:
    """Writes it, has its cluster visited next, and tells of it."""
    session.add(operation)
    await session.flush()
    await clusters.due_now(session, cluster.id)
    await events.add(
        session,
        kind="operation.started",
        actor=viewer.username,
        cluster=cluster,
        instance=instance,
        operation_id=operation.id,
        status=cluster.phase if instance is None else instance.status,
        message=message or operation.kind,
        request_id=operation.request_id,
    )
