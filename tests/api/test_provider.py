"""A provider that lies, in each way that single sign-on must not believe: it signs what it likes."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.auth import Identity, NotProven, Provider
from app.errors import Unavailable

SECRET = "a secret that two sides know, long enough"
BACK = "http://cmp/sso/callback"


class Liar:
    """`token` makes the identity token from the right claims; `metadata` is what it says of itself."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.published = self.key
        self.claims: dict[str, Any] = {}
        self.token: Callable[[dict[str, Any]], str] = self.signed
        self.forms: list[str] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys = {"keys": [liar.published.as_dict(private=False)]}
                self._answer(keys if self.path == "/jwks" else liar.metadata)

            def do_POST(self) -> None:
                liar.forms.append(self.rfile.read(int(self.headers["content-length"])).decode())
                answer = {"access_token": "x", "token_type": "Bearer", "id_token": liar.token(liar.claims)}
                self._answer(answer)

            def _answer(self, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The test says what matters."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def signed(self, claims: dict[str, Any], key: RSAKey | None = None) -> str:
        chosen = key or self.key
        return jwt.encode({"alg": "RS256", "kid": chosen.kid}, claims, chosen)

    def provider(self) -> Provider:
        return Provider(self.issuer, "cmp", SECRET, "openid profile")

    async def vouched(self, provider: Provider | None = None, **changed: Any) -> Identity:
        provider = provider or self.provider()
        _, kept = await provider.begin(BACK)
        now = int(time.time())
        right = {"iss": self.issuer, "aud": "cmp", "sub": "me", "exp": now + 60, "iat": now, "nonce": kept["nonce"]}
        self.claims = {name: value for name, value in (right | changed).items() if value is not None}
        return await provider.finish(kept, "code", kept["state"])


@pytest.fixture
def liar() -> Iterator[Liar]:
    liar = Liar()
    yield liar
    liar.server.shutdown()
    liar.server.server_close()


async def test_the_truth_is_believed(liar: Liar) -> None:
    assert await liar.vouched(preferred_username="Me") == Identity(liar.issuer, "me", "Me")
    assert "code_verifier=" in liar.forms[0]


async def test_the_browser_is_sent_with_a_challenge_a_state_and_a_nonce(liar: Liar) -> None:
    first, kept = await liar.provider().begin(BACK)
    second, _ = await liar.provider().begin(BACK)
    assert "code_challenge_method=S256" in first
    assert kept["code_verifier"] not in first
    assert first != second


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://elsewhere.example.org"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": None},
        {"nonce": "another's"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "é"},
        {"sub": "x" * 256},
    ],
    ids=str,
)
async def test_claims_that_are_not_for_us_now_prove_nothing(liar: Liar, changed: dict[str, Any]) -> None:
    with pytest.raises(NotProven):
        await liar.vouched(**changed)


def unsigned(claims: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def by_the_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])


@pytest.mark.parametrize("token", [unsigned, by_the_secret, lambda _claims: "x", lambda _claims: ""])
async def test_signatures_of_nobody_prove_nothing(liar: Liar, token: Callable[[dict[str, Any]], str]) -> None:
    liar.token = token
    with pytest.raises(NotProven):
        await liar.vouched()


async def test_a_key_that_is_not_the_providers_proves_nothing(liar: Liar) -> None:
    stranger = RSAKey.generate_key(2048, auto_kid=True)
    liar.token = lambda claims: liar.signed(claims, stranger)
    with pytest.raises(NotProven):
        await liar.vouched()


async def test_a_provider_that_changes_its_keys_is_believed_again(liar: Liar) -> None:
    provider = liar.provider()
    await liar.vouched(provider)
    liar.key = liar.published = RSAKey.generate_key(2048, auto_kid=True)
    assert (await liar.vouched(provider)).subject == "me"


@pytest.mark.parametrize("state", ["", "guessed"])
async def test_another_state_proves_nothing_and_asks_nobody(liar: Liar, state: str) -> None:
    provider = liar.provider()
    _, kept = await provider.begin(BACK)
    with pytest.raises(NotProven):
        await provider.finish(kept, "code", state)
    assert liar.forms == []


async def test_a_provider_of_another_name_is_not_used(liar: Liar) -> None:
    liar.metadata["issuer"] = "https://elsewhere.example.org"
    with pytest.raises(Unavailable):
        await liar.provider().begin(BACK)


async def test_a_provider_that_is_away_is_said_to_be(liar: Liar) -> None:
    provider = liar.provider()
    liar.server.shutdown()
    liar.server.server_close()
    with pytest.raises(Unavailable) as refused:
        await provider.begin(BACK)
    assert liar.issuer not in refused.value.message
