"""An Idempotency-Key makes a POST happen once, whatever is repeated, however often, and at the same moment."""

import asyncio
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.errors import Unavailable
from app.models import Cluster, Event, IdempotencyKey
from tests.api.running import Api, Caller, wish

KINDS = ("sqlite", "postgresql", "mariadb", "mariadb_snapshot_isolation")


async def clusters_of(api: Api, caller: Caller) -> int:
    async with api.database.reading() as session:
        mine = sa.select(sa.func.count()).select_from(Cluster).where(Cluster.owner_id == uuid.UUID(caller.id))
        return int(await session.scalar(mine) or 0)


async def test_the_same_request_again_is_answered_again_and_done_once(api: Api) -> None:
    user = await api.user()
    body, headers = wish(), {"Idempotency-Key": "Again/1:x"}
    first = await user.post("/clusters/", json=body, headers=headers)
    second = await user.post("/clusters/", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await clusters_of(api, user) == 1


async def test_32_at_once_make_one_object_and_get_one_answer(api: Api) -> None:
    user = await api.user()
    body, headers = wish(instance_count=3), {"Idempotency-Key": "at-once"}
    answers = await asyncio.gather(*(user.post("/clusters/", json=body, headers=headers) for _ in range(32)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await clusters_of(api, user) == 1
    assert (await user.used())["instances"] == 3
    async with api.database.reading() as session:
        told = sa.select(sa.func.count()).select_from(Event).where(Event.owner_id == uuid.UUID(user.id))
        assert await session.scalar(told.where(Event.kind == "cluster.created")) == 1


@pytest.mark.parametrize("other", ["body", "path", "query"])
async def test_another_request_with_the_same_key_is_refused(api: Api, other: str) -> None:
    user = await api.user()
    body, headers = wish(), {"Idempotency-Key": "other"}
    await user.post("/clusters/", json=body, headers=headers)
    if other == "body":
        refused = await user.post("/clusters/", json=wish(), headers=headers)
    elif other == "path":
        refused = await user.post("/clusters/delete", json={"ids": [body["name"]]}, headers=headers)
    else:
        refused = await user.post("/clusters/?wait=0", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert await clusters_of(api, user) == 1


async def test_a_refused_request_leaves_its_key_unused(api: Api) -> None:
    user = await api.user(quota_clusters=0)
    body, headers = wish(), {"Idempotency-Key": "poison"}
    assert (await user.post("/clusters/", json=body, headers=headers)).status_code == 409
    assert (await user.post("/clusters/", json={}, headers=headers)).status_code == 422
    await api.admin.patch(f"/users/{user.name}", json={"quota_clusters": 1})
    made = await user.post("/clusters/", json=body, headers=headers)
    assert made.status_code == 201
    assert "idempotency-replayed" not in made.headers


async def test_a_commit_that_fails_leaves_the_key_unused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()
    body, headers = wish(), {"Idempotency-Key": "lost"}

    async def fails(*_: Any, **__: Any) -> None:
        raise Unavailable("The database does not answer. Try again in a moment.")

    with monkeypatch.context() as patched:
        patched.setattr("app.store.idempotency.answer", fails)
        with pytest.raises(AssertionError, match="503"):
            await user.post("/clusters/", json=body, headers=headers)
    made = await user.post("/clusters/", json=body, headers=headers)
    assert (made.status_code, await clusters_of(api, user)) == (201, 1)


async def test_a_key_is_its_users_own(api: Api) -> None:
    one, two = await api.user(), await api.user()
    body, headers = wish(), {"Idempotency-Key": "shared"}
    answers = [await caller.post("/clusters/", json=body, headers=headers) for caller in (one, two)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_a_token_is_answered_once_and_never_kept(api: Api) -> None:
    headers = {"Idempotency-Key": "secret"}
    body = {"username": "keeps-no-token"}
    first = (await api.admin.post("/users/", json=body, headers=headers)).json()
    second = (await api.admin.post("/users/", json=body, headers=headers)).json()
    assert first.pop("token").startswith("cmp_pat_")
    assert second.pop("token") is None
    assert first == second
    holder = await api.user()
    rotated = await holder.post("/users/me/token", headers=headers)
    token = rotated.json()["token"]
    assert (await api.caller(token).get("/users/me")).status_code == 200
    async with api.database.reading() as session:
        kept = (await session.execute(sa.select(IdempotencyKey.body))).scalars().all()
    assert kept
    assert not [body for body in kept if b"cmp_pat_" in bytes(body).replace(b'"cmp_pat_...', b"")]


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "tab\there"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    user = await api.user()
    answer = await user.post("/clusters/", json=wish(), headers={b"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422
    assert await clusters_of(api, user) == 0


async def test_keys_differ_by_case_and_go_with_their_user(api: Api) -> None:
    user = await api.user()
    for key in ("Case", "case"):
        assert (await user.post("/clusters/", json=wish(), headers={"Idempotency-Key": key})).status_code == 201
    bulk = {"ids": [row["name"] for row in (await user.get("/clusters/")).json()["items"]]}
    answers = [await user.post("/clusters/delete", json=bulk, headers={"Idempotency-Key": "bulk"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["succeeded"] == 2


async def test_a_bulk_of_several_transactions_is_remembered_part_by_part(api: Api) -> None:
    user = await api.user(quota_cpu=100, quota_memory="100Gi", quota_instances=200)
    cluster = await user.cluster("many", instance_count=120)
    ask: dict[str, Any] = {"json": {"operation": "stop"}, "headers": {"Idempotency-Key": "k" * 255}}
    first = await user.post("/clusters/many/operate", **ask)
    again = await user.post("/clusters/many/operate", **ask)
    assert (first.json()["succeeded"], first.json()["failed"]) == (120, 0)
    assert [item["id"] for item in first.json()["items"]] == [member["id"] for member in cluster["instances"]]
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    anew = await user.post("/clusters/many/operate", json={"operation": "stop"})
    assert (anew.json()["succeeded"], anew.json()["failed"]) == (0, 120)
