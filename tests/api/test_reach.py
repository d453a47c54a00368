"""Streams to instances as far as they can go without Kubernetes: handshakes, refusals, what is handed on, the record.

What is at the other end is a program of a few lines that echoes.
"""

from datetime import datetime

import pytest

from app.rules.reach import Exec, Logs
from tests.api.echo import CHANNELS, EXEC, WAYS, EchoReach, dial, reaching, recorded, refused, running_instance
from tests.api.running import Api, handshake
from tests.conftest import Databases

KINDS = ("sqlite",)


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
        ("exec?command=sh&command=%00", 422),
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


async def test_who_asks_without_an_upgrade_is_told_so(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    for way in ("exec", "port-forward/80", "console", "vnc"):
        answer = await ada.get(f"/instances/anything/{way}")
        assert (answer.status_code, answer.json()["code"]) == (426, "upgrade_required")
        assert answer.headers["upgrade"] == "websocket"


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
