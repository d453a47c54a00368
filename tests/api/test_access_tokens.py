"""Every way in which an access token must not work, and the keys that sign them."""

import asyncio
import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from pydantic import SecretStr

from app.auth.keys import ALGORITHM
from app.models import SigningKey
from app.rules.sealing import new_key
from tests.api.programs import asked, encoded, part, signed_in, with_password
from tests.api.running import Api, Caller, running_api


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data"), secret_key=SecretStr(new_key())) as api:
        yield api


@pytest.fixture
async def ada(api: Api) -> Caller:
    return await with_password(api)


async def forged(api: Api, ada: Caller, how: str) -> str:
    """A token that is right but for one thing."""
    granted: str = (await signed_in(api, ada))["access_token"]
    header, claims = part(granted, 0), part(granted, 1)
    async with api.database.reading() as session:
        row = (await session.execute(sa.select(SigningKey).where(SigningKey.kid == header["kid"]))).scalar_one()
    private = OKPKey.import_key(api.state.sealer.open(row.private, f"signing key {row.kid}"))
    now = int(time.time())
    other: dict[str, Any] = {
        "right": {},
        "issuer": {"iss": "https://elsewhere.example.org"},
        "audience": {"aud": "other"},
        "expired": {"exp": now - 60},
        "future": {"iat": now + 3600, "nbf": now + 3600},
        "no end": {"exp": None},
        "another row": {"sid": str(uuid.uuid4())},
        "no row": {"sid": "x"},
        "a row that is no sign-in": {"sid": (await ada.get("/tokens/")).json()["items"][0]["id"]},
    }
    if how in other:
        changed = {name: value for name, value in (claims | other[how]).items() if value is not None}
        return jwt.encode(header, changed, private, algorithms=[ALGORITHM])
    if how == "no algorithm":
        return encoded({**header, "alg": "none"}, claims) + "."
    if how == "signed with the public key":
        signing = encoded({**header, "alg": "HS256"}, claims)
        made = hmac.new(row.public["x"].encode(), signing.encode(), hashlib.sha256).digest()
        return f"{signing}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"
    if how == "another algorithm":
        return jwt.encode({**header, "alg": "HS256"}, claims, OctKey.import_key("x" * 32), algorithms=["HS256"])
    if how == "another type":
        return jwt.encode({**header, "typ": "JWT"}, claims, private, algorithms=[ALGORITHM])
    if how == "another's key":
        stranger = OKPKey.generate_key("Ed25519")
        return jwt.encode(header, claims, stranger, algorithms=[ALGORITHM])
    if how == "a key that it brings":
        stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
        brought = {**header, "kid": stranger.kid, "jwk": stranger.as_dict(private=False)}
        return jwt.encode(brought, claims, stranger, algorithms=[ALGORITHM])
    if how == "an unknown key":
        return jwt.encode({**header, "kid": "nobody's"}, claims, private, algorithms=[ALGORITHM])
    if how == "a critical extension":
        return encoded({**header, "crit": ["x"], "x": 1}, claims) + "." + granted.split(".")[2]
    if how == "changed claims":
        return encoded(header, {**claims, "sub": str(uuid.uuid4())}) + "." + granted.split(".")[2]
    return {
        "no signature": granted.rpartition(".")[0] + ".",
        "a part more": granted + ".x",
        "long": granted + "x" * 9999,
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        *("issuer", "audience", "expired", "future", "no end", "another row", "no row", "a row that is no sign-in"),
        *("no algorithm", "signed with the public key", "another algorithm", "another type", "another's key"),
        *("a key that it brings", "an unknown key", "a critical extension", "changed claims", "no signature"),
        *("a part more", "long"),
    ],
)
async def test_a_token_that_is_not_quite_ours_is_refused(api: Api, ada: Caller, how: str) -> None:
    assert (await api.caller(await forged(api, ada, "right")).get("/users/me")).status_code == 200
    answer = await api.caller(await forged(api, ada, how)).get("/users/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_no_other_secret_is_a_bearer_token(api: Api, ada: Caller) -> None:
    granted = await signed_in(api, ada)
    begun = (await asked(api, "device_authorization", client_id="x")).json()
    for secret in (granted["refresh_token"], begun["device_code"], begun["user_code"]):
        assert (await api.caller(secret).get("/users/me")).status_code == 401


async def test_a_new_key_signs_and_nobody_is_signed_out_unless_the_old_one_was_stolen(api: Api, ada: Caller) -> None:
    before = await signed_in(api, ada)
    assert (await api.admin.post("/signing-keys/")).status_code == 204
    after = await signed_in(api, ada)
    assert part(before["access_token"], 0)["kid"] != part(after["access_token"], 0)["kid"]
    for one in (before, after):
        assert (await api.caller(one["access_token"]).get("/users/me")).status_code == 200
    assert (await ada.post("/signing-keys/")).status_code == 403
    assert (await api.admin.post("/signing-keys/?withdraw=true")).status_code == 204
    for one in (before, after):
        assert (await api.caller(one["access_token"]).get("/users/me")).status_code == 401
        again = (await asked(api, grant_type="refresh_token", refresh_token=one["refresh_token"])).json()
        assert (await api.caller(again["access_token"]).get("/users/me")).status_code == 200


async def test_keys_go_when_the_last_token_they_signed_has_ended(api: Api) -> None:
    async def kids() -> list[str]:
        return [str(key["kid"]) for key in await api.state.access_tokens.public()]

    await api.state.access_tokens.rotate()
    old = (await kids())[0]
    await api.state.access_tokens.rotate()
    assert old in await kids()
    long_ago = datetime.now(UTC) - timedelta(days=1)
    await api.database.run(lambda session: session.execute(sa.update(SigningKey).values(created_at=long_ago)))
    older = sa.update(SigningKey).where(SigningKey.kid == old).values(created_at=long_ago - timedelta(days=1))
    await api.database.run(lambda session: session.execute(older))
    await api.state.access_tokens.rotate()
    await api.state.access_tokens.rotate()
    assert old not in await kids()


async def test_one_of_many_processes_makes_the_first_key(api: Api) -> None:
    await api.database.run(lambda session: session.execute(sa.delete(SigningKey)))
    state = api.state
    others = [type(state.access_tokens)(state.database, "http://cmp", 900, 30) for _ in range(6)]
    for one in others:
        one.sealer = state.sealer
    await asyncio.gather(*(one.issue(uuid.uuid4(), uuid.uuid4(), None, "x") for one in others))
    assert len(await state.access_tokens.public()) == 1
    await state.access_tokens.rotate(withdraw=True)
