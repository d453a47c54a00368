"""OAuth 2 for programs: each grant becomes a row that access tokens speak for, kept up by refresh tokens.

RFC 6749 (password, client credentials, refresh), RFC 8628 (devices), RFC 7009 (revocation), RFC 9700 on rotation.
"""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app import auth
from app.database import Session
from app.errors import Invalid, NotFound, Unauthenticated
from app.models import ApiToken, CredentialKind, DeviceCode, RefreshToken, User
from app.rules.access import Scopes, Viewer, read_scopes, written
from app.services import sign_ins
from app.services.sign_ins import Gate
from app.store import events, tokens, users
from app.store import sign_ins as store

DEVICE_SECONDS = 600
INTERVAL = 5
# Without vowels and look-alikes: RFC 8628 6.1.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class Refused(Exception):
    """`error` is one of OAuth's words, `why` is for people."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error
        self.why = why


@dataclass(frozen=True, slots=True)
class Granted:
    access_token: str
    expires_in: int
    scope: str | None
    refresh_token: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a device shows, and what it keeps."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class Grants:
    gate: Gate
    access_tokens: auth.AccessTokens
    lifetime: timedelta
    """Of a sign-in, however often it is refreshed."""

    async def by_password(
        self, username: str, password: str, scopes: Scopes, client: str, address: str, request_id: str
    ) -> Granted:
        try:
            user = await self.gate.by_password(username, password, address)
        except Unauthenticated as error:
            raise Refused("invalid_grant", error.message) from error

        async def work(session: Session) -> tuple[ApiToken, str]:
            return await self._signed_in(session, user, scopes, client, request_id)

        row, refresh = await self.gate.database.run(work)
        return await self._granted(row, client, refresh)

    async def by_client(self, client_id: str, secret: str, scopes: Scopes, address: str) -> Granted:
        """The row of the client itself is what its access tokens speak for: no refresh token is needed."""
        await self.gate.throttle.before(address, client_id)
        row = await self._client(client_id, secret)
        if row is None:
            await self.gate.throttle.failed(address, client_id)
            raise Refused("invalid_client", "There is no such client with this secret, or it is in force no more.")
        if scopes is not None:
            raise Refused("invalid_scope", "The scopes of a client are set where it is made. Ask for none here.")
        return await self._granted(row, client_id, None)

    async def by_refresh(self, refresh_token: str, client: str, request_id: str) -> Granted:
        hashed = auth.token_hash(refresh_token) if auth.well_formed(refresh_token, auth.REFRESH_PREFIX) else ""

        async def work(session: Session) -> tuple[ApiToken, str] | None:
            now = datetime.now(UTC)
            first = await store.use_refresh(session, hashed, now)
            row_id = await store.owner_of_refresh(session, hashed)
            row = await tokens.all_get(session, row_id) if row_id is not None else None
            if row is None:
                return None
            if not first:
                await self._stolen(session, row, request_id)
                return None
            user = await users.all_get(session, row.user_id)
            if user is None or user.disabled_at is not None or row.expires_at is None or row.expires_at <= now:
                return None
            return row, await _refresh(session, row)

        done = await self.gate.database.run(work)
        if done is None:
            raise Refused("invalid_grant", "This refresh token is in force no more. Sign in again.")
        return await self._granted(done[0], client, done[1])

    async def begin_device(self, scopes: Scopes, client: str, address: str) -> Waiting:
        waiting = Waiting(auth.new_secret(auth.DEVICE_PREFIX), _user_code())
        now = datetime.now(UTC)
        device = DeviceCode(
            device_hash=auth.token_hash(waiting.device_code),
            user_code_hash=_hash_of_user_code(waiting.user_code),
            client=client[:63],
            address=address[:45],
            scopes=written(scopes),
            interval=INTERVAL,
            expires_at=now + timedelta(seconds=DEVICE_SECONDS),
            created_at=now,
        )
        await self.gate.database.run(lambda session: store.add_device(session, device))
        return waiting

    async def by_device(self, device_code: str, client: str, request_id: str) -> Granted:
        hashed = auth.token_hash(device_code) if auth.well_formed(device_code, auth.DEVICE_PREFIX) else ""

        async def work(session: Session) -> tuple[ApiToken, str] | tuple[str, str]:
            device = await store.device_by_code(session, hashed)
            now = datetime.now(UTC)
            if device is None or device.expires_at <= now:
                return "expired_token", "This code has ended or was used. Begin again."
            if device.allowed is None:
                return _asked(device, now)
            await store.remove_device(session, device)
            user = await users.all_get(session, device.user_id) if device.user_id is not None else None
            if not device.allowed or user is None or user.disabled_at is not None:
                return "access_denied", "It was not let in."
            return await self._signed_in(session, user, read_scopes(device.scopes), client, request_id)

        done = await self.gate.database.run(work)
        if isinstance(done[0], str):
            raise Refused(done[0], done[1])
        return await self._granted(done[0], client, done[1])

    async def revoke(self, token: str, request_id: str) -> None:
        """The sign-in that it belongs to ends; what is none of ours is fine too (RFC 7009 2.2)."""
        row_id = await self.access_tokens.verify(token)
        hashed = auth.token_hash(token)

        async def work(session: Session) -> None:
            found = row_id or await store.owner_of_refresh(session, hashed)
            row = await tokens.all_get(session, found) if found is not None else None
            if row is not None and row.kind == CredentialKind.OAUTH:
                await _note(session, "user.signed_out", row, request_id)
                await tokens.remove(session, row)

        await self.gate.database.run(work)

    async def _signed_in(
        self, session: Session, user: User, scopes: Scopes, client: str, request_id: str
    ) -> tuple[ApiToken, str]:
        try:
            row = await sign_ins.open_program(session, user, scopes, self.lifetime, client, request_id)
        except Invalid as error:
            raise Refused("invalid_grant", error.message) from error
        return row, await _refresh(session, row)

    async def _granted(self, row: ApiToken, client: str, refresh: str | None) -> Granted:
        """An access token never outlives its row, which is asked with every request."""
        access = await self.access_tokens.issue(row.id, row.user_id, row.scopes, client)
        return Granted(access, self.access_tokens.lifetime, row.scopes, refresh)

    async def _client(self, client_id: str, secret: str) -> ApiToken | None:
        try:
            id = uuid.UUID(client_id)
        except ValueError:
            return None
        async with self.gate.database.reading() as session:
            row = await tokens.all_get(session, id)
            user = await users.all_get(session, row.user_id) if row is not None else None
        if row is None or user is None or user.disabled_at is not None or row.kind != CredentialKind.CLIENT:
            return None
        if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
            return None
        return row if secrets.compare_digest(row.client_secret_hash or "", auth.token_hash(secret)) else None

    async def _stolen(self, session: Session, row: ApiToken, request_id: str) -> None:
        """Whoever came first, one of the two is a thief: nobody stays signed in."""
        await _note(session, "user.refresh_token_reused", row, request_id)
        await tokens.remove(session, row)


async def find_device(session: Session, user_code: str) -> DeviceCode:
    """Raises NotFound."""
    device = await store.device_by_user_code(session, _hash_of_user_code(user_code), datetime.now(UTC))
    if device is None:
        raise NotFound("No program waits with this code: it was mistyped, answered, or has ended.")
    return device


async def answer_device(session: Session, viewer: Viewer, user_code: str, *, allow: bool) -> None:
    """Raises NotFound."""
    device = await find_device(session, user_code)
    device.allowed = allow
    device.user_id = viewer.user_id
    await session.flush()


def _asked(device: DeviceCode, now: datetime) -> tuple[str, str]:
    too_soon = device.asked_at is not None and now - device.asked_at < timedelta(seconds=device.interval)
    device.asked_at = now
    if too_soon:
        device.interval += INTERVAL
        return "slow_down", f"Ask every {device.interval} seconds."
    return "authorization_pending", "Nobody has answered yet."


async def _refresh(session: Session, row: ApiToken) -> str:
    secret = auth.new_secret(auth.REFRESH_PREFIX)
    await store.add_refresh(
        session,
        RefreshToken(token_hash=auth.token_hash(secret), api_token_id=row.id, created_at=datetime.now(UTC)),
    )
    return secret


def _user_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _hash_of_user_code(user_code: str) -> str:
    """However it was typed. Ten minutes, one guess for each request: 34 bits are enough."""
    letters = "".join(letter for letter in user_code.upper() if letter in _LETTERS)
    return hashlib.sha256(f"user code {letters}".encode()).hexdigest()


async def _note(session: Session, kind: str, row: ApiToken, request_id: str) -> None:
    user = await users.all_get(session, row.user_id)
    actor = user.username if user is not None else ""
    await events.add(session, kind=kind, actor=actor, owner_id=row.user_id, message=row.name, request_id=request_id)
