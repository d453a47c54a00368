"""Users: making them, their limits and tokens, and letting them go."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat as uuids

from app import auth
from app.database import Session
from app.errors import Conflict, Forbidden, NameTaken, NotFound, WrongState
from app.models import ApiToken, QuotaStrategy, Role, User, UserKind
from app.rules.access import Permission, Viewer, written
from app.rules.quota import DIMENSIONS, Amounts
from app.store import events, platform, tokens, users


@dataclass(frozen=True, slots=True)
class UserWish:
    username: str
    role: Role
    quota: Amounts
    strategy: QuotaStrategy
    kind: UserKind = UserKind.PERSON


async def load(session: Session, key: uuid.UUID | str, *, lock: bool = False) -> User:
    """Raises NotFound."""
    user = await users.all_get(session, key, lock=lock)
    if user is None:
        raise NotFound("There is no such user. List the users to see their names and ids.")
    return user


async def create(session: Session, viewer: Viewer, wish: UserWish, request_id: str) -> tuple[User, str]:
    """The user and the token, which is kept nowhere. Raises NameTaken."""
    auth.require(viewer, Permission.USERS_WRITE)
    user, token = await _make(session, wish, viewer)
    await _note(session, "user.created", viewer, user, request_id)
    return user, token


async def first_administrator(session: Session, quota: Amounts) -> str | None:
    """The first administrator's token, on the first start only; of several processes starting at once, one gets it.

    The others wait here until that one's transaction has ended.
    """
    await platform.lock(session)
    if await users.any_exists(session):
        return None
    _, token = await _make(session, UserWish("admin", Role.ADMIN, quota, QuotaStrategy.ALLOCATED))
    return token


async def token_exists(session: Session, token: str) -> bool:
    return await users.token_exists(session, auth.token_hash(token))


async def change(session: Session, viewer: Viewer, user: User, changes: dict[str, Any], request_id: str) -> User:
    """`changes`: quota_* (millicores, MiB, counts), role, quota_strategy, disabled. `user` was loaded with its lock.

    A limit may go below usage: it blocks what is new and kills nothing. Raises Conflict for the last administrator.
    """
    auth.require(viewer, Permission.USERS_WRITE)
    loses_admin = user.role == Role.ADMIN and (changes.get("role", Role.ADMIN) != Role.ADMIN or changes.get("disabled"))
    if loses_admin and await users.other_admins(session, user.id) == 0:
        raise Conflict("This is the last administrator. Make another one first.")
    if "disabled" in changes:
        disabled = changes.pop("disabled")
        user.disabled_at = (user.disabled_at or datetime.now(UTC)) if disabled else None
    for name, value in changes.items():
        setattr(user, name, value)
    user.updated_at = datetime.now(UTC)
    user.version += 1
    await session.flush()
    await _note(session, "user.changed", viewer, user, request_id)
    return user


async def delete(session: Session, viewer: Viewer, user: User, request_id: str) -> None:
    """Only somebody who owns nothing any more. `user` was loaded with its lock."""
    auth.require(viewer, Permission.USERS_WRITE)
    if user.role == Role.ADMIN and await users.other_admins(session, user.id) == 0:
        raise Conflict("This is the last administrator. Make another one first.")
    if await users.has_clusters(session, user.id):
        raise WrongState("This user still has clusters. Delete them first, or disable the user instead.")
    await _note(session, "user.deleted", viewer, user, request_id)
    await users.delete(session, user.id)


async def rotate_token(session: Session, viewer: Viewer, user: User, request_id: str) -> str:
    """A new token instead of all earlier ones, which stop working with the commit. Not by a token that is narrowed."""
    if not viewer.may_give(None, None):
        raise Forbidden("A token with scopes or an end cannot replace all others. Revoke single tokens instead.")
    token = auth.new_token()
    await users.replace_tokens(session, _token(user.id, token))
    user.token = auth.token_hint(token)
    user.updated_at = datetime.now(UTC)
    await session.flush()
    await _note(session, "user.token_rotated", viewer, user, request_id)
    return token


async def _note(session: Session, kind: str, viewer: Viewer, user: User, request_id: str) -> None:
    await events.add(
        session,
        kind=kind,
        actor=viewer.username,
        owner_id=user.id,
        message=user.username,
        request_id=request_id,
    )


async def add_person(session: Session, wish: UserWish) -> User:
    """Somebody without any token: they sign in. Raises NameTaken."""
    user = _user(wish, "")
    await _added(session, user)
    return user


async def _make(session: Session, wish: UserWish, viewer: Viewer | None = None) -> tuple[User, str]:
    """The first token has no more scopes and no longer life than the one that is used."""
    token = auth.new_token()
    user = _user(wish, auth.token_hint(token))
    await _added(session, user)
    first = _token(user.id, token)
    if viewer is not None:
        first.scopes = written(viewer.scopes)
        first.expires_at = viewer.expires_at
    await tokens.add(session, first)
    return user, token


def _user(wish: UserWish, hint: str) -> User:
    now = datetime.now(UTC)
    return User(
        id=uuids.uuid7(),
        username=wish.username,
        token=hint,
        kind=wish.kind,
        role=wish.role,
        quota_strategy=wish.strategy,
        **{f"quota_{d}": getattr(wish.quota, d) for d in DIMENSIONS},
        **{f"used_{d}": 0 for d in DIMENSIONS},
        created_at=now,
        updated_at=now,
    )


async def _added(session: Session, user: User) -> None:
    try:
        await users.add(session, user)
    except users.UsernameInUse as error:
        raise NameTaken("There is a user of that name. Choose another one.") from error


def _token(user_id: uuid.UUID, token: str) -> ApiToken:
    return ApiToken(
        id=uuids.uuid7(),
        user_id=user_id,
        token_hash=auth.token_hash(token),
        hint=auth.token_hint(token),
        name="first",
        expires_at=None,
        created_at=datetime.now(UTC),
    )
