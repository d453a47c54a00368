"""Access tokens and how they are come by: each grant, and how it ends."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from app.auth.keys import ALGORITHM
from app.models import ApiToken, DeviceCode, RefreshToken, SigningKey
from app.rules.sealing import new_key
from tests.api.programs import DEVICE_GRANT, PASSWORD, asked, part, signed_in, with_password
from tests.api.running import Api, Caller, running_api


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data"), secret_key=SecretStr(new_key())) as api:
        yield api


@pytest.fixture
async def ada(api: Api) -> Caller:
    return await with_password(api)


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
        ({"grant_type": DEVICE_GRANT, "device_code": "x"}, "expired_token"),
    ],
)
async def test_what_is_wrong_is_said_in_oauths_words(api: Api, form: dict[str, Any], error: str) -> None:
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
    form = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"]}
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
        assert "at most 30 days" in shown.text
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
    form = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"]}
    assert (await asked(api, **form)).json()["error"] == "access_denied"
    late = (await asked(api, "device_authorization", client_id="x")).json()
    past = sa.update(DeviceCode).values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await api.database.run(lambda session: session.execute(past))
    ended = await asked(api, grant_type=DEVICE_GRANT, device_code=late["device_code"])
    assert ended.json()["error"] == "expired_token"


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
