"""Access tokens: short-lived JWTs (RFC 9068) that name the row they speak for, and the keys that sign them.

A signature alone lets nobody in: the row is read with every request, so what is revoked is revoked at once. The newest
key signs; those before it verify until the last token they signed has ended. Ed25519 and nothing else (RFC 9864).
"""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from app.database import Database, Session
from app.errors import Unsupported
from app.models import SigningKey
from app.rules.sealing import Sealer
from app.store import platform, signing_keys

ALGORITHM = "Ed25519"
AUDIENCE = "cmp"
_LONGEST = 2048
_LEEWAY = 5  # seconds that clocks of our own processes may differ
_LOOK_AGAIN = 2.0  # seconds: a token with an unknown key makes nobody read the database more often
_KEPT_SECONDS = 60.0  # how long a key that was withdrawn may still verify elsewhere


class AccessTokens:
    def __init__(self, database: Database, issuer: str, lifetime: int, key_days: int) -> None:
        """`lifetime`: seconds."""
        self.issuer = issuer
        self.lifetime = lifetime
        self.sealer = Sealer()
        self._database = database
        self._key_life = timedelta(days=key_days)
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            sid={"essential": True},
        )
        self._public: dict[str, OKPKey] = {}
        self._signing: tuple[str, OKPKey] | None = None
        self._signs_until = 0.0
        self._looked = float("-inf")

    async def issue(self, row_id: uuid.UUID, user_id: uuid.UUID, scope: str | None, client: str) -> str:
        """Raises Unsupported where there is no key to keep signing keys with."""
        kid, key = await self._current()
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(row_id),
            "jti": uuid.uuid4().hex,
            "client_id": client,
            "iat": now,
            "exp": now + self.lifetime,
        }
        if scope is not None:
            claims["scope"] = scope
        return jwt.encode({"alg": ALGORITHM, "typ": "at+jwt", "kid": kid}, claims, key, algorithms=[ALGORITHM])

    async def verify(self, token: str) -> uuid.UUID | None:
        """The row that it speaks for; None for whatever is not a token of ours in force."""
        if len(token) > _LONGEST or token.count(".") != 2 or not token.isascii():
            return None
        try:
            key = await self._verifying(jws.extract_compact(token.encode()).headers())
            if key is None:
                return None
            found = jwt.decode(token, key, algorithms=[ALGORITHM])
            self._claims.validate(found.claims)
            return uuid.UUID(str(found.claims["sid"]))
        except (JoseError, ValueError):
            return None

    async def public(self) -> list[dict[str, Any]]:
        """Public keys as JWKs, the newest first: who verifies by these finds each token's own."""
        async with self._database.reading() as session:
            return [dict(row.public) for row in await signing_keys.all_newest_first(session)]

    async def rotate(self, *, withdraw: bool = False) -> None:
        """A new key signs from now on. `withdraw`: earlier ones verify no more, within a minute everywhere."""
        await self._database.run(lambda session: self._add(session, withdraw=withdraw))
        self._signing, self._looked = None, float("-inf")

    async def _current(self) -> tuple[str, OKPKey]:
        if self._signing is None or time.time() > self._signs_until:
            self._take(await self._database.run(self._newest))
        assert self._signing is not None
        return self._signing

    async def _newest(self, session: Session) -> SigningKey:
        """Of several processes that find none in force, one makes it."""
        rows = await signing_keys.all_newest_first(session)
        if not rows or rows[0].created_at < datetime.now(UTC) - self._key_life:
            await platform.lock(session)
            rows = await signing_keys.all_newest_first(session)
            if not rows or rows[0].created_at < datetime.now(UTC) - self._key_life:
                return await self._add(session)
        return rows[0]

    async def _add(self, session: Session, *, withdraw: bool = False) -> SigningKey:
        if not self.sealer.ready:
            raise Unsupported(
                "This installation issues no access tokens: it has no key to keep signing keys with. An administrator "
                "sets CMP_SECRET_KEY; API tokens and browser sessions work without."
            )
        await platform.lock(session)
        now = datetime.now(UTC)
        before = await signing_keys.all_newest_first(session)
        await signing_keys.remove(session, [row.kid for row in _ended(before, now, self.lifetime, withdraw=withdraw)])
        made = OKPKey.generate_key("Ed25519", auto_kid=True)
        public = {**made.as_dict(private=False), "use": "sig", "alg": ALGORITHM}
        sealed = self.sealer.seal(dict(made.as_dict(private=True)), f"signing key {made.kid}")
        row = SigningKey(kid=str(made.kid), public=public, private=sealed, created_at=now)
        await signing_keys.add(session, row)
        return row

    def _take(self, row: SigningKey) -> None:
        private = self.sealer.open(row.private, f"signing key {row.kid}")
        self._signing = (row.kid, OKPKey.import_key(private))
        # Looked at again every minute: one that was withdrawn meanwhile must not go on signing.
        self._signs_until = min(time.time() + _KEPT_SECONDS, (row.created_at + self._key_life).timestamp())

    async def _verifying(self, header: dict[str, Any]) -> OKPKey | None:
        kid = header.get("kid")
        if header.get("typ") != "at+jwt" or header.get("alg") != ALGORITHM or not isinstance(kid, str):
            return None
        since = time.monotonic() - self._looked
        if since > _KEPT_SECONDS or (kid not in self._public and since > _LOOK_AGAIN):
            self._public = {str(key["kid"]): OKPKey.import_key(key) for key in await self.public()}
            self._looked = time.monotonic()
        return self._public.get(kid)


def _ended(rows: Sequence[SigningKey], now: datetime, lifetime: int, *, withdraw: bool) -> list[SigningKey]:
    """Those whose last token has ended: their successor has been signing for longer than a token lives."""
    if withdraw:
        return list(rows)
    margin = timedelta(seconds=lifetime + 2 * _KEPT_SECONDS)
    return [old for newer, old in pairwise(rows) if newer.created_at < now - margin]
