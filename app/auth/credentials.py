"""Who you are, from what you bring: an API token, an access token that we signed, a browser's session.

Every way in is a row of `api_tokens`, looked up by one hash: a browser's and a script's request are the same read.
Knows no HTTP.
"""

import hashlib
import re
import secrets
import uuid

from app.auth.keys import AccessTokens
from app.database import Database, Row
from app.errors import Forbidden, Unauthenticated
from app.models import CredentialKind, Role
from app.rules.access import PERMISSIONS, Permission, Viewer, read_scopes
from app.store import users

TOKEN_PREFIX = "cmp_pat_"  # noqa: S105
SESSION_PREFIX = "cmp_ses_"
REFRESH_PREFIX = "cmp_ref_"
CLIENT_PREFIX = "cmp_sec_"
DEVICE_PREFIX = "cmp_dev_"
_OURS = re.compile(r"cmp_[a-z]{3}_[A-Za-z0-9_-]{43}")
# Those of a person who proved who they are: what they make may outlive the session.
_PERSONAL = (CredentialKind.BROWSER, CredentialKind.OAUTH)


def new_secret(prefix: str) -> str:
    """256 random bits behind a prefix that secret scanners can look for."""
    return prefix + secrets.token_urlsafe(32)


def new_token() -> str:
    return new_secret(TOKEN_PREFIX)


def token_hash(token: str) -> str:
    """SHA-256 is enough for a secret that cannot be guessed; a slow hash would only slow every request."""
    return hashlib.sha256(token.encode()).hexdigest()


def hash_of_row(id: uuid.UUID) -> str:
    """What a row is looked up by where no secret of its own leads to it, but an access token that we signed.

    No secret hashes to it: none begins so.
    """
    return token_hash(f"row {id}")


def token_hint(token: str) -> str:
    """How it begins and ends, so that people can tell theirs apart."""
    return f"{token[: len(TOKEN_PREFIX)]}...{token[-4:]}"


def well_formed(secret: str, prefix: str) -> bool:
    return secret.startswith(prefix) and _OURS.fullmatch(secret) is not None


async def presented(access_tokens: AccessTokens, authorization: str | None) -> str:
    """The hash to look up, from the header's value. Raises Unauthenticated."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise not_known()
    if well_formed(token, TOKEN_PREFIX):
        return token_hash(token)
    row_id = await access_tokens.verify(token)
    if row_id is None:
        raise not_known()
    return hash_of_row(row_id)


def session_hash(cookie: str) -> str:
    """Of a session, or of the API token that somebody signed in with. Raises Unauthenticated."""
    if not well_formed(cookie, SESSION_PREFIX) and not well_formed(cookie, TOKEN_PREFIX):
        raise not_known()
    return token_hash(cookie)


def token_hash_of(token: str) -> str:
    """Of an API token. Raises Unauthenticated for what cannot be one."""
    if not well_formed(token, TOKEN_PREFIX):
        raise not_known()
    return token_hash(token)


def not_known() -> Unauthenticated:
    return Unauthenticated("A valid bearer token is needed: send it as `Authorization: Bearer <token>`.")


async def asker(database: Database, token_hash: str) -> Row:
    """The user's columns, in a short read that ends before anything is claimed (snapshot isolation would refuse it)."""
    row = await users.by_token(database, token_hash)
    if row is None:
        raise not_known()
    return row


async def authenticate(database: Database, token_hash: str) -> Viewer:
    return viewer_of(await asker(database, token_hash))


def viewer_of(row: Row, prefix: str = "") -> Viewer:
    personal = row[f"{prefix}token_kind"] in _PERSONAL
    return Viewer(
        uuid.UUID(str(row[f"{prefix}id"])),
        row[f"{prefix}username"],
        Role(row[f"{prefix}role"]),
        read_scopes(row[f"{prefix}token_scopes"]),
        None if personal else row[f"{prefix}token_expires_at"],
        uuid.UUID(str(row[f"{prefix}token_id"])),
    )


def require(viewer: Viewer, permission: Permission) -> None:
    if viewer.may(permission):
        return
    if permission not in PERMISSIONS[viewer.role]:
        raise Forbidden(f"This needs {permission}, which your role ({viewer.role}) lacks. Ask an administrator.")
    raise Forbidden(f"This needs {permission}, which this token's scopes leave out. Use another token.")
