"""Background chores: idempotent, each in short transactions, harmless when two workers do them at the same time."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from app import auth
from app.database import Database, Row, Session
from app.errors import CmpError
from app.k8s_service import ClusterRef, KubernetesService, OwnedNamespace
from app.rules import notifications as told
from app.rules.quota import account_of
from app.store import (
    audit,
    events,
    idempotency,
    leases,
    ledger,
    notifications,
    operations,
    sign_ins,
    tokens,
    workers,
)
from app.telemetry import metrics

log = structlog.get_logger(__name__)

_CHUNK = 500
_ABANDONED = timedelta(hours=9)  # longer than streams are open, unless they are allowed to be
_WORKER_KEPT = timedelta(minutes=10)
_UNCONFIRMED_KEPT = timedelta(days=7)


async def orphans(database: Database, service: KubernetesService, installation_id: str, grace_seconds: float) -> int:
    """Namespaces of this installation that no cluster has. Answers how many were deleted.

    Deleted only where an operation proves that the cluster was deleted here: after a restore of an older database
    newer clusters look like orphans too, and those are reported and left alone.
    """
    before = datetime.now(UTC) - timedelta(seconds=grace_seconds)
    # In this order: a namespace is made after its row, so one without a row has lost it.
    found = {_id(owned): owned for owned in service.owned_namespaces() if owned.created_at < before}
    deleted = 0
    for ids in _chunks([key for key in found if key is not None]):
        async with database.reading() as session:
            known = await leases.namespaces_of(session, ids)
            deletions = await leases.deletions_of(session, ids)
        for cluster_id in (id for id in ids if id not in known):
            when = deletions.get(cluster_id)
            if when is None:
                await _report(database, cluster_id, found[cluster_id])
            elif when < before:
                deleted += await _delete(database, service, installation_id, cluster_id, found[cluster_id])
    return deleted


async def abandoned(database: Database) -> int:
    """Clusters of workers that died are due at once, and not only when they would have been swept. Answers how many."""
    async with database.reading() as session:
        found = await leases.abandoned(session)
    for cluster_id in found:
        await database.run(lambda session, cluster_id=cluster_id: leases.poke(session, cluster_id))  # type: ignore[misc]
    return len(found)


async def quota_drift(database: Database) -> int:
    """Every account's counters against its ledger; repaired and told. Answers how many were off."""
    async with database.reading() as session:
        accounts = await auth.all_account_ids(session)
    off = 0
    for account_id in accounts:
        off += await database.run(lambda session, account_id=account_id: _recount(session, account_id))  # type: ignore[misc]
    metrics.INVARIANT_VIOLATIONS.labels("quota_drift").inc(off)
    return off


async def thresholds(database: Database) -> int:
    """Of accounts that want to be told: whose use went over a threshold of their quota. Answers how many."""
    async with database.reading() as session:
        watched = await notifications.all_watched(session)
    moved = [row["id"] for row in watched if _levels(row)[0] != (row["levels"] or {})]
    found = 0
    for account_id in moved:
        found += await database.run(partial(_note_levels, account_id=account_id))
    return found


async def prune(database: Database, *, history_days: int, audit_days: int, idempotency_hours: int) -> None:
    now = datetime.now(UTC)
    await database.run(lambda session: events.prune(session, now - timedelta(days=history_days)))
    await database.run(lambda session: operations.prune(session, now - timedelta(days=history_days)))
    await database.run(lambda session: idempotency.prune(session, now - timedelta(hours=idempotency_hours)))
    await database.run(
        lambda session: notifications.all_prune(session, now - timedelta(days=history_days), now - _UNCONFIRMED_KEPT)
    )
    await database.run(lambda session: audit.abandon(session, now - _ABANDONED, now))
    await database.run(lambda session: audit.prune(session, now - timedelta(days=audit_days)))
    await database.run(lambda session: tokens.all_remove_ended_sign_ins(session, now))
    await database.run(lambda session: sign_ins.all_remove_ended_devices(session, now))
    await database.run(lambda session: workers.prune(session, now - _WORKER_KEPT))


async def _recount(session: Session, account_id: uuid.UUID) -> bool:
    drift = await auth.recount(session, account_id)
    if drift is None:
        return False
    said = ", ".join(f"{dimension} by {amount:+d}" for dimension, amount in drift.items())
    log.error("quota drift", account_id=str(account_id), **drift)
    await events.add(
        session,
        kind="quota.drift",
        owner_id=account_id,
        message=f"the counters were off the ledger and are repaired: {said}",
    )
    return True


async def _note_levels(session: Session, account_id: uuid.UUID) -> bool:
    """Under the account's lock, so that of several workers one tells of it."""
    await ledger.lock_account(session, account_id)
    for row in await notifications.all_watched(session, account_id):
        levels, crossed = _levels(row)
        await notifications.write_levels(session, account_id, levels)
        await events.add_many(session, [_crossing(row, dimension, share) for dimension, share in crossed])
        return bool(crossed)
    return False


def _levels(row: Row) -> tuple[dict[str, int], list[tuple[str, int]]]:
    return told.levels(row["levels"] or {}, account_of(row))


def _crossing(row: Row, dimension: str, share: int) -> dict[str, Any]:
    used, quota = row[f"used_{dimension}"], row[f"quota_{dimension}"]
    message = (
        f"{share} % of the quota of {dimension} is reached: {_amount(dimension, used)} of {_amount(dimension, quota)}"
    )
    return events.entry(
        kind="quota.threshold", owner_id=row["id"], status=str(share), reason=dimension, message=message
    )


def _amount(dimension: str, amount: int) -> str:
    return {"cpu": f"{amount / 1000:g} cores", "memory": f"{amount} MiB", "storage": f"{amount} MiB"}.get(
        dimension, str(amount)
    )


async def _report(database: Database, cluster_id: uuid.UUID, owned: OwnedNamespace) -> None:
    async def once(session: Session) -> bool:
        if await leases.reported_orphans(session, [cluster_id]):
            return False
        message = f"namespace {owned.name} belongs to a cluster that is not in the database; it is left alone"
        await events.add_many(
            session,
            [{"kind": leases.ORPHAN_FOUND, "actor": "platform", "cluster_id": cluster_id, "message": message}],
        )
        return True

    if await database.run(once):
        metrics.INVARIANT_VIOLATIONS.labels("orphan").inc()
        log.warning("orphan found", namespace=owned.name, cluster_id=str(cluster_id))


async def _delete(
    database: Database,
    service: KubernetesService,
    installation_id: str,
    cluster_id: uuid.UUID,
    owned: OwnedNamespace,
) -> bool:
    ref = ClusterRef(
        installation_id=installation_id,
        owner_id="",
        cluster_id=owned.cluster_id,
        cluster_name="",
        namespace=owned.name,
        namespace_uid=owned.uid,
    )
    try:
        state = await service.namespace_state(ref)
        if state is None or state.terminating:
            return False
        await service.delete_namespace(ref, owned.uid)
    except CmpError as error:
        log.info("orphan not deleted yet", namespace=owned.name, error=error.message)
        return False
    message = f"namespace {owned.name} was left over from a deleted cluster and is deleted"
    row = {"kind": "orphan.deleted", "actor": "platform", "cluster_id": cluster_id, "message": message}
    await database.run(lambda session: events.add_many(session, [row]))
    log.info("orphan deleted", namespace=owned.name, cluster_id=str(cluster_id))
    return True


def _id(owned: OwnedNamespace) -> uuid.UUID | None:
    try:
        return uuid.UUID(owned.cluster_id)
    except ValueError:
        return None


def _chunks(ids: Sequence[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    return (list(ids[start : start + _CHUNK]) for start in range(0, len(ids), _CHUNK))
