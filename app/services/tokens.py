"""API tokens: making and revoking them, none beyond the one that is used; and when each was last used."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
import uuid_utils.compat as uuids

from app import auth
from app.database import Database, Session, to_its_end
from app.errors import CmpError, Conflict, Forbidden, Invalid, NotFound
from app.models import ApiToken, CredentialKind, User
from app.rules.access import Scopes, Viewer, read_scopes, written
from app.store import events, tokens

log = structlog.get_logger("cmp.tokens")

MOST = 100
_TO_ABOUT = timedelta(minutes=1)
_WRITTEN_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class TokenWish:
    """`kind`: BEARER, or CLIENT for OAuth's client credentials grant."""

    name: str
    kind: CredentialKind
    scopes: Scopes
    expires_at: datetime | None


class LastUsed:
    """Notes which tokens are used, and writes that later: a request never waits for it."""

    def __init__(self, database: Database, idle: timedelta, lifetime: timedelta) -> None:
        """`idle` and `lifetime`: of browsers' sessions, which last on while they are used."""
        self._database = database
        self._idle = idle
        self._lifetime = lifetime
        self._noted: dict[uuid.UUID, datetime] = {}

    def note(self, id: Any, before: datetime | None) -> None:
        now = datetime.now(UTC)
        if before is None or now - before > _TO_ABOUT:
            self._noted.setdefault(uuid.UUID(str(id)), now)

    async def write(self) -> None:
        used, self._noted = self._noted, {}
        if used:
            await self._database.run(lambda session: tokens.all_used(session, used, self._idle, self._lifetime))

    async def run(self) -> None:
        """Until cancelled; what was noted since the last time is then written too."""
        try:
            while True:
                await asyncio.sleep(_WRITTEN_EVERY)
                await to_its_end(self._write())
        finally:
            await self._write()

    async def _write(self) -> None:
        try:
            await self.write()
        except CmpError as error:
            log.warning("tokens.last_use_not_written", why=error.message)


async def create(
    session: Session, viewer: Viewer, user: User, wish: TokenWish, request_id: str
) -> tuple[ApiToken, str]:
    """The token's row and the secret, which is kept nowhere. `user` was loaded with its lock."""
    now = datetime.now(UTC)
    if wish.expires_at is not None and wish.expires_at <= now:
        raise Invalid("expires_at is in the past.")
    require_within(viewer, wish.scopes, wish.expires_at)
    if await tokens.count_of_user(session, user.id) >= MOST:
        raise Conflict(f"A user has at most {MOST} tokens. Revoke one that is no longer used.")
    id = uuids.uuid7()
    is_client = wish.kind == CredentialKind.CLIENT
    secret = auth.new_secret(auth.CLIENT_PREFIX) if is_client else auth.new_token()
    token = ApiToken(
        id=id,
        user_id=user.id,
        kind=wish.kind,
        token_hash=auth.hash_of_row(id) if is_client else auth.token_hash(secret),
        client_secret_hash=auth.token_hash(secret) if is_client else None,
        hint=auth.token_hint(secret),
        name=wish.name,
        scopes=written(wish.scopes),
        expires_at=wish.expires_at,
        created_at=now,
    )
    await tokens.add(session, token)
    await _note(session, "token.created", viewer, user.id, token, request_id)
    return token, secret


async def revoke(session: Session, viewer: Viewer, user_id: uuid.UUID, id: uuid.UUID, request_id: str) -> None:
    token = await tokens.get_of_user(session, user_id, id)
    if token is None:
        raise NotFound("There is no such token. List the tokens to see their ids.")
    require_within(viewer, read_scopes(token.scopes), token.expires_at)
    await _note(session, "token.revoked", viewer, user_id, token, request_id)
    await tokens.remove(session, token)


def require_within(viewer: Viewer, scopes: Scopes, expires_at: datetime | None) -> None:
    """Raises Forbidden."""
    if not viewer.may_give(scopes, expires_at):
        raise Forbidden("A token makes and revokes only what has no more scopes and no longer life than itself.")


async def _note(
    session: Session, kind: str, viewer: Viewer, user_id: uuid.UUID, token: ApiToken, request_id: str
) -> None:
    message = f"{token.name} ({token.hint})"
    await events.add(
        session, kind=kind, actor=viewer.username, owner_id=user_id, message=message, request_id=request_id
    )
