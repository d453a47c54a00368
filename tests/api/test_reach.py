"""Streams to instances as far as they can go without Kubernetes: handshakes, limits, endings, the record.

What is at the other end is a program of a few lines that echoes.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.database import Session
from app.errors import WrongState
from app.models import Instance
from app.rules.reach import ENDED, Ending, Exec, Logs, Target, Usage, Way
from app.services import streams as service
from tests.api.running import Api, Caller, Dialog, checked, handshake, running_api
from tests.conftest import Databases

KINDS = ("sqlite",)
CHANNELS = ["v5.channel.k8s.io"]
EXEC = "exec?command=sh&command=a-secret"
WAYS = [
    ("container", EXEC),
    ("container", "port-forward/80"),
    ("vm", "console"),
    ("vm", "vnc"),
    ("vm", "port-forward/80"),
]


class Echo:
    """Says what it is told; after `end` it ends, and `stuck` it takes nothing."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.closed = False
        self._said: asyncio.Queue[bytes | Ending] = asyncio.Queue()

    async def receive(self) -> bytes | Ending:
        return await self._said.get()

    async def send(self, data: bytes) -> None:
        await self._said.put(ENDED if data.endswith(b"end") else data)

    async def close(self) -> None:
        self.closed = True


class EchoReach:
    def __init__(self) -> None:
        self.opened: list[Echo] = []
        self.logs_open = 0
        self.reading = asyncio.Event()
        self.refuses: str | None = None
        self.wanted: list[Logs] = []

    async def logs(self, target: Target, wanted: Logs) -> AsyncGenerator[bytes, None]:
        self.wanted.append(wanted)
        return self._lines(target, wanted)

    async def _lines(self, target: Target, wanted: Logs) -> AsyncGenerator[bytes, None]:
        self.logs_open += 1
        self.reading.set()
        try:
            yield f"{target.name}\n".encode()
            if wanted.follow:
                await asyncio.Event().wait()
        finally:
            self.logs_open -= 1

    async def open(self, target: Target, way: Way) -> Echo:
        if self.refuses:
            raise WrongState(self.refuses)
        self.opened.append(Echo(way))
        return self.opened[-1]

    async def screenshot(self, target: Target) -> bytes:
        return b"\x89PNG"

    async def usage(self, target: Target) -> Usage:
        return Usage(0.25, 12, datetime(2026, 11, 25, tzinfo=UTC), 15.0)


@asynccontextmanager
async def reaching(url: str, place: Any, **settings: Any) -> AsyncIterator[tuple[Api, EchoReach]]:
    async with running_api(url, place, **settings) as api:
        reach = EchoReach()
        api.state.reach = reach
        yield api, reach


@pytest.fixture
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Api, EchoReach]]:
    monkeypatch.setattr(service, "CHECK_SECONDS", 0.1)
    limits = {"streams_per_account": 3, "streams_per_process": 4}
    async with reaching(await databases.migrated(), tmp_path_factory.mktemp("data"), **limits) as made:
        yield made


async def running_instance(api: Api, owner: Caller, instance_type: str = "container", status: str = "running") -> str:
    cluster = await owner.cluster(instance_type=instance_type)
    name = str(cluster["instances"][0]["instance_name"])
    await becomes(api, name, status)
    return name


async def becomes(api: Api, name: str, status: str) -> None:
    async def once(session: Session) -> None:
        await session.execute(sa.update(Instance).where(Instance.instance_name == name).values(status=status))

    await api.database.run(once)


async def dial(owner: Caller, instance: str, way: str, **headers: str) -> Dialog:
    path, _, query = way.partition("?")
    sent = {"authorization": f"Bearer {owner.token}"} | headers
    return await handshake(owner.app, f"/api/v1/instances/{instance}/{path}", sent, query, CHANNELS)


async def refused(owner: Caller, instance: str, way: str, **headers: str) -> httpx.Response:
    dialog = await dial(owner, instance, way, **headers)
    assert dialog.refusal is not None, f"{way} was opened"
    await checked(dialog.refusal)
    return dialog.refusal


async def recorded(owner: Caller, count: int) -> list[dict[str, Any]]:
    """The record of streams, oldest first, once there are so many."""
    for _ in range(200):
        found = (await owner.get("/events/history", params={"sort": "created_at"})).json()["items"]
        mine = [event for event in found if event["kind"].startswith("access.")]
        if len(mine) >= count:
            return mine
        await asyncio.sleep(0.02)
    raise AssertionError(f"not {count} of them: {mine}")


@pytest.mark.parametrize(("kind", "way"), WAYS)
async def test_both_directions_and_the_record(world: tuple[Api, EchoReach], kind: str, way: str) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada, kind)
    dialog = await dial(ada, name, way)
    assert dialog.protocol == ("v5.channel.k8s.io" if way == EXEC else None)
    await dialog.send(b"\0hello")
    assert await dialog.receive() == b"\0hello"
    await dialog.send(b"\0end")
    assert await dialog.closed() == (1000, "It came to its end.")
    assert reach.opened[-1].closed
    opened, closed = await recorded(ada, 2)
    assert (opened["kind"], closed["kind"]) == ("access.opened", "access.closed")
    assert {event["actor"] for event in (opened, closed)} == {ada.name}
    assert {event["instance_name"] for event in (opened, closed)} == {name}
    assert opened["request_id"] == closed["request_id"] != ""
    assert closed["reason"] == "ended"
    assert "10 bytes in, 6 bytes out" in closed["message"]
    assert "a-secret" not in str([opened, closed])


@pytest.mark.parametrize("kind", ["container", "vm"])
@pytest.mark.parametrize("status", ["pending", "starting", "stopping", "stopped", "suspending", "suspended", "failed"])
async def test_what_does_not_run_is_not_entered(world: tuple[Api, EchoReach], kind: str, status: str) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada, kind, status)
    for way in [way for of, way in WAYS if of == kind]:
        answer = await refused(ada, name, way)
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        assert answer.json()["current_status"] == status
        if status in ("suspended", "suspending"):
            assert "resume it first" in answer.json()["detail"]
        shown = (await ada.get(f"/instances/{name}")).json()["capabilities"]
        assert shown["exec"] is shown["console"] is shown["vnc"] is shown["port_forward"] is False
    readable = (await ada.get(f"/instances/{name}/logs")).status_code == 200
    assert readable is (status not in ("pending", "stopped"))
    assert not reach.opened


async def test_what_a_kind_never_has(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    container, machine = await running_instance(api, ada), await running_instance(api, ada, "vm")
    for name, way, instead in (
        (container, "console", "exec"),
        (container, "vnc", "exec"),
        (machine, EXEC, "console"),
    ):
        answer = await refused(ada, name, way)
        assert (answer.status_code, answer.json()["code"], instead in answer.json()["detail"]) == (
            409,
            "unsupported",
            True,
        )


async def test_one_that_is_being_deleted_is_not_entered(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    await ada.delete(f"/clusters/{name.removesuffix('-instance-1')}")
    answer = await refused(ada, name, EXEC)
    assert (answer.status_code, answer.json()["detail"]) == (409, "It is being deleted.")


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("exec", 422),
        ("exec?command=sh&unknown=1", 422),
        ("exec?command=sh&tty=perhaps", 422),
        ("port-forward/0", 422),
        ("port-forward/65536", 422),
        ("port-forward/http", 422),
        ("port-forward/80?x=1", 422),
        ("nothing", 404),
    ],
)
async def test_what_makes_no_sense(world: tuple[Api, EchoReach], way: str, status: int) -> None:
    api, _ = world
    ada = await api.user()
    answer = await refused(ada, await running_instance(api, ada), way)
    assert answer.status_code == status, answer.text
    assert "unknown" not in answer.text
    assert "perhaps" not in answer.text


async def test_exec_needs_its_protocol(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    sent = {"authorization": f"Bearer {ada.token}"}
    dialog = await handshake(ada.app, f"/api/v1/instances/{name}/exec", sent, "command=sh", ["v4.channel.k8s.io"])
    assert dialog.refusal is not None
    assert (dialog.refusal.status_code, CHANNELS[0] in dialog.refusal.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://cmp.evil.example", 403),
        ("http://cmp:8080", 403),
        ("https://cmp", 101),
        ("http://cmp", 101),
        ("https://console.example", 101),
    ],
)
async def test_pages_of_other_sites(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, origin: str, status: int
) -> None:
    origins = {"cors_origins": ["https://console.example"]}
    async with reaching(await databases.migrated(), tmp_path_factory.mktemp("data"), **origins) as (api, _):
        ada = await api.user()
        dialog = await dial(ada, await running_instance(api, ada), EXEC, origin=origin)
        assert (dialog.refusal.status_code if dialog.refusal else 101) == status
        if dialog.refusal is None:
            await dialog.leave()


async def test_messages_that_are_none(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    for bad in (b"", b"\1out", b"\3status", b"\7"):
        dialog = await dial(ada, name, EXEC)
        await dialog.send(bad)
        assert (await dialog.closed())[0] == 1003
    dialog = await dial(ada, name, "port-forward/80")
    await dialog.send_text("words")
    assert await dialog.closed() == (1003, "Only binary messages are taken here.")


async def test_as_many_as_there_may_be(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada, bob = await api.user(), await api.user()
    name, other = await running_instance(api, ada), await running_instance(api, bob)
    mine = [await dial(ada, name, EXEC) for _ in range(3)]
    for answer in (await refused(ada, name, EXEC), await ada.get(f"/instances/{name}/logs")):
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    theirs = await dial(bob, other, EXEC)
    assert "as many streams open as it may" in (await refused(bob, other, EXEC)).json()["detail"]
    await mine[0].leave()
    again = await dial(ada, name, EXEC)
    for dialog in (*mine[1:], again, theirs):
        await dialog.leave()
    assert (await ada.get(f"/instances/{name}/logs")).status_code == 200


async def test_a_refusal_by_kubernetes_is_recorded(world: tuple[Api, EchoReach]) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada)
    reach.refuses = "It is suspended: resume it first."
    assert (await refused(ada, name, EXEC)).json()["detail"] == reach.refuses
    _, closed = await recorded(ada, 2)
    assert (closed["reason"], reach.refuses in closed["message"]) == ("refused", True)


@pytest.mark.parametrize("status", ["suspending", "suspended"])
async def test_suspending_ends_what_is_open_but_logs(world: tuple[Api, EchoReach], status: str) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    dialog = await dial(ada, name, EXEC)
    await becomes(api, name, status)
    assert await dialog.closed() == (4002, "The instance is suspended: resume it, then connect again.")
    assert (await recorded(ada, 2))[1]["reason"] == "suspended"
    assert (await ada.get(f"/instances/{name}/logs")).status_code == 200


async def test_a_replaced_token_and_a_disabled_user_end_what_they_opened(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada, bob = await api.user(), await api.user()
    first, second = await running_instance(api, ada), await running_instance(api, bob)
    theirs = await dial(ada, first, EXEC), await dial(bob, second, EXEC)
    await ada.post("/users/me/token")
    await api.admin.patch(f"/users/{bob.name}", json={"disabled": True})
    for dialog in theirs:
        assert (await dialog.closed())[0] == 4004


async def test_an_instance_that_is_gone_ends_its_streams(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    dialog = await dial(ada, name, EXEC)

    async def once(session: Session) -> None:
        await session.execute(sa.delete(Instance).where(Instance.instance_name == name))

    await api.database.run(once)
    assert await dialog.closed() == (4003, "There is no such instance any more.")


@pytest.mark.parametrize(
    ("limit", "code", "outcome"), [("stream_idle_seconds", 4000, "idle"), ("stream_lifetime_seconds", 4001, "lifetime")]
)
async def test_what_is_silent_or_old_ends(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, limit: str, code: int, outcome: str
) -> None:
    async with reaching(await databases.migrated(), tmp_path_factory.mktemp("data"), **{limit: 0.3}) as (api, _):
        ada = await api.user()
        dialog = await dial(ada, await running_instance(api, ada), EXEC)
        assert (await dialog.closed())[0] == code
        assert (await recorded(ada, 2))[1]["reason"] == outcome


async def test_the_process_ends(world: tuple[Api, EchoReach]) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada)
    dialog = await dial(ada, name, EXEC)
    following = asyncio.create_task(ada.get(f"/instances/{name}/logs", params={"follow": True}))
    await reach.reading.wait()
    api.state.streams.end()
    assert await dialog.closed() == (1001, "This CMP process is ending: connect again.")
    assert (await following).text == f"{name}\n"
    assert reach.logs_open == 0
    late = await dial(ada, name, EXEC)
    assert late.refusal is not None
    assert late.refusal.status_code == 503


async def test_what_of_a_log_is_wanted_is_handed_on(world: tuple[Api, EchoReach]) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada)
    query: dict[str, str | int] = {
        "previous": True,
        "timestamps": True,
        "tail": 5,
        "since_time": "2026-11-25T18:00:00+01:00",
    }
    answer = await ada.get(f"/instances/{name}/logs", params=query)
    assert (answer.text, answer.headers["content-type"]) == (f"{name}\n", "text/plain; charset=utf-8")
    since = datetime.fromisoformat("2026-11-25T18:00:00+01:00")
    assert reach.wanted == [Logs(previous=True, timestamps=True, tail=5, since_time=since)]
    both = "since_seconds=5&since_time=2026-11-25T18:00:00Z"
    for bad in ("tail=-1", "since_seconds=0", "since_time=2026-11-25T18:00:00", "lines=5", both):
        assert (await ada.get(f"/instances/{name}/logs?{bad}")).status_code == 422


async def test_a_command_is_handed_on_word_by_word(world: tuple[Api, EchoReach]) -> None:
    api, reach = world
    ada = await api.user()
    dialog = await dial(ada, await running_instance(api, ada), "exec?command=sh&command=-c&command=a%20%26b&tty=true")
    assert reach.opened[-1].way == Exec(("sh", "-c", "a &b"), tty=True, stdin=False)
    await dialog.leave()


async def test_usage_and_screen(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    machine = await running_instance(api, ada, "vm")
    assert (await ada.get(f"/instances/{machine}/usage")).json() == {
        "cpu": 0.25,
        "memory": 12,
        "timestamp": "2026-11-25T00:00:00Z",
        "window_seconds": 15.0,
        "source": "metrics.k8s.io",
    }
    picture = await ada.get(f"/instances/{machine}/screenshot")
    assert (picture.headers["content-type"], picture.content) == ("image/png", b"\x89PNG")


async def test_a_process_that_knows_no_kubernetes_says_so(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    api.state.reach = None
    for answer in (await refused(ada, name, EXEC), await ada.get(f"/instances/{name}/logs")):
        assert (answer.status_code, answer.json()["code"]) == (409, "unsupported")
        assert "CMP_KUBERNETES" in answer.json()["detail"]
