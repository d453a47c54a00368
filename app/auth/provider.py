"""Single sign-on: an OpenID Connect provider, by authorization code with PKCE. Who it is, is issuer and subject."""

from dataclasses import dataclass
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp
from authlib.integrations.base_client.async_app import AsyncOAuth2Mixin
from authlib.integrations.base_client.async_openid import AsyncOpenIDMixin
from authlib.integrations.httpx_client import AsyncOAuth2Client
from httpx2 import HTTPError
from joserfc.errors import JoseError

from app.errors import Unavailable

# Signed by the provider with a key of its own: never by a shared secret, never by nobody.
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})
_SECONDS = 10


class NotProven(Exception):
    """What came back proves nothing; the words are for the log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`issuer` and `subject` are who it is; `name` is only what to call a new user."""

    issuer: str
    subject: str
    name: str


class _Client(AsyncOAuth2Mixin, AsyncOpenIDMixin, BaseApp):
    client_cls = AsyncOAuth2Client


class Provider:
    def __init__(self, issuer: str, client_id: str, client_secret: str | None, scope: str) -> None:
        self._issuer = issuer
        self._client = _Client(
            None,
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={"scope": scope, "code_challenge_method": "S256", "timeout": _SECONDS},
        )

    async def begin(self, redirect_uri: str) -> tuple[str, dict[str, Any]]:
        """Where to send the browser, and what to keep until it comes back. Raises Unavailable."""
        try:
            await self._metadata()
            begun = await self._client.create_authorization_url(redirect_uri)
        except (HTTPError, AuthlibBaseError, ValueError, RuntimeError, KeyError) as error:
            raise _away(error) from error
        return str(begun.pop("url")), {**begun, "redirect_uri": redirect_uri}

    async def finish(self, kept: dict[str, Any], code: str, state: str) -> Identity:
        """Raises NotProven, Unavailable."""
        if not state or state != kept.get("state"):
            raise NotProven("the state is not the one that was sent")
        try:
            await self._metadata()
            token = await self._client.fetch_access_token(  # type: ignore[no-untyped-call]
                redirect_uri=kept["redirect_uri"], code=code, state=state, code_verifier=kept["code_verifier"]
            )
            claims = await self._client.parse_id_token(token, nonce=kept["nonce"])
        except HTTPError as error:
            raise _away(error) from error
        except (AuthlibBaseError, JoseError, ValueError, KeyError) as error:
            raise NotProven(f"{type(error).__name__}: {error}") from error
        if claims is None or claims.get("iss") != self._issuer:
            raise NotProven("there is no identity token of this provider")
        return Identity(self._issuer, _text(claims.get("sub")), str(claims.get("preferred_username") or ""))

    async def _metadata(self) -> None:
        found = await self._client.load_server_metadata()
        if found.get("issuer") != self._issuer:
            self._client.server_metadata.clear()
            raise ValueError("the provider names another issuer than CMP_OIDC_ISSUER")
        offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        found["id_token_signing_alg_values_supported"] = [name for name in offered if name in _ALGORITHMS]


def _text(subject: Any) -> str:
    """OpenID Connect Core 2: at most 255 ASCII characters."""
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():
        raise NotProven("the subject is not one")
    return subject


def _away(error: Exception) -> Unavailable:
    return Unavailable(
        "The single sign-on provider does not answer as it should. Try again, or tell an administrator.",
        internal=f"{type(error).__name__}: {error}",
    )
