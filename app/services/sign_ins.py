"""People's ways in: by password, by a provider, kept in a browser; and what they or administrators change of it."""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import uuid_utils.compat as uuids

from app import auth
from app.database import Database, Session
from app.errors import Conflict, Forbidden, Invalid, NameTaken, NotFound, Unauthenticated
from app.models import ApiToken, CredentialKind, ProviderIdentity, QuotaStrategy, Role, User, UserKind
from app.rules import naming
from app.rules.access import Scopes, Viewer, written
from app.rules.quota import Amounts
from app.services import users as user_service
from app.services.users import UserWish
from app.store import events, sign_ins, tokens, users

_MOST = 50
_NAMES_TRIED = 20
_TOKENS = "a token"  # no username has a space
_WRONG = "The name and the password do not belong together."
_NO_TOKEN = "This is no token of this CMP, or it has ended."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Gate:
    """What signing in by password stands on."""

    database: Database
    passwords: auth.Passwords
    throttle: auth.Throttle

    async def by_password(self, username: str, password: str, address: str) -> User:
        """Raises Unauthenticated, the same for a wrong password and for somebody who is not there; TooMany."""
        await self.throttle.before(address, username)
        async with self.database.reading() as session:
            user = await users.all_get(session, username) if naming.could_be_username(username) else None
        kept = user.password_hash if user is not None else None
        right = await self.passwords.check(password, kept)
        if user is None or kept is None or not right or user.disabled_at is not None:
            await self.throttle.failed(address, username)
            raise Unauthenticated(_WRONG)
        return user

    async def by_token(self, token: str, address: str) -> Viewer:
        """Whose API token that is. Raises Unauthenticated, TooMany."""
        await self.throttle.before(address, _TOKENS)
        try:
            return await auth.authenticate(self.database, auth.token_hash_of(token))
        except Unauthenticated:
            await self.throttle.failed(address, _TOKENS)
            raise Unauthenticated(_NO_TOKEN) from None

    async def set_password(
        self, viewer: Viewer, user_id: uuid.UUID, password: str, current: str | None, address: str, request_id: str
    ) -> None:
        """Ends every other sign-in. One's own needs the current one, where there is one; others' need none."""
        own = user_id == viewer.user_id
        async with self.database.reading() as session:
            user = await user_service.load(session, user_id)
        if own:
            await self._require_current(viewer, user, current, address)
        if user.kind == UserKind.SERVICE:
            raise Conflict("A service has no password. Make it a token, or a client for OAuth.")
        kept = await self.passwords.hash(password, user.username)

        async def work(session: Session) -> None:
            found = await user_service.load(session, user_id, lock=True)
            found.password_hash = kept
            found.updated_at = datetime.now(UTC)
            await tokens.remove_sign_ins(session, user_id, but=viewer.token_id if own else None)
            await _note(session, "user.password_changed", viewer.username, found, None, request_id)

        await self.database.run(work)

    async def _require_current(self, viewer: Viewer, user: User, current: str | None, address: str) -> None:
        if viewer.scopes is not None:
            raise Forbidden("A token with scopes changes no password. Sign in, or use a token without.")
        if user.password_hash is None:
            return
        await self.throttle.before(address, user.username)
        if current is None or not await self.passwords.check(current, user.password_hash):
            await self.throttle.failed(address, user.username)
            raise Forbidden("The current password is needed, as `current_password`, and it is not this one.")


async def open_browser(session: Session, user: User, idle: timedelta, how: str, request_id: str) -> str:
    """The secret for the cookie, which is kept nowhere."""
    secret = auth.new_secret(auth.SESSION_PREFIX)
    id = uuids.uuid7()
    await _add(session, user, id, CredentialKind.BROWSER, auth.token_hash(secret), how, None, idle)
    await _note(session, "user.signed_in", user.username, user, how, request_id)
    return secret


async def open_program(
    session: Session, user: User, scopes: Scopes, lifetime: timedelta, how: str, request_id: str
) -> ApiToken:
    """A sign-in that access tokens speak for."""
    id = uuids.uuid7()
    row = await _add(session, user, id, CredentialKind.OAUTH, auth.hash_of_row(id), how, written(scopes), lifetime)
    await _note(session, "user.signed_in", user.username, user, how, request_id)
    return row


async def close(session: Session, viewer: Viewer, request_id: str) -> None:
    """This sign-in ends. An API token that a browser was signed in with stays for whatever else uses it."""
    token = await tokens.all_get(session, viewer.token_id) if viewer.token_id is not None else None
    if token is None or token.kind not in tokens.SIGN_INS:
        return
    await tokens.remove(session, token)
    user = await user_service.load(session, viewer.user_id)
    await _note(session, "user.signed_out", viewer.username, user, token.name, request_id)


async def by_identity(session: Session, identity: auth.Identity, quota: Amounts | None, request_id: str) -> User:
    """Whoever that is here; where there is a `quota` for new ones, a new user. Raises Unauthenticated."""
    found = await sign_ins.user_of_subject(session, identity.issuer, identity.subject)
    if found is None and quota is not None:
        found = await _sign_up(session, identity, quota, request_id)
    if found is None:
        raise Unauthenticated("Nobody here is linked to this identity. Ask an administrator, or sign in and link it.")
    if found.disabled_at is not None:
        raise Unauthenticated("This account is disabled. Ask an administrator.")
    return found


async def link(
    session: Session, actor: str, user: User, issuer: str, subject: str, request_id: str
) -> ProviderIdentity:
    if user.kind == UserKind.SERVICE:
        raise Conflict("A service does not sign in by a provider. Make it a token, or a client for OAuth.")
    identity = ProviderIdentity(
        id=uuids.uuid7(), issuer=issuer, subject=subject, user_id=user.id, created_at=datetime.now(UTC)
    )
    try:
        await sign_ins.add_identity(session, identity)
    except sign_ins.SubjectInUse as error:
        raise Conflict("Somebody is linked to this identity already. Unlink it there first.") from error
    await _note(session, "user.identity_linked", actor, user, None, request_id)
    return identity


async def unlink(session: Session, actor: str, user: User, id: uuid.UUID, request_id: str) -> None:
    if not await sign_ins.remove_identity(session, user.id, id):
        raise NotFound("There is no such identity. List them to see their ids.")
    await tokens.remove_sign_ins(session, user.id)
    await _note(session, "user.identity_unlinked", actor, user, None, request_id)


async def remove_password(session: Session, actor: str, user: User, request_id: str) -> None:
    user.password_hash = None
    user.updated_at = datetime.now(UTC)
    await tokens.remove_sign_ins(session, user.id)
    await _note(session, "user.password_removed", actor, user, None, request_id)


async def _sign_up(session: Session, identity: auth.Identity, quota: Amounts, request_id: str) -> User:
    for name in _names(identity.name):
        if await users.all_get(session, name) is not None:
            continue
        user = await user_service.add_person(session, UserWish(name, Role.USER, quota, QuotaStrategy.ALLOCATED))
        await _note(session, "user.created", user.username, user, "single sign-on", request_id)
        await link(session, user.username, user, identity.issuer, identity.subject, request_id)
        return user
    raise NameTaken("There are too many users of that name. Ask an administrator to make the account.")


def _names(wanted: str) -> list[str]:
    """What the provider calls them is only a wish: a name that somebody has stays theirs."""
    name = re.sub(r"[^a-z0-9]+", "-", wanted.partition("@")[0].lower()).strip("-")[:50].strip("-")
    name = "user" if name in ("", *naming.RESERVED_USERNAMES) else name
    return [name, *(f"{name}-{number}" for number in range(2, _NAMES_TRIED))]


async def _add(
    session: Session,
    user: User,
    id: uuid.UUID,
    kind: CredentialKind,
    token_hash: str,
    name: str,
    scopes: str | None,
    lifetime: timedelta,
) -> ApiToken:
    if user.kind == UserKind.SERVICE:
        raise Invalid("A service does not sign in. It has tokens, and clients for OAuth.")
    now = datetime.now(UTC)
    row = ApiToken(
        id=id,
        user_id=user.id,
        kind=kind,
        token_hash=token_hash,
        hint="",
        name=name[:63],
        scopes=scopes,
        expires_at=now + lifetime,
        created_at=now,
    )
    await tokens.remove_oldest_sign_ins(session, user.id, beyond=_MOST - 1)
    await tokens.add(session, row)
    return row


async def _note(session: Session, kind: str, actor: str, user: User, message: str | None, request_id: str) -> None:
    await events.add(session, kind=kind, actor=actor, owner_id=user.id, message=message, request_id=request_id)
