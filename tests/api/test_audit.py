"""Who tried what: written before it is done, completed after, sealed so that no change goes unseen."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.database import Session
from app.models import AuditEntry, Platform
from app.reconciler import sweeps
from app.rules.sealing import Sealer
from tests.api.running import Api, Caller, handshake, wish


async def trail(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = await caller.get("/audit/", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_a_change_is_there_with_all_that_is_asked_of_it(api: Api) -> None:
    user = await api.user()
    made = await user.post("/clusters/", json=wish("audited"), headers={"X-Request-ID": f"r-{user.id}"})
    assert made.status_code == 201
    await api.state.audit.write()
    [entry] = await trail(user, method="POST")
    token = (await user.get("/tokens/")).json()["items"][0]
    assert entry["actor"] == user.name
    assert entry["actor_id"] == user.id
    assert (entry["credential_id"], entry["credential"]) == (token["id"], "bearer")
    assert (entry["address"], entry["path"]) == ("127.0.0.1", "/api/v1/clusters/")
    assert (entry["request_id"], entry["outcome"], entry["status"]) == (f"r-{user.id}", "done", 201)
    assert entry["finished_at"] >= entry["created_at"]
    assert entry["seq"] is not None


async def test_it_is_written_before_the_change(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()
    seen: list[str] = []

    async def looked(*_: Any, **__: Any) -> Any:
        async with api.database.reading() as session:
            mine = sa.select(AuditEntry.outcome).where(AuditEntry.actor_id == uuid.UUID(user.id))
            seen.extend((await session.execute(mine)).scalars())
        raise asyncio.CancelledError

    monkeypatch.setattr("app.services.tokens.create", looked)
    with pytest.raises(asyncio.CancelledError):
        await user.post("/tokens/", json={"name": "x"})
    assert seen == ["pending"]


async def test_those_that_begin_together_are_written_each_and_one_that_is_refused_harms_no_other(api: Api) -> None:
    entry = {"address": "127.0.0.1", "method": "POST", "path": "/x", "request_id": "begun"}
    wrong = entry | {"method": None}
    begun = [api.state.audit.begin(one) for one in (entry, entry, wrong, entry)]
    ids = await asyncio.gather(*begun, return_exceptions=True)
    assert [isinstance(id, uuid.UUID) for id in ids] == [True, True, False, True], ids
    async with api.database.reading() as session:
        there = (await session.execute(sa.select(AuditEntry.id).where(AuditEntry.request_id == "begun"))).scalars()
    assert set(there) == {id for id in ids if isinstance(id, uuid.UUID)}


async def test_refusals_are_there_with_and_without_a_name(api: Api) -> None:
    user, stranger = await api.user(), await api.user()
    cluster = await user.cluster()
    assert (await stranger.delete(f"/clusters/{cluster['id']}")).status_code == 404
    assert (await stranger.post("/users/", json={"username": "x"})).status_code == 403
    assert (await stranger.get("/users/")).status_code == 403
    narrow = (await stranger.post("/tokens/", json={"name": "narrow", "scopes": ["admin"]})).json()["token"]
    assert (await api.caller(narrow).get("/clusters/")).status_code == 403
    mark = {"X-Request-ID": f"n-{user.id}"}
    assert (await api.nobody.get("/clusters/", headers=mark)).status_code == 401
    dialog = await handshake(api.app, f"/api/v1/instances/{uuid.uuid4()}/console", {"X-Request-ID": f"w-{user.id}"})
    assert dialog.refusal is not None
    await api.state.audit.write()
    seen = [(one["method"], one["status"], one["outcome"]) for one in await trail(stranger, sort="created_at")]
    refused = [("DELETE", 404, "refused"), ("POST", 403, "refused"), ("GET", 403, "refused")]
    assert seen == [*refused, ("POST", 201, "done"), ("GET", 403, "refused")]
    for request_id, method in ((f"n-{user.id}", "GET"), (f"w-{user.id}", "WEBSOCKET")):
        [nobodys] = await trail(api.admin, everyones=True, request_id=request_id)
        assert (nobodys["actor"], nobodys["method"], nobodys["status"]) == (None, method, 401)


async def test_a_sign_in_that_fails_is_there_with_where_it_came_from(api: Api) -> None:
    transport = httpx.ASGITransport(api.app, client=("198.51.100.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://cmp", headers={"Origin": "http://cmp"}) as http:
        form = {"username": "nobody-here", "password": "canary of the sign-in"}
        page = await http.post("/login", data=form, headers={"X-Request-ID": "p-1"})
        program = await http.post(
            "/oauth/token", data={"grant_type": "password", **form}, headers={"X-Request-ID": "p-2"}
        )
    assert (page.status_code, program.status_code) == (401, 400)
    await api.state.audit.write()
    for request_id, path, status in (("p-1", "/login", 401), ("p-2", "/oauth/token", 400)):
        [entry] = await trail(api.admin, everyones=True, request_id=request_id)
        assert (entry["path"], entry["status"], entry["outcome"]) == (path, status, "refused")
        assert entry["address"] == "198.51.100.9"


async def test_one_sees_ones_own_and_operators_everybodys(api: Api) -> None:
    user, other = await api.user(), await api.user()
    operator = await api.user(role="operator")
    await user.post("/tokens/", json={"name": "x"})
    await api.state.audit.write()
    assert await trail(other) == []
    assert (await other.get("/audit/?everyones=true")).status_code == 403
    assert (await other.get("/audit/export?everyones=true")).status_code == 403
    assert (await other.get("/audit/verify")).status_code == 403
    assert len(await trail(operator, everyones=True, actor=user.name)) == 1
    now = datetime.now(UTC)
    assert await trail(user, until=(now - timedelta(hours=1)).isoformat()) == []
    assert len(await trail(user, since=(now - timedelta(hours=1)).isoformat())) == 1


async def test_the_export_has_every_line(api: Api) -> None:
    user = await api.user()
    for number in range(3):
        await user.post("/tokens/", json={"name": f"t{number}"})
    await api.state.audit.write()
    answer = await user.get("/audit/export?sort=created_at")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["path"] for line in lines] == ["/api/v1/tokens/"] * 3


async def test_no_secret_is_in_it(api: Api) -> None:
    user = await api.user()
    await user.put("/users/me/password", json={"password": "canary of the password"})
    made = (await user.post("/tokens/?canary=query", json={"name": "x"})).text
    await api.state.audit.write()
    async with api.database.reading() as session:
        kept = str((await session.execute(sa.select(*AuditEntry.__table__.columns))).all())
    assert "canary" not in kept
    assert user.token not in kept + made


@pytest.mark.parametrize("damage", ["changed", "removed", "the last removed", "another's seal"])
async def test_damage_is_found(api: Api, damage: str) -> None:
    user = await api.user()
    for number in range(4):
        await user.post("/tokens/", json={"name": f"t{number}"})
    await api.state.audit.write()
    await sealed(api)
    whole = (await api.admin.get("/audit/verify")).json()
    assert whole["broken_at"] is None
    assert whole["entries"] >= 4
    last = await api.database.run(lambda session: session.scalar(sa.select(Platform.audit_seq)))
    assert last is not None
    victim = last if damage == "the last removed" else last - 2
    row = AuditEntry.seq == victim
    async with api.database.reading() as session:
        before = dict((await session.execute(sa.select(*AuditEntry.__table__.columns).where(row))).mappings().one())
    spoil: dict[str, Any] = {
        "changed": sa.update(AuditEntry).where(row).values(actor="somebody-else"),
        "another's seal": sa.update(AuditEntry).where(row).values(chain=Sealer().chained("", "x")),
    }
    spoilt = spoil.get(damage, sa.delete(AuditEntry).where(row))
    await api.database.run(lambda session: session.execute(spoilt))
    assert (await api.admin.get("/audit/verify")).json()["broken_at"] in (victim, victim + 1)
    mended = sa.delete(AuditEntry).where(row), sa.insert(AuditEntry).values(**before)
    for statement in mended:
        await api.database.run(partial(_execute, statement))
    assert (await api.admin.get("/audit/verify")).json()["broken_at"] is None


async def test_several_processes_seal_one_chain(api: Api) -> None:
    others = [type(api.state.audit)(api.database) for _ in range(4)]
    entry = {"address": "192.0.2.1", "method": "POST", "path": "/", "request_id": "sealed-together"}
    for one in others:
        one.sealer = api.state.sealer
        for _ in range(5):
            one.note(entry, 401)
    await asyncio.gather(*(one.write() for one in others))
    await sealed(api)
    assert (await api.admin.get("/audit/verify")).json()["broken_at"] is None
    assert len(await trail(api.admin, everyones=True, request_id="sealed-together")) == 20


async def test_what_a_dead_process_began_ends_as_unknown_and_old_entries_go(api: Api) -> None:
    user = await api.user()
    entry = {"address": "192.0.2.1", "method": "POST", "path": "/", "request_id": f"d-{user.id}"}
    id = await api.state.audit.begin(entry | {"actor_id": uuid.UUID(user.id), "actor": user.name})
    long_ago = datetime.now(UTC) - timedelta(days=2)
    old = sa.update(AuditEntry).where(AuditEntry.id == id).values(created_at=long_ago)
    await api.database.run(lambda session: session.execute(old))
    await sweeps.prune(api.database, history_days=30, audit_days=365, idempotency_hours=24)
    await sealed(api)
    assert [one["outcome"] for one in await trail(user)] == ["unknown"]
    await sweeps.prune(api.database, history_days=30, audit_days=1, idempotency_hours=24)
    assert await trail(user) == []
    assert (await api.admin.get("/audit/verify")).json()["broken_at"] is None


async def _execute(statement: Any, session: Session) -> None:
    await session.execute(statement)


async def sealed(api: Api) -> None:
    while await api.database.run(api.state.audit._seal) is not None:
        """Until nothing is left."""
