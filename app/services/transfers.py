"""Giving a cluster to somebody else, with what it charges: offered by its owner, accepted by the receiver."""

import uuid
from datetime import UTC, datetime

import uuid_utils.compat as uuids

from app import auth
from app.database import Row, Session, TryAgain
from app.errors import Forbidden, Invalid, NameTaken, NotFound, QuotaExceeded, WrongState
from app.models import Cluster, ClusterPhase, ClusterTransfer
from app.rules.access import Permission, Viewer
from app.services import grants
from app.services.access import require_owner
from app.services.clusters import ClusterView, load, missing
from app.store import clusters, ledger, transfers


async def get(session: Session, viewer: Viewer, id: uuid.UUID) -> Row:
    """Raises NotFound."""
    found = await transfers.get(session, viewer, id)
    if found is None:
        raise NotFound("There is no such transfer, or it is not yours. List yours to see their ids.")
    return found


async def offer(session: Session, viewer: Viewer, key: uuid.UUID | str, to: uuid.UUID | str, request_id: str) -> Row:
    """Instead of an earlier offer; the same again changes nothing. Raises NotFound, Forbidden, Invalid, WrongState."""
    auth.require(viewer, Permission.CLUSTERS_SHARE)
    require_owner((await load(session, viewer, key)).access, "give it away")
    receiver = await grants.receiver_of(session, to)
    await ledger.lock_accounts(session, [receiver.id])
    view = await load(session, viewer, key, lock=True)
    require_owner(view.access, "give it away")
    _check(view.cluster, receiver.id)
    present = await transfers.of_cluster(session, view.cluster.id)
    if present is None or present.to_id != receiver.id:
        present = ClusterTransfer(
            id=uuids.uuid7(),
            cluster_id=view.cluster.id,
            to_id=receiver.id,
            offered_by=viewer.username,
            created_at=datetime.now(UTC),
        )
        await transfers.add(session, present)
        words = f"{view.cluster.name} of {view.owner} is offered to {receiver.username}"
        await grants.tell(session, "cluster.offered", viewer, view.cluster, [receiver.id], words, request_id)
    return await get(session, viewer, present.id)


async def accept(session: Session, viewer: Viewer, id: uuid.UUID, request_id: str) -> ClusterView:
    """Only by the receiver. Raises NotFound, Forbidden, QuotaExceeded, NameTaken, WrongState."""
    auth.require(viewer, Permission.CLUSTERS_SHARE)
    found = await get(session, viewer, id)
    if found["to_id"] != viewer.user_id:
        raise Forbidden("Only the receiver can accept it.")
    await ledger.lock_accounts(session, {found["owner_id"], viewer.account_id})
    cluster = await clusters.all_get(session, found["cluster_id"], lock=True)
    if cluster is None or not _same(await transfers.get(session, viewer, id), found):
        raise TryAgain  # withdrawn, gone, or in other hands by now: the next look says which
    return await _move(session, viewer, cluster, viewer.account_id, viewer.username, request_id)


async def move(
    session: Session, viewer: Viewer, key: uuid.UUID | str, to: uuid.UUID | str, request_id: str
) -> ClusterView:
    """At once, without the receiver's word: for administrators. Raises as `offer` and `accept` do."""
    auth.require(viewer, Permission.CLUSTERS_SHARE)
    auth.require(viewer, Permission.USERS_WRITE)
    owner_id = await clusters.owner_of(session, viewer, key)
    if owner_id is None:
        raise missing()
    receiver = await grants.receiver_of(session, to)
    await ledger.lock_accounts(session, {owner_id, receiver.id})
    view = await load(session, viewer, key, lock=True)
    if view.cluster.owner_id != owner_id:
        raise TryAgain
    require_owner(view.access, "give it away")
    return await _move(session, viewer, view.cluster, receiver.id, receiver.username, request_id)


async def withdraw(session: Session, viewer: Viewer, id: uuid.UUID, request_id: str) -> None:
    """By whoever may give it away, or by the receiver, who declines it so. Raises NotFound."""
    auth.require(viewer, Permission.CLUSTERS_SHARE)
    found = await get(session, viewer, id)
    cluster = await clusters.all_get(session, found["cluster_id"], lock=True)
    if cluster is None or not _same(await transfers.get(session, viewer, id), found):
        raise TryAgain
    await transfers.remove(session, cluster.id)
    words = f"{cluster.name} of {found['owner']} is no longer offered to {found['to']}"
    await grants.tell(session, "cluster.withdrawn", viewer, cluster, [found["to_id"]], words, request_id)


async def _move(
    session: Session, viewer: Viewer, cluster: Cluster, to_id: uuid.UUID, to: str, request_id: str
) -> ClusterView:
    """Both accounts are locked, then the cluster. What it is charged for goes along as it stands."""
    _check(cluster, to_id)
    giver_id, giver = cluster.owner_id, await clusters.owner_name(session, cluster)
    held = await ledger.all_held_by(session, cluster.id)
    try:
        await auth.reserve(session, to_id, held)
    except QuotaExceeded as error:
        words = error.message.replace("your quota", f"the quota of {to}")
        raise QuotaExceeded(words, details=error.details) from error
    await grants.end_all(session, viewer, cluster, giver, request_id)
    await transfers.remove(session, cluster.id)
    await ledger.move(session, cluster.id, giver_id, to_id, held)
    try:
        await transfers.hand_over(session, cluster, to_id)
    except transfers.NameInUse as error:
        raise NameTaken(f"{to} has a cluster of that name, or one that is still being deleted.") from error
    await clusters.due_now(session, cluster.id)
    words = f"{cluster.name} of {giver} is {to}'s now"
    await grants.tell(session, "cluster.transferred", viewer, cluster, [giver_id], words, request_id)
    await session.refresh(cluster)
    return await load(session, viewer, cluster.id)


def _same(now: Row | None, found: Row) -> bool:
    return now is not None and now["owner_id"] == found["owner_id"]


def _check(cluster: Cluster, to_id: uuid.UUID) -> None:
    if cluster.phase == ClusterPhase.DELETING:
        raise WrongState("The cluster is being deleted.")
    if to_id == cluster.owner_id:
        raise Invalid("It is that user's own cluster.")
