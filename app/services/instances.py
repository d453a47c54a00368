"""Operating on instances: check what is possible now, write what is wished, leave the rest to the reconciler."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import uuid_utils.compat as uuids

from app import auth
from app.database import Session, TryAgain
from app.errors import NotFound, WrongState
from app.models import (
    Cluster,
    ClusterPhase,
    Instance,
    InstanceOperation,
    InstanceStatus,
    InstanceType,
    Operation,
    OperationKind,
    Reason,
    Wanted,
)
from app.rules import lifecycle
from app.rules.access import Access, Permission, Viewer
from app.rules.quota import Amounts
from app.services.access import require
from app.services.operations import begin, supersede
from app.store import instances, ledger, operations, sharing

_ANEW = (InstanceOperation.RESTART, InstanceOperation.REPLACE)


def missing() -> NotFound:
    return NotFound("There is no such instance, or it is not yours. List yours to see their names and ids.")


async def load(
    session: Session, viewer: Viewer, key: uuid.UUID | str, *, lock: bool = False
) -> tuple[Instance, Cluster]:
    """Raises NotFound."""
    found = await instances.get(session, viewer, key, lock=lock)
    if found is None:
        raise missing()
    return found


async def access_to(session: Session, viewer: Viewer, cluster: Cluster) -> Access:
    """Raises NotFound."""
    access = await sharing.access_to(session, viewer, cluster)
    if access is None:
        raise missing()
    return access


async def place_of(session: Session, viewer: Viewer, key: uuid.UUID | str) -> tuple[uuid.UUID, uuid.UUID]:
    """Its id and its cluster's; loads no row. Raises NotFound."""
    found = await instances.place_of(session, viewer, key)
    if found is None:
        raise missing()
    return found


async def hold(session: Session, viewer: Viewer, keys: Sequence[uuid.UUID | str], operation: InstanceOperation) -> None:
    """Every lock that operating on these will need: accounts before clusters, each in the order of ids."""
    before = await instances.clusters_of(session, viewer, keys)
    wish = lifecycle.TRANSITIONS.get(operation)
    if wish is not None and wish.wanted is Wanted.RUNNING:
        await ledger.lock_accounts(session, {owner_id for _, owner_id in before})
    await instances.lock_clusters(session, [cluster_id for cluster_id, _ in before])
    if await instances.clusters_of(session, viewer, keys) != before:  # one changed hands, or is not shared any more
        raise TryAgain


async def hold_one(session: Session, viewer: Viewer, key: uuid.UUID | str, operation: InstanceOperation) -> None:
    """`hold`, for whoever may operate on it. Raises NotFound, Forbidden."""
    await hold(session, viewer, [key], operation)
    _, cluster = await load(session, viewer, key)
    await _require(session, viewer, cluster)


async def operate(
    session: Session,
    viewer: Viewer,
    key: uuid.UUID | str,
    operation: InstanceOperation,
    request_id: str,
    grace: int | None = None,
) -> tuple[Instance, Operation]:
    """`grace`: seconds in which it must have ended, where it is to end; a stop under way can so be hurried.

    Raises NotFound, WrongState (naming what is possible), QuotaExceeded (a start that must charge compute again).
    """
    auth.require(viewer, Permission.INSTANCES_OPERATE)
    if operation in lifecycle.ERRANDS:
        return await _send(session, viewer, key, operation, request_id)
    instance, cluster = await load(session, viewer, key)
    await _require(session, viewer, cluster)
    account_id = cluster.owner_id
    transition = lifecycle.TRANSITIONS[operation]
    if transition.wanted is Wanted.RUNNING:
        _check(instance, cluster, operation, grace)  # before the quota has its say; again below, under the lock
        compute = Amounts(cpu=cluster.cpu_per_inst, memory=cluster.memory_per_inst)
        await auth.reserve_start(session, account_id, instance.id, compute)
    instance, cluster = await load(session, viewer, key, lock=True)
    if cluster.owner_id != account_id:
        raise TryAgain
    await _require(session, viewer, cluster)
    _check(instance, cluster, operation, grace)
    instance.wanted = transition.wanted
    instance.grace = grace
    instance.status = transition.meanwhile
    # What completed is run again only by its next incarnation.
    again = transition.wanted is Wanted.RUNNING and instance.reason == Reason.COMPLETED
    instance.incarnation += operation in _ANEW or again
    instance.reason = instance.message = instance.waiting_since = None
    instance.updated_at = datetime.now(UTC)
    instance.version += 1
    row = operations.new(
        viewer,
        OperationKind(f"instance.{operation}"),
        cluster,
        id=uuids.uuid7(),
        request_id=request_id,
        instance=instance,
        incarnation=instance.incarnation if operation in _ANEW else None,
    )
    await supersede(session, viewer, cluster, row)
    await begin(session, viewer, cluster, row, instance=instance)
    return instance, row


async def _send(
    session: Session, viewer: Viewer, key: uuid.UUID | str, operation: InstanceOperation, request_id: str
) -> tuple[Instance, Operation]:
    """On an errand, one at a time: nothing is wished differently, so the operation is all there is of it."""
    instance, cluster = await load(session, viewer, key, lock=True)
    await _require(session, viewer, cluster)
    _check(instance, cluster, operation, None)
    for open_ in await operations.open_for_cluster(session, cluster.id):
        if open_.instance_id == instance.id:
            raise WrongState(f"{open_.kind} {open_.id} is under way on it. Wait until that has ended.")
    kind = OperationKind(f"instance.{operation}")
    row = operations.new(viewer, kind, cluster, id=uuids.uuid7(), request_id=request_id, instance=instance)
    await begin(session, viewer, cluster, row, instance=instance)
    return instance, row


async def _require(session: Session, viewer: Viewer, cluster: Cluster) -> None:
    require(viewer, await access_to(session, viewer, cluster), Permission.INSTANCES_OPERATE)


def _check(instance: Instance, cluster: Cluster, operation: InstanceOperation, grace: int | None) -> None:
    deleting = cluster.phase == ClusterPhase.DELETING or instance.wanted == Wanted.ABSENT
    status = InstanceStatus.DELETING if deleting else InstanceStatus(instance.status)
    vm = cluster.instance_type == InstanceType.VM
    allowed = lifecycle.allowed_operations(status, instance.suspend, reboot=vm, migrate=instance.migratable)
    hurried = operation is InstanceOperation.STOP and grace is not None and status is InstanceStatus.STOPPING
    if operation in allowed or hurried:
        return
    possible = ", ".join(allowed) if allowed else "nothing: it is being deleted"
    why = f"It is {status}; possible now: {possible}."
    if operation is InstanceOperation.SUSPEND and status is InstanceStatus.RUNNING:
        why = f"{_unsuspendable(cluster)} Stop it instead. Possible now: {possible}."
    if operation is InstanceOperation.REBOOT and not vm:
        why = f"A container has no system to reboot; restart it. Possible now: {possible}."
    if operation is InstanceOperation.MIGRATE and (not vm or status is InstanceStatus.RUNNING):
        why = f"{_unmigratable(instance, cluster)} Possible now: {possible}."
    raise WrongState(
        why,
        details={
            "current_status": status,
            "allowed_operations": list(allowed),
            "capabilities": {"suspend": instance.suspend, "migrate": instance.migratable},
        },
    )


def _unmigratable(instance: Instance, cluster: Cluster) -> str:
    if cluster.instance_type != InstanceType.VM:
        return "A container does not move to another node while it runs."
    said = instance.unmigratable or "nothing of it yet"
    return f"It cannot move to another node while it runs. KubeVirt says: {said.rstrip('.')}."


def _unsuspendable(cluster: Cluster) -> str:
    if cluster.instance_type != InstanceType.CONTAINER:
        return "It cannot be suspended as it is now."
    if (cluster.spec.get("health") or {}).get("liveness"):
        return "It cannot be suspended: it has a liveness probe, which would end it while it stands still."
    return "It cannot be suspended where it runs: the node agent that freezes containers is not there."
