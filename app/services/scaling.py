"""How many instances a cluster has: more of them, or fewer, and which ones go."""

import uuid
from collections.abc import Sequence

import uuid_utils.compat as uuids

from app import auth
from app.database import Session, TryAgain
from app.errors import Invalid, WrongState
from app.models import (
    Cluster,
    ClusterPhase,
    Instance,
    InstanceStatus,
    Operation,
    OperationKind,
    Wanted,
)
from app.rules.access import Permission, Viewer
from app.services.access import require
from app.services.clusters import ClusterView, each, ledger_entry, load, missing, new_instance
from app.services.operations import begin, supersede
from app.store import clusters, ledger, operations


async def hold(session: Session, viewer: Viewer, key: uuid.UUID | str) -> ClusterView:
    """The cluster, with every lock that changing it needs: the account's first. Raises NotFound, Forbidden."""
    owner_id = await clusters.owner_of(session, viewer, key)
    if owner_id is None:
        raise missing()
    await ledger.lock_account(session, owner_id)
    view = await load(session, viewer, key, lock=True)
    if view.cluster.owner_id != owner_id:  # it changed hands meanwhile, and the wrong account is locked
        raise TryAgain
    require(viewer, view.access, Permission.CLUSTERS_WRITE)
    return view


async def scale(
    session: Session,
    viewer: Viewer,
    view: ClusterView,
    count: int | None,
    remove: Sequence[uuid.UUID | str],
    request_id: str,
) -> Operation:
    """New instances take the lowest numbers that are free; those that go are the named ones, else the highest numbers.

    `view` is from `hold`. A scaling that is under way is cancelled: this one starts from what is wished now.
    Raises Invalid, WrongState, QuotaExceeded.
    """
    cluster = view.cluster
    if cluster.phase == ClusterPhase.DELETING:
        raise WrongState("The cluster is being deleted.")
    staying = [member for member in view.instances if member.wanted != Wanted.ABSENT]
    leaving = _named(staying, remove)
    wanted = len(staying) - len(leaving) if count is None else count
    if leaving and wanted != len(staying) - len(leaving):
        raise Invalid(
            f"There are {len(staying)} instances and {len(leaving)} are named to go: leave `instance_count` out, or "
            "let it be what remains."
        )
    if wanted < 1:
        raise Invalid("A cluster keeps at least one instance. Stop that one, or delete the cluster.")
    leaving = leaving or staying[wanted:]
    operation = operations.new(
        viewer,
        OperationKind.CLUSTER_SCALE,
        cluster,
        id=uuids.uuid7(),
        request_id=request_id,
        total=max(abs(wanted - len(staying)), 1),
    )
    await supersede(session, viewer, cluster, operation, only_kind=True)
    await _grow(session, cluster, view.instances, wanted - len(staying), operation)
    for member in leaving:
        _let_go(member, operation)
    cluster.instance_count = wanted
    cluster.updated_at = operation.created_at
    message = f"{operation.kind} from {len(staying)} to {wanted}"
    await begin(session, viewer, cluster, operation, message)
    return operation


async def remove(session: Session, viewer: Viewer, view: ClusterView, id: uuid.UUID, request_id: str) -> Operation:
    """One less, this one. `view` is from `hold`. Raises WrongState."""
    staying = [member for member in view.instances if member.wanted != Wanted.ABSENT]
    if id not in {member.id for member in staying}:
        raise WrongState("The instance is being deleted.")
    if len(staying) == 1:
        raise WrongState("It is the last one of its cluster. Stop it, or delete the cluster.")
    return await scale(session, viewer, view, None, [id], request_id)


def _named(staying: Sequence[Instance], remove: Sequence[uuid.UUID | str]) -> list[Instance]:
    known: dict[uuid.UUID | str, Instance] = {member.id: member for member in staying}
    known |= {member.instance_name: member for member in staying}
    if any(key not in known for key in remove):
        raise Invalid("`remove` names an instance that this cluster does not have. List its instances to see them.")
    return list({known[key].id: known[key] for key in remove}.values())


async def _grow(
    session: Session, cluster: Cluster, members: Sequence[Instance], more: int, operation: Operation
) -> None:
    """A number is free when nothing of an earlier instance of that number is left in Kubernetes."""
    if more <= 0:
        return
    takes = each(cluster.cpu_per_inst, cluster.memory_per_inst, cluster.spec)
    await auth.reserve(session, cluster.owner_id, takes * more)
    taken = {member.ordinal for member in members}
    free = [ordinal for ordinal in range(1, len(taken) + more + 1) if ordinal not in taken][:more]
    new = [new_instance(cluster, ordinal, operation.created_at) for ordinal in free]
    session.add_all(new)
    await session.flush()
    await ledger.enter(session, [ledger_entry(cluster, member.id, takes) for member in new])


def _let_go(member: Instance, operation: Operation) -> None:
    member.wanted = Wanted.ABSENT
    member.status = InstanceStatus.DELETING
    member.reason = member.message = member.waiting_since = None
    member.updated_at = operation.created_at
    member.version += 1
