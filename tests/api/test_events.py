"""The stream of events over real HTTP: live, resumed without a loss, each tenant's own, ended with its token."""

import asyncio
import contextlib
import json
import socket
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn

from app import services
from app.models import Event
from app.store import events
from tests.api.running import Api, Caller

_SECONDS = 20


class Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@pytest.fixture(scope="module")
async def address(api: Api) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(api.app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
    server.should_exit = True
    await serving


@contextlib.asynccontextmanager
async def stream(address: str, caller: Caller, *, after: str | None = None, **query: str) -> AsyncIterator["Stream"]:
    headers = {"Authorization": f"Bearer {caller.token}"} | ({"Last-Event-ID": after} if after is not None else {})
    async with (
        httpx.AsyncClient(timeout=_SECONDS) as client,
        client.stream("GET", f"{address}/events/", headers=headers, params=query) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        following = Stream(answer)
        await following.comment()
        yield following


class Stream:
    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def comment(self) -> None:
        async with asyncio.timeout(_SECONDS):
            assert (await anext(self._lines)).startswith(":")
            assert await anext(self._lines) == ""

    async def next(self) -> tuple[str, str, dict[str, Any]]:
        """(id, kind, data) of the next event; comments are passed over. StopAsyncIteration at the end.

        That its user was made may be told before or after the stream began; it is passed over too.
        """
        fields: dict[str, str] = {}
        async with asyncio.timeout(_SECONDS):
            while True:
                line = await anext(self._lines)
                if line == "" and fields:
                    if fields["event"] != "user.created":
                        return fields["id"], fields["event"], json.loads(fields["data"])
                    fields = {}
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value

    async def ends(self, after: str) -> None:
        """Nothing comes any more but events of that kind, and then the end."""
        with contextlib.suppress(StopAsyncIteration):
            while True:
                _, kind, _ = await self.next()
                assert kind == after

    async def until(self, id: str) -> list[str]:
        """Ids, up to that one."""
        seen = [(await self.next())[0]]
        while seen[-1] != id:
            seen.append((await self.next())[0])
        return seen


async def test_what_happens_is_told_as_it_happens_and_as_the_history_shows_it(api: Api, address: str) -> None:
    user = await api.user()
    async with stream(address, user) as following:
        cluster = await user.cluster("told")
        id, kind, data = await following.next()
        assert (kind, data["cluster_name"], data["actor"]) == ("cluster.created", "told", user.name)
        assert data["operation_id"] == cluster["operation"]["id"]
        assert str(data["id"]) == id
        await user.post("/instances/told-instance-1/operate", json={"operation": "stop"})
        _, kind, data = await following.next()
        assert (kind, data["instance_name"], data["status"]) == ("operation.started", "told-instance-1", "stopping")
        await user.delete("/clusters/told")
        ended = [await following.next() for _ in range(3)]
        assert [kind for _, kind, _ in ended] == ["operation.finished"] * 2 + ["cluster.deleting"]
        last = ended[-1][2]
    history = (await user.get("/events/history")).json()["items"]
    assert history[0] == last
    assert [row["kind"] for row in history] == [
        "cluster.deleting",
        "operation.finished",
        "operation.finished",
        "operation.started",
        "cluster.created",
        "user.created",
    ]


async def test_no_tenant_sees_anothers_and_an_administrator_sees_all_when_asking(api: Api, address: str) -> None:
    one, two = await api.user(), await api.user()
    async with (
        stream(address, one) as ones,
        stream(address, two) as twos,
        stream(address, api.admin, everyones="true") as all_of_them,
    ):
        await one.cluster("of-one")
        await two.cluster("of-two")
        assert (await ones.next())[2]["cluster_name"] == "of-one"
        assert (await twos.next())[2]["cluster_name"] == "of-two"
        names = [(await all_of_them.next())[2]["cluster_name"] for _ in range(2)]
        assert names == ["of-one", "of-two"]
        await one.cluster("of-one-again")
        assert (await ones.next())[2]["cluster_name"] == "of-one-again"
    async with httpx.AsyncClient(timeout=_SECONDS) as client:
        for path in ("/events/?everyones=true", "/events/history?everyones=true"):
            refused = await client.get(address + path, headers={"Authorization": f"Bearer {one.token}"})
            assert refused.status_code == 403
        for header in ("x", "-1", "1.5", "9" * 20, "99999999999999999999", "１"):
            answer = await client.get(
                f"{address}/events/",
                headers={b"Authorization": f"Bearer {one.token}".encode(), b"Last-Event-ID": header.encode()},
            )
            assert answer.status_code == 422, header


async def test_after_a_break_nothing_is_missing(api: Api, address: str) -> None:
    user = await api.user()
    clusters = [await user.cluster() for _ in range(3)]
    async with stream(address, user, after="0") as following:
        first = [(await following.next())[0] for _ in range(2)]
    clusters += [await user.cluster() for _ in range(3)]
    told = (await user.get("/events/history?sort=created_at")).json()["items"]
    ids = [str(row["id"]) for row in told if row["kind"] != "user.created"]
    assert ids[:2] == first
    async with stream(address, user, after=first[-1]) as following:
        resumed = await following.until(ids[-1])
        assert set(resumed) >= set(ids[2:])
        assert sorted(set(resumed), key=int)[-5:] == ids[-5:]
        clusters.append(await user.cluster())
        assert (await following.next())[2]["cluster_name"] == clusters[-1]["name"]
    one = clusters[0]["id"]
    async with stream(address, user, after="0", cluster_id=one) as following:
        await user.delete(f"/clusters/{one}")
        kinds = [(await following.next())[1] for _ in range(3)]
        assert kinds == ["cluster.created", "operation.finished", "cluster.deleting"]


async def test_a_stream_ends_with_its_token_and_with_its_role(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.routers.events._ASK_AGAIN", 0.2)
    user, admin = await api.user(), await api.user(role="admin")
    async with stream(address, user) as following:
        await user.cluster()
        assert (await following.next())[1] == "cluster.created"
        fresh = (await user.post("/users/me/token")).json()["token"]
        await following.ends("user.token_rotated")
    now = api.caller(fresh, user.name, user.id)
    async with stream(address, now) as following:
        await api.admin.patch(f"/users/{user.name}", json={"disabled": True})
        await following.ends("user.changed")
    async with stream(address, admin, everyones="true") as following:
        await api.admin.patch(f"/users/{admin.name}", json={"role": "user"})
        await following.ends("user.changed")


async def test_nothing_is_told_to_a_token_that_was_revoked_a_while_ago(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await api.user()
    async with stream(address, user) as following:
        await api.admin.patch(f"/users/{user.name}", json={"disabled": True})
        assert (await following.next())[1] == "user.changed"
        monkeypatch.setattr("app.routers.events._ASK_AGAIN", 0.0)
        await tell(api, user, "secret")
        with pytest.raises(StopAsyncIteration):
            await following.next()


async def tell(api: Api, caller: Caller, message: str) -> None:
    async with api.database.transaction() as session:
        await events.add(session, kind="test.event", owner_id=uuid.UUID(caller.id), message=message)
    api.state.broadcaster.wake()


async def test_an_event_that_becomes_visible_late_is_told_late(api: Api, address: str) -> None:
    """Two transactions take their ids in one order and commit in the other: no stream may step over the first."""
    if api.database.dialect == "sqlite":
        return await told_in_order(api, address)
    user = await api.user()
    owner = uuid.UUID(user.id)
    async with stream(address, user) as following:
        async with api.database.transaction() as slow:
            await events.add(slow, kind="test.event", owner_id=owner, message="first, late")
            await tell(api, user, "second")
            second, _, data = await following.next()
            assert data["message"] == "second"
            async with stream(address, user, after=second) as resumed:
                await tell(api, user, "third")
                assert (await resumed.next())[2]["message"] in ("second", "third")
                async with api.database.reading() as session:
                    assert await events.latest_id(session) > int(second)
        assert {(await following.next())[2]["message"] for _ in range(2)} == {"third", "first, late"}
    async with stream(address, user, after=second) as resumed:
        messages = {(await resumed.next())[2]["message"] for _ in range(3)}
        assert messages == {"first, late", "second", "third"}, "an event may come twice, but none is skipped"
    return None


async def told_in_order(api: Api, address: str) -> None:
    """SQLite writes one transaction at a time: ids become visible in their order."""
    user = await api.user()
    async with stream(address, user) as following:
        await asyncio.gather(*(tell(api, user, str(number)) for number in range(20)))
        ids = [int((await following.next())[0]) for _ in range(20)]
        assert ids == sorted(ids)


async def test_a_process_that_starts_meanwhile_tells_what_was_under_way(api: Api) -> None:
    if api.database.dialect == "sqlite":
        pytest.skip("SQLite belongs to one process, and writes one transaction at a time")
    user = await api.user()
    owner = uuid.UUID(user.id)
    other = services.events.Broadcaster(api.database)
    async with api.database.transaction() as slow:
        await events.add(slow, kind="test.event", owner_id=owner, message="under way")
        await tell(api, user, "before the start")
        await other.open()
        running = asyncio.create_task(other.run())
    try:
        async with other.listening(owner) as listener, asyncio.timeout(_SECONDS):
            other.wake()
            row = await listener.next()
            assert row is not None
            assert row["message"] == "under way"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_was_rolled_back_is_not_waited_for_for_ever(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()
    with contextlib.suppress(KeyError):
        async with api.database.transaction() as session:
            await events.add(session, kind="test.event", owner_id=uuid.UUID(user.id), message="never")
            raise KeyError
    broadcaster = services.events.Broadcaster(api.database)
    await broadcaster.open()
    await tell(api, user, "after")
    await broadcaster._read()
    monkeypatch.setattr("app.services.events._LATE", -services.events._LATE)
    await broadcaster._read()
    assert broadcaster._gaps == {}
    async with api.database.reading() as session:
        kept = sa.select(sa.func.count()).select_from(Event).where(Event.message == "never")
        assert await session.scalar(kept) == 0
