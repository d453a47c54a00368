"""What becomes of the clusters of a user who is disabled or deleted: they stop, are somebody else's, or end."""

import uuid
from collections.abc import Sequence
from functools import partial

from app import auth
from app.database import Database, Session, TryAgain
from app.errors import Invalid, NotFound, WrongState
from app.models import InstanceOperation, Operation, User
from app.rules.access import Permission, Viewer
from app.services import clusters, grants, instances, transfers, users
from app.store import clusters as store
from app.store import instances as instance_store
from app.store import ledger

_AT_A_TIME = 50


def require(viewer: Viewer, permission: Permission) -> None:
    """With everybody's. Raises Forbidden."""
    for needed in (Permission.USERS_WRITE, Permission.EVERYONES, permission):
        auth.require(viewer, needed)


async def stop_all(database: Database, viewer: Viewer, user_id: uuid.UUID, request_id: str) -> list[uuid.UUID]:
    """Each instance that can be stopped, as an operation of its own. Answers the clusters that were touched.

    So many in a transaction; where this is cut off, the same again does the rest.
    """
    async with database.reading() as session:
        ids = await instance_store.all_ids_of_owner(session, user_id)
    touched: set[uuid.UUID] = set()
    for some in (ids[start : start + _AT_A_TIME] for start in range(0, len(ids), _AT_A_TIME)):
        touched |= await database.run(partial(_stop, viewer=viewer, ids=some, request_id=request_id))
    return sorted(touched)


async def _stop(session: Session, viewer: Viewer, ids: Sequence[uuid.UUID], request_id: str) -> set[uuid.UUID]:
    await instances.hold(session, viewer, ids, InstanceOperation.STOP)
    touched = set()
    for id in ids:
        try:
            member, _ = await instances.operate(session, viewer, id, InstanceOperation.STOP, request_id)
        except (WrongState, NotFound):  # it stands still, is being deleted, or has gone meanwhile
            continue
        touched.add(member.cluster_id)
    return touched


async def end_all(session: Session, viewer: Viewer, user: User, request_id: str) -> list[Operation]:
    """The user, loaded with its lock, is disabled; each of their clusters is being deleted. Answers these deletions."""
    if user.disabled_at is None:
        await users.change(session, viewer, user, {"disabled": True}, request_id)
    deletions = []
    for id in await store.all_ids_of_owner(session, user.id):
        view = await clusters.hold(session, viewer, id)
        deletions.append(await clusters.delete(session, viewer, view, request_id))
    return deletions


async def give_all(
    session: Session, viewer: Viewer, key: uuid.UUID | str, to: uuid.UUID | str, request_id: str
) -> list[uuid.UUID]:
    """All clusters of the user are another's, within that one's quota, or none is. Raises as a transfer does."""
    user_id = (await users.load(session, key)).id
    receiver = await grants.receiver_of(session, to)
    if receiver.id == user_id:
        raise Invalid("Whoever is deleted receives nothing. Name somebody else.")
    await ledger.lock_accounts(session, {user_id, receiver.id})
    moved = await store.all_ids_of_owner(session, user_id)
    for id in moved:
        await transfers.move(session, viewer, id, receiver.id, request_id)
    if await store.all_ids_of_owner(session, user_id):
        raise TryAgain
    return moved
