"""Access tokens and how they are come by: each grant, and every way in which a token must not work."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from pydantic import SecretStr

from app.auth.keys import ALGORITHM
from app.models import ApiToken, DeviceCode, RefreshToken, SigningKey
from app.rules.sealing import new_key
from tests.api.running import Api, Caller, running_api

PASSWORD = "a long enough password"
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data"), secret_key=SecretStr(new_key())) as api:
        yield api


@pytest.fixture
async def ada(api: Api) -> Caller:
    user = await api.user()
    set_it = await api.admin.put(f"/users/{user.id}/password", json={"password": PASSWORD})
    assert set_it.status_code == 204, set_it.text
    return user


async def asked(api: Api, path: str = "token", basic: tuple[str, str] | None = None, **form: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp", auth=basic) as http:
        answer = await http.post(f"/oauth/{path}", data=form)
    assert answer.headers["cache-control"] == "no-store"
    return answer


async def signed_in(api: Api, user: Caller, **form: str) -> dict[str, Any]:
    answer = await asked(api, grant_type="password", username=user.name, password=PASSWORD, **form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def encoded(*parts: dict[str, Any]) -> str:
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)


async def test_a_password_gives_an_access_token_that_works(api: Api, ada: Caller) -> None:
    granted = await signed_in(api, ada, client_id="laptop", scope="read")
    assert (granted["token_type"], granted["expires_in"], granted["scope"]) == ("Bearer", 900, "read")
    caller = api.caller(granted["access_token"])
    assert (await caller.get("/users/me")).json()["id"] == ada.id
    assert (await caller.post("/clusters/", json={})).status_code in (403, 422)
    listed = (await ada.get("/tokens/?kind=oauth")).json()["items"]
    assert [(one["name"], one["scopes"]) for one in listed] == [("laptop", ["read"])]
    header, claims = part(granted["access_token"], 0), part(granted["access_token"], 1)
    assert (header["alg"], header["typ"]) == ("Ed25519", "at+jwt")
    assert claims["exp"] - claims["iat"] == 900


async def test_others_verify_it_by_the_published_keys(api: Api, ada: Caller) -> None:
    granted = await signed_in(api, ada)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp") as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        keys = (await http.get(metadata["jwks_uri"].removeprefix(metadata["issuer"]))).json()["keys"]
    assert "d" not in keys[0]
    kid = part(granted["access_token"], 0)["kid"]
    key = OKPKey.import_key(next(one for one in keys if one["kid"] == kid))
    assert jwt.decode(granted["access_token"], key, algorithms=[ALGORITHM]).claims["iss"] == metadata["issuer"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "nobody", "password": "x"}, "invalid_grant"),
        ({"grant_type": "password", "username": "nobody"}, "invalid_request"),
        ({"grant_type": "password", "username": "n", "password": "x", "scope": "root"}, "invalid_scope"),
        ({"grant_type": "password", "username": "n", "password": "x", "client_id": "<b>"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "cmp_ref_" + "x" * 43}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": str(uuid.uuid4()), "client_secret": "y"}, "invalid_client"),
        ({"grant_type": _DEVICE, "device_code": "x"}, "expired_token"),
    ],
)
async def test_what_is_wrong_is_said_in_oauths_words(api: Api, form: dict[str, str], error: str) -> None:
    answer = await asked(api, **form)
    assert answer.json()["error"] == error, answer.text
    assert answer.status_code == (401 if error == "invalid_client" else 400)


async def test_a_wrong_password_and_nobody_look_the_same(api: Api, ada: Caller) -> None:
    wrong = await asked(api, grant_type="password", username=ada.name, password="another one")
    nobody = await asked(api, grant_type="password", username="never-there", password="another one")
    assert (wrong.status_code, wrong.content) == (nobody.status_code, nobody.content)


async def test_a_field_twice_and_json_are_refused(api: Api) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp") as http:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        twice = await http.post("/oauth/token", content="grant_type=password&grant_type=password", headers=kind)
        as_json = await http.post("/oauth/token", json={"grant_type": "password"})
        binary = await http.post("/oauth/token", content=b"grant_type=\xff", headers=kind)
        escaped = await http.post("/oauth/token", content=b"grant_type=%ff", headers=kind)
    for answer in (twice, as_json, binary, escaped):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text


# --- refresh -----------------------------------------------------------------------------------------------------


async def test_a_refresh_token_works_once_and_its_replay_ends_the_sign_in(api: Api, ada: Caller) -> None:
    first = await signed_in(api, ada)
    second = (await asked(api, grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    for token in (first["access_token"], second["access_token"]):
        assert (await api.caller(token).get("/users/me")).status_code == 200
    replayed = await asked(api, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert replayed.json()["error"] == "invalid_grant"
    for token in (first["access_token"], second["access_token"]):
        assert (await api.caller(token).get("/users/me")).status_code == 401
    after = await asked(api, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert after.json()["error"] == "invalid_grant"
    kinds = [event["kind"] for event in (await ada.get("/events/history")).json()["items"]]
    assert "user.refresh_token_reused" in kinds


async def test_of_many_who_refresh_at_once_at_most_one_gets_tokens_and_then_nobody_has_any(
    api: Api, ada: Caller
) -> None:
    first = await signed_in(api, ada)
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    answers = await asyncio.gather(*(asked(api, **form) for _ in range(8)))
    granted = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(granted) <= 1
    for one in granted:
        assert (await api.caller(one["access_token"]).get("/users/me")).status_code == 401
    assert (await ada.get("/tokens/?kind=oauth")).json()["items"] == []


async def test_a_sign_in_ends_where_the_user_is_disabled_or_ends_it(api: Api, ada: Caller) -> None:
    disabled, revoked, listed = await signed_in(api, ada), await signed_in(api, ada), await signed_in(api, ada)
    assert (await asked(api, "revoke", token=revoked["refresh_token"])).status_code == 200
    id = (await ada.get("/tokens/?kind=oauth&sort=-created_at")).json()["items"][0]["id"]
    assert (await ada.delete(f"/tokens/{id}")).status_code == 204
    for one in (revoked, listed):
        assert (await api.caller(one["access_token"]).get("/users/me")).status_code == 401
        again = await asked(api, grant_type="refresh_token", refresh_token=one["refresh_token"])
        assert again.json()["error"] == "invalid_grant"
    await api.admin.patch(f"/users/{ada.id}", json={"disabled": True})
    assert (await api.caller(disabled["access_token"]).get("/users/me")).status_code == 401
    again = await asked(api, grant_type="refresh_token", refresh_token=disabled["refresh_token"])
    assert again.json()["error"] == "invalid_grant"
    assert (await asked(api, "revoke", token="whatever")).status_code == 200


async def test_a_sign_in_that_is_over_is_not_refreshed(api: Api, ada: Caller) -> None:
    granted = await signed_in(api, ada)
    past = datetime.now(UTC) - timedelta(seconds=1)
    ended = sa.update(ApiToken).where(ApiToken.user_id == uuid.UUID(ada.id)).values(expires_at=past)
    await api.database.run(lambda session: session.execute(ended))
    again = await asked(api, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert again.json()["error"] == "invalid_grant"
    assert (await api.caller(granted["access_token"]).get("/users/me")).status_code == 401


async def test_a_new_password_ends_every_sign_in_and_no_api_token(api: Api, ada: Caller) -> None:
    granted = await signed_in(api, ada)
    change = {"password": "another long enough one", "current_password": PASSWORD}
    assert (await ada.put("/users/me/password", json={**change, "current_password": "no"})).status_code == 403
    assert (await ada.put("/users/me/password", json={"password": change["password"]})).status_code == 403
    assert (await ada.put("/users/me/password", json=change)).status_code == 204
    assert (await api.caller(granted["access_token"]).get("/users/me")).status_code == 401
    assert (await ada.get("/users/me")).json()["has_password"] is True


# --- clients and devices -----------------------------------------------------------------------------------------


async def test_a_client_gets_access_tokens_within_its_scopes(api: Api) -> None:
    service = await api.user(kind="service")
    made = (await service.post("/tokens/", json={"name": "ci", "kind": "client", "scopes": ["read"]})).json()
    assert made["token"] is None
    id, secret = made["client_id"], made["client_secret"]
    for answer in (
        await asked(api, grant_type="client_credentials", basic=(id, secret)),
        await asked(api, grant_type="client_credentials", client_id=id, client_secret=secret),
    ):
        granted = answer.json()
        assert (granted["scope"], "refresh_token" in granted) == ("read", False)
        caller = api.caller(granted["access_token"])
        assert (await caller.get("/users/me")).json()["kind"] == "service"
        assert (await caller.post("/tokens/", json={"name": "more"})).status_code == 403
    wider = await asked(api, grant_type="client_credentials", basic=(id, secret), scope="admin")
    assert wider.json()["error"] == "invalid_scope"
    assert (await api.caller(secret).get("/users/me")).status_code == 401
    assert (await service.delete(f"/tokens/{made['id']}")).status_code == 204
    assert (await caller.get("/users/me")).status_code == 401
    gone = await asked(api, grant_type="client_credentials", basic=(id, secret))
    assert gone.json()["error"] == "invalid_client"


async def test_a_service_neither_has_a_password_nor_signs_in(api: Api) -> None:
    service = await api.user(kind="service")
    refused = await api.admin.put(f"/users/{service.id}/password", json={"password": PASSWORD})
    assert refused.status_code == 409
    linked = {"issuer": "https://sso.example.org", "subject": service.id}
    assert (await api.admin.post(f"/users/{service.id}/identities", json=linked)).status_code == 409


async def test_a_device_waits_until_it_is_let_in(api: Api, ada: Caller) -> None:
    begun = (await asked(api, "device_authorization", client_id="cmpctl", scope="read operate")).json()
    form = {"grant_type": _DEVICE, "device_code": begun["device_code"]}
    assert (await asked(api, **form)).json()["error"] == "authorization_pending"
    assert (await asked(api, **form)).json()["error"] == "slow_down"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp") as browser:
        browser.headers["Origin"] = "http://cmp"
        page = begun["verification_uri_complete"].partition("://")[2].partition("/")[2]
        away = await browser.get(f"/{page}")
        assert (away.status_code, away.headers["location"].startswith("/login?next=/device")) == (303, True)
        await browser.post("/login", data={"username": ada.name, "password": PASSWORD})
        shown = await browser.get(f"/{page}")
        assert begun["user_code"] in shown.text
        assert "cmpctl" in shown.text
        typed = begun["user_code"].replace("-", " ").lower()
        assert (await browser.post("/device", data={"user_code": typed, "answer": "allow"})).status_code == 200
        assert (await browser.post("/device", data={"user_code": typed, "answer": "allow"})).status_code == 404
    granted = (await asked(api, **form)).json()
    assert granted["scope"] == "operate read"
    assert (await api.caller(granted["access_token"]).get("/users/me")).json()["id"] == ada.id
    assert (await asked(api, **form)).json()["error"] == "expired_token"


async def test_a_device_that_is_refused_or_forgotten_gets_nothing(api: Api, ada: Caller) -> None:
    begun = (await asked(api, "device_authorization", client_id="x")).json()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp") as browser:
        browser.headers["Origin"] = "http://cmp"
        assert (await browser.post("/device", data={"user_code": begun["user_code"]})).status_code == 401
        await browser.post("/login", data={"username": ada.name, "password": PASSWORD})
        await browser.post("/device", data={"user_code": begun["user_code"], "answer": "refuse"})
    form = {"grant_type": _DEVICE, "device_code": begun["device_code"]}
    assert (await asked(api, **form)).json()["error"] == "access_denied"
    late = (await asked(api, "device_authorization", client_id="x")).json()
    past = sa.update(DeviceCode).values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await api.database.run(lambda session: session.execute(past))
    ended = await asked(api, grant_type=_DEVICE, device_code=late["device_code"])
    assert ended.json()["error"] == "expired_token"


# --- attacks on the token ----------------------------------------------------------------------------------------


async def forged(api: Api, ada: Caller, how: str) -> str:
    """A token that is right but for one thing."""
    granted = (await signed_in(api, ada))["access_token"]
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


async def test_a_database_without_the_key_holds_nothing_to_get_in_with(api: Api, ada: Caller) -> None:
    granted = await signed_in(api, ada)
    async with api.database.reading() as session:
        rows = [*(await session.execute(sa.select(*RefreshToken.__table__.columns))).all()]
        rows += (await session.execute(sa.select(*SigningKey.__table__.columns))).all()
        rows += (await session.execute(sa.select(*ApiToken.__table__.columns))).all()
    kept = str(rows)
    assert granted["refresh_token"] not in kept
    assert "'d'" not in kept
    assert hashlib.sha256(granted["refresh_token"].encode()).hexdigest() in kept


async def test_too_many_wrong_guesses_stop_the_guesser_and_nobody_else(api: Api, ada: Caller) -> None:
    for _ in range(10):
        await asked(api, grant_type="password", username=ada.name, password="wrong")
    stopped = await asked(api, grant_type="password", username=ada.name, password=PASSWORD)
    assert stopped.status_code == 429
    elsewhere = httpx.ASGITransport(api.app, client=("198.51.100.7", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://cmp") as http:
        form = {"grant_type": "password", "username": ada.name, "password": PASSWORD}
        assert (await http.post("/oauth/token", data=form)).status_code == 200
