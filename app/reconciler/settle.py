"""Writes what a visit found: one short transaction that begins with the lease. A stale worker writes nothing at all."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from app import auth
from app.database import Session, after_commit
from app.models import ClusterPhase, Instance, OperationStatus, Reason
from app.reconciler.decide import OperationRuling, Verdict
from app.rules.quota import Amounts
from app.store import events, leases, ledger, operations
from app.store.leases import Loaded
from app.telemetry import metrics


async def settle(
    session: Session,
    token: uuid.UUID,
    loaded: Loaded,
    verdict: Verdict,
    gone: frozenset[uuid.UUID],
    *,
    attempts: int,
    next_seconds: float | None,
    now: datetime,
) -> bool:
    """Gives the lease back. False when it was lost: nothing is written then.

    What the API changed since it was loaded is left alone; the cluster is due again at once.
    """
    cluster = loaded.cluster
    if verdict.stopped or verdict.sized or gone:
        await ledger.lock_account(session, cluster.owner_id)
    version = await leases.release(session, cluster.id, token, attempts=attempts, next_seconds=next_seconds)
    if version is None:
        return False
    if version != cluster.version:
        await leases.poke(session, cluster.id)
        return True
    written = await leases.write_instances(session, loaded.instances, verdict.instances, now)
    if len(written) < len(verdict.instances):
        await leases.poke(session, cluster.id)
    # A stop that a newer wish overtook frees nothing.
    stopped = [id for id in verdict.stopped if id in written]
    if stopped:
        await auth.seen_stopped(session, cluster.owner_id, stopped)
    if sized := [id for id in verdict.sized if id in written]:
        await auth.seen_sized(session, cluster.owner_id, sized, Amounts(cluster.cpu_per_inst, cluster.memory_per_inst))
    if gone:
        await auth.release(session, cluster.owner_id, gone)
        await leases.delete_instances(session, list(gone))
    if verdict.cluster:
        await leases.write_cluster(session, cluster.id, verdict.cluster, now)
    rows = _instance_events(loaded, {id: verdict.instances[id] for id in written})
    for ruling in verdict.operations:
        rows += await _write_operation(session, loaded, ruling)
    await events.add_many(session, rows + _cluster_events(loaded, verdict.cluster))
    return True


async def finish_deletion(session: Session, token: uuid.UUID, loaded: Loaded) -> bool:
    """Kubernetes was seen to hold nothing of it: quota, rows, operation end together. False: the lease is lost."""
    cluster = loaded.cluster
    await ledger.lock_account(session, cluster.owner_id)
    if not await leases.hold(session, cluster.id, token):
        return False
    await auth.release(session, cluster.owner_id, await ledger.all_in_cluster(session, cluster.id))
    rows = [_event(loaded, "cluster.deleted", status="deleted")]
    for op in await operations.open_for_cluster(session, cluster.id):
        deletion = op.kind == "cluster.delete"
        status = OperationStatus.SUCCEEDED if deletion else OperationStatus.CANCELLED
        message = None if deletion else "the cluster was deleted"
        rows += await _write_operation(session, loaded, OperationRuling(op, status, op.total, op.total, None, message))
    await leases.delete_cluster(session, cluster.id)
    await events.add_many(session, rows)
    return True


async def _write_operation(session: Session, loaded: Loaded, ruling: OperationRuling) -> list[dict[str, Any]]:
    """Writes it unless it ended already, and answers the events that tell of it."""
    op = ruling.operation
    said = {"reason": ruling.reason, "message": ruling.message}
    about = {"operation_id": op.id, "instance_id": op.instance_id, "instance_name": op.instance_name, **said}
    if ruling.status is None:
        await operations.progress(session, op.id, done=ruling.done, total=ruling.total, **said)
        if ruling.done == op.done:
            return []
        return [_event(loaded, "operation.progress", status=OperationStatus.RUNNING, **about)]
    if ruling.status is not OperationStatus.SUCCEEDED and (ruling.done, ruling.total) != (op.done, op.total):
        await operations.progress(session, op.id, done=ruling.done, total=ruling.total, **said)
    if not await operations.finish(session, op.id, ruling.status, **said):
        return []
    seconds = (datetime.now(UTC) - op.created_at).total_seconds()
    ended = partial(metrics.operation_ended, op.kind, ruling.status, loaded.cluster.instance_type, seconds)
    after_commit(session, ended)
    return [_event(loaded, "operation.finished", status=ruling.status, **about)]


def _instance_events(loaded: Loaded, changes: Mapping[uuid.UUID, Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for instance in loaded.instances:
        change = changes.get(instance.id)
        if change is not None and _worth_telling(instance, change):
            rows.append(
                _event(
                    loaded,
                    "instance.status",
                    status=change.get("status", instance.status),
                    reason=change.get("reason", instance.reason),
                    message=change.get("message", instance.message),
                    instance_id=instance.id,
                    instance_name=instance.instance_name,
                )
            )
    return rows


def _worth_telling(instance: Instance, change: Mapping[str, Any]) -> bool:
    return "status" in change or change.get("reason") not in (None, Reason.WAITING)


def _cluster_events(loaded: Loaded, change: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "phase" not in change and change.get("reason") is None:
        return []
    cluster = loaded.cluster
    status = ClusterPhase(change.get("phase", cluster.phase))
    reason = change.get("reason", cluster.reason)
    return [_event(loaded, "cluster.phase", status=status, reason=reason, message=change.get("message"))]


def _event(loaded: Loaded, kind: str, **more: Any) -> dict[str, Any]:
    """A row of events: every one of them names the same columns, so that they are written as one statement."""
    cluster = loaded.cluster
    row: dict[str, Any] = {
        "kind": kind,
        "actor": "platform",
        "owner_id": cluster.owner_id,
        "cluster_id": cluster.id,
        "cluster_name": cluster.name,
        "instance_id": None,
        "instance_name": None,
        "operation_id": None,
        "status": None,
        "reason": None,
        "message": None,
        "request_id": None,
    }
    return row | more
