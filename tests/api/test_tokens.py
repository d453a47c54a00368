"""API tokens: narrowed, ending, revocable, and never a way to more than one has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.models import ApiToken
from tests.api.running import Api, Caller, wish


async def narrowed(api: Api, caller: Caller, **fields: Any) -> Caller:
    made = await caller.post("/tokens/", json={"name": "narrow", **fields})
    assert made.status_code == 201, made.text
    return api.caller(made.json()["token"], caller.name, caller.id)


async def test_several_work_beside_each_other_until_each_is_revoked(api: Api) -> None:
    user = await api.user()
    made = (await user.post("/tokens/", json={"name": "ci"})).json()
    second = api.caller(made["token"])
    assert made["token"].endswith(made["hint"][-4:])
    listed = (await user.get("/tokens/")).json()["items"]
    assert [token["name"] for token in listed] == ["first", "ci"]
    assert made["token"] not in (await user.get("/tokens/")).text
    assert (await second.get("/users/me")).json()["id"] == user.id
    assert (await user.delete(f"/tokens/{made['id']}")).status_code == 204
    assert (await second.get("/users/me")).status_code == 401
    assert (await user.get("/users/me")).status_code == 200
    assert (await user.delete(f"/tokens/{made['id']}")).status_code == 404


async def test_scopes_narrow_what_the_role_may(api: Api) -> None:
    user = await api.user()
    await user.cluster("scoped")
    statuses: dict[str, list[int]] = {}
    for scope in ("read", "operate", "write", "admin"):
        token = await narrowed(api, user, scopes=[scope])
        answers = [
            await token.get("/clusters/"),
            await token.get("/clusters/scoped"),
            await token.post("/instances/scoped-instance-1/operate", json={"operation": "suspend"}),
            await token.post("/clusters/", json=wish()),
            await token.get("/users/"),
            await token.post("/tokens/", json={"name": "more"}),
        ]
        statuses[scope] = [answer.status_code for answer in answers]
    # 409: it may, but what is pending cannot be suspended. A scope that the role does not have gives nothing.
    assert statuses == {
        "read": [200, 200, 403, 403, 403, 403],
        "operate": [200, 200, 409, 403, 403, 403],
        "write": [200, 200, 403, 201, 403, 403],
        "admin": [403, 403, 403, 403, 403, 403],
    }
    both = await narrowed(api, user, scopes=["operate", "write"])
    assert (await both.post("/clusters/", json=wish())).status_code == 201


async def test_a_token_makes_and_revokes_nothing_beyond_itself(api: Api) -> None:
    user = await api.user()
    soon = datetime.now(UTC) + timedelta(hours=1)
    token = await narrowed(api, user, scopes=["write"], expires_at=soon.isoformat())
    within = {"name": "x", "scopes": ["write"], "expires_at": soon.isoformat()}
    later = (soon + timedelta(seconds=1)).isoformat()
    for beyond in ({"scopes": None}, {"scopes": ["write", "read"]}, {"expires_at": None}, {"expires_at": later}):
        assert (await token.post("/tokens/", json=within | beyond)).status_code == 403, beyond
    assert (await token.post("/tokens/", json=within)).status_code == 201
    first = (await user.get("/tokens/")).json()["items"][0]
    assert (await token.delete(f"/tokens/{first['id']}")).status_code == 403
    assert (await token.post("/users/me/token")).status_code == 403
    assert (await user.get("/users/me")).status_code == 200


async def test_an_administrators_narrowed_token_makes_no_wider_ones_by_way_of_others(api: Api) -> None:
    admin = await api.user(role="admin")
    soon = datetime.now(UTC) + timedelta(hours=1)
    token = await narrowed(api, admin, scopes=["admin"], expires_at=soon.isoformat())
    made = (await token.post("/users/", json={"username": "by-a-narrow-one", "role": "admin"})).json()
    its = (await token.get(f"/users/{made['id']}/tokens/")).json()["items"]
    assert [(one["scopes"], one["expires_at"] is not None) for one in its] == [(["admin"], True)]
    assert (await api.caller(made["token"]).post("/clusters/", json=wish())).status_code == 403
    assert (await token.post(f"/users/{made['id']}/token")).status_code == 403
    assert (await token.post(f"/users/{made['id']}/tokens/", json={"name": "wide"})).status_code == 403


async def test_one_that_has_ended_is_unknown(api: Api) -> None:
    user = await api.user()
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert (await user.post("/tokens/", json={"name": "late", "expires_at": past})).status_code == 422
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    token = await narrowed(api, user, expires_at=soon)
    assert (await token.get("/clusters/")).status_code == 200
    async with api.database.transaction() as session:
        ended = sa.update(ApiToken).where(ApiToken.expires_at.is_not(None))
        await session.execute(ended.values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    for path in ("/clusters/", "/users/me"):
        assert (await token.get(path)).content.split(b"request_id")[0] == (await api.nobody.get(path)).content.split(
            b"request_id"
        )[0]


async def test_when_it_was_last_used_is_written_later_and_seldom(api: Api) -> None:
    user = await api.user()

    async def last_used() -> Any:
        async with api.database.reading() as session:
            token = sa.select(ApiToken.last_used_at).join(ApiToken.user).where(ApiToken.user.has(username=user.name))
            return await session.scalar(token)

    before = await last_used()
    await user.get("/clusters/")
    await api.state.last_used.write()
    first = await last_used()
    assert before is None
    assert abs(datetime.now(UTC) - first) < timedelta(seconds=30)
    await user.get("/users/me")
    await api.state.last_used.write()
    assert await last_used() == first
    async with api.database.transaction() as session:
        await session.execute(sa.update(ApiToken).values(last_used_at=first - timedelta(minutes=2)))
    await user.get("/users/me")
    await api.state.last_used.write()
    assert await last_used() >= first


async def test_a_repeated_request_shows_no_token(api: Api) -> None:
    user = await api.user()
    key = {"Idempotency-Key": "token-once"}
    first, second = [await user.post("/tokens/", json={"name": "once"}, headers=key) for _ in range(2)]
    assert first.json()["token"] is not None
    assert second.json() == first.json() | {"token": None}
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_administrators_make_and_revoke_for_others(api: Api) -> None:
    user, other = await api.user(), await api.user()
    made = (await api.admin.post(f"/users/{user.name}/tokens/", json={"name": "given", "scopes": ["read"]})).json()
    assert (await api.caller(made["token"]).get("/users/me")).json()["id"] == user.id
    assert (await api.admin.delete(f"/users/{other.name}/tokens/{made['id']}")).status_code == 404
    assert (await api.admin.delete(f"/users/{user.name}/tokens/{made['id']}")).status_code == 204
    assert (await api.caller(made["token"]).get("/users/me")).status_code == 401


async def test_the_last_slash_may_be_left_out(api: Api) -> None:
    user = await api.user()
    listed = await api.admin.get(f"/users/{user.id}/tokens")
    assert (listed.status_code, [token["name"] for token in listed.json()["items"]]) == (200, ["first"])
