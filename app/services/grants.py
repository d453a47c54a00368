"""Sharing a cluster with somebody: to see it, to operate its instances, or to manage it. Its owner decides."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from app import auth
from app.database import Row, Session
from app.errors import Invalid, NotFound, TooMany
from app.models import Cluster, ClusterGrant, GrantLevel, User
from app.rules.access import Permission, Viewer, owns
from app.services.access import require_owner
from app.services.clusters import load
from app.store import events, grants, ledger, users

MOST = 100


async def all_of(
    session: Session, viewer: Viewer, key: uuid.UUID | str, user: uuid.UUID | str | None = None
) -> Sequence[Row]:
    """All, or one user's. Whoever it is shared with reads of their own alone. Raises NotFound."""
    view = await load(session, viewer, key)
    if not owns(view.access):
        found = await grants.all_of(session, view.cluster.id, viewer.user_id)
    else:
        found = await grants.all_of(session, view.cluster.id)
    if user is None:
        return found
    found = [row for row in found if user in (row["user_id"], row["username"])]
    if not found:
        raise NotFound("It is not shared with a user of that name. List its grants.")
    return found


async def put(
    session: Session, viewer: Viewer, key: uuid.UUID | str, user: uuid.UUID | str, level: GrantLevel, request_id: str
) -> Row:
    """Raises NotFound, Forbidden, Invalid, TooMany. The same again changes nothing, and is not told."""
    auth.require(viewer, Permission.CLUSTERS_SHARE)
    require_owner((await load(session, viewer, key)).access, "share it")
    receiver = await receiver_of(session, user)
    await ledger.lock_accounts(session, [receiver.id])
    view = await load(session, viewer, key, lock=True)
    require_owner(view.access, "share it")
    if receiver.id == view.cluster.owner_id:
        raise Invalid("It is that user's own cluster.")
    now = datetime.now(UTC)
    grant = await grants.get(session, view.cluster.id, receiver.id)
    if grant is None:
        if await grants.count(session, view.cluster.id) >= MOST:
            raise TooMany(f"A cluster is shared with at most {MOST} users.")
        grant = ClusterGrant(
            cluster_id=view.cluster.id, user_id=receiver.id, level=level, granted_by=viewer.username,
            created_at=now, updated_at=now,
        )  # fmt: skip
        await grants.add(session, grant)
    elif grant.level != level:
        grant.level, grant.granted_by, grant.updated_at = level, viewer.username, now
        await session.flush()
    else:
        return (await grants.all_of(session, view.cluster.id, receiver.id))[0]
    words = f"{view.cluster.name} of {view.owner} is shared with {receiver.username}: {level}"
    await tell(session, "cluster.shared", viewer, view.cluster, [receiver.id], words, request_id)
    return (await grants.all_of(session, view.cluster.id, receiver.id))[0]


async def remove(
    session: Session, viewer: Viewer, key: uuid.UUID | str, user: uuid.UUID | str, request_id: str
) -> None:
    """By its owner, or by whom it is shared with. What is not there stays so. Raises NotFound, Forbidden."""
    auth.require(viewer, Permission.CLUSTERS_SHARE)
    view = await load(session, viewer, key, lock=True)
    if not owns(view.access) and user not in (viewer.user_id, viewer.username):
        require_owner(view.access, "take it from others")
    found = [row for row in await grants.all_of(session, view.cluster.id) if user in (row["user_id"], row["username"])]
    if not found:
        return
    await grants.remove(session, view.cluster.id, found[0]["user_id"])
    words = f"{view.cluster.name} of {view.owner} is no longer shared with {found[0]['username']}"
    await tell(session, "cluster.unshared", viewer, view.cluster, [found[0]["user_id"]], words, request_id)


async def end_all(session: Session, viewer: Viewer, cluster: Cluster, owner: str, request_id: str) -> None:
    """It changes hands."""
    found = await grants.all_of(session, cluster.id)
    if found:
        await grants.remove(session, cluster.id)
        words = f"{cluster.name} of {owner} is no longer shared: it changes hands"
        others = [row["user_id"] for row in found]
        await tell(session, "cluster.unshared", viewer, cluster, others, words, request_id)


async def receiver_of(session: Session, user: uuid.UUID | str) -> User:
    """Somebody who can come in. Raises NotFound, for who is disabled as for who is not there."""
    found = await users.all_get(session, user)
    if found is None or found.disabled_at is not None:
        raise NotFound("There is no user of that name who could have it.")
    return found


async def tell(
    session: Session,
    kind: str,
    viewer: Viewer,
    cluster: Cluster,
    others: Sequence[uuid.UUID],
    words: str,
    request_id: str,
) -> None:
    """In the stream of the owner, and of whomever else it concerns."""
    told = events.entry(kind=kind, actor=viewer.username, cluster=cluster, message=words, request_id=request_id)
    rows = [told, *(told | {"owner_id": id} for id in others)]
    await events.add_many(session, rows)
