"""Real virtual machines reached through CMP with the rights that deploy/ gives it: console, screen, ports, log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from testbed.kubevirt import guest, images
from testbed.terminal import Terminal
from tests.e2e.platform import Platform, eventually, user
from tests.e2e.sockets import CHANNELS, Streams, heard, until
from tests.e2e.terminals import with_cmpctl

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]

VM = "reached-instance-1"
SIZE = {"instance_type": "vm", "instance_count": 1, "cpu_per_instance": 1, "memory_per_instance": 256}
COUNTER = b"GET /counter HTTP/1.0\r\n\r\n"


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a virtual machine whose guest says on its console that it is ready."""
    async with user(platform, "reach", quota_cpu=8, quota_memory="8Gi") as client:
        client.timeout = httpx.Timeout(300)
        body = {"name": "reached", "image": images.GUEST_DISK, **SIZE}
        made = await client.post("/clusters/", params={"wait": 240}, json=body)
        assert made.json()["phase"] == "running", made.text
        yield client
        await client.delete("/clusters/reached", params={"wait": 120})


@pytest.fixture(scope="module")
def streams(platform: Platform, ada: httpx.AsyncClient) -> Streams:
    return Streams(platform.url, ada.headers["Authorization"].removeprefix("Bearer "))


async def test_its_log_is_what_it_says_on_its_console(ada: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        answer = await ada.get(f"/instances/{VM}/logs", params={"tail": 1000})
        return answer.status_code == 200 and guest.READY in answer.text

    await eventually(ready, "the guest booted, and its log says so", 120)


async def test_its_console_answers(streams: Streams) -> None:
    async with streams.open(f"{VM}/console") as connection:
        await _answers(connection, b"echo $((6 * 7))-from-inside\n", b"42-from-inside")


async def test_who_opens_a_console_takes_it_over(streams: Streams) -> None:
    async with streams.open(f"{VM}/console") as first, streams.open(f"{VM}/console") as second:
        ended = await heard(first)
        assert ended.code == 1000, ended
        await _answers(second, b"echo $((6 * 7))-again\n", b"42-again")


async def test_cmpctl_at_its_console_and_its_port(ada: httpx.AsyncClient, platform: Platform, tmp_path: Path) -> None:
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    with with_cmpctl(tmp_path, CMPCTL_URL=platform.url, CMPCTL_TOKEN=token) as terminal:
        terminal.type("clear; cmpctl console reached")
        terminal.seen("Ctrl-] leaves.")
        _answers_there(terminal, "echo $((6 * 7))-from-a-terminal", "42-from-a-terminal")
        terminal.press("C-]")
        terminal.done()
        asked = r"printf 'GET /counter HTTP/1.0\r\n\r\n'"
        # ssh's ProxyCommand is this: a port on stdin and stdout.
        said = terminal.run(f"({asked}; sleep 3) | cmpctl -q port-forward --stdio reached 80")
        assert "HTTP/1" in said
        printed = "".join(terminal.run("cmpctl ssh --print root@reached").split())  # wrapped wherever the paths end
        assert "-mcmpctl.main-qport-forward--stdio" in printed


async def test_its_screen(streams: Streams, ada: httpx.AsyncClient) -> None:
    async with streams.open(f"{VM}/vnc") as connection:
        assert (await until(connection, b"RFB 003.008\n")).startswith(b"RFB 003.008\n")
        refused = await streams.refused(f"{VM}/vnc")
        assert (refused.status, "preserve_session=false" in refused.problem["detail"]) == (409, True), refused
        async with streams.open(f"{VM}/vnc?preserve_session=false") as other:
            await until(other, b"RFB")
            await heard(connection)
    picture = await ada.get(f"/instances/{VM}/screenshot")
    assert picture.status_code == 200, picture.text
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")


async def test_its_web_server(streams: Streams) -> None:
    assert await _counter(streams) > 0
    refused = await streams.refused(f"{VM}/port-forward/81")
    assert (refused.status, "Nothing answers on port 81" in refused.problem["detail"]) == (409, True), refused


async def test_commands_are_for_containers(streams: Streams) -> None:
    refused = await streams.refused(f"{VM}/exec?command=ls", protocol=CHANNELS)
    assert (refused.status, "console" in refused.problem["detail"]) == (409, True)


async def test_suspended_it_is_not_entered_and_resumed_it_goes_on(streams: Streams, ada: httpx.AsyncClient) -> None:
    before = await _counter(streams)
    async with streams.open(f"{VM}/console") as connection:
        await _operate(ada, "suspend")
        ended = await heard(connection)
    assert (ended.code, ended.why) == (4002, "The instance is suspended: resume it, then connect again.")
    for way in ("console", "vnc", "port-forward/80"):
        refused = await streams.refused(f"{VM}/{way}")
        assert (refused.status, refused.problem["detail"]) == (409, "It is suspended: resume it first.")
    await _operate(ada, "resume")
    assert await _counter(streams) >= before, "the guest's memory was kept"


async def test_stopped_it_is_not_entered(streams: Streams, ada: httpx.AsyncClient) -> None:
    async with streams.open(f"{VM}/console") as connection:
        stopping = asyncio.create_task(_operate(ada, "stop"))
        ended = await heard(connection)
        await stopping
    assert ended.code == 1000, ended
    for way in ("console", "vnc", "port-forward/80"):
        refused = await streams.refused(f"{VM}/{way}")
        assert (refused.status, refused.problem["detail"]) == (409, "It is stopped: start it first.")


async def _answers(connection: ClientConnection, asked: bytes, wanted: bytes) -> None:
    """A shell that is still starting hears nothing: asked again until it answers."""
    seen = b""
    async with asyncio.timeout(60):
        while wanted not in seen:
            await connection.send(asked)
            try:
                async with asyncio.timeout(2):
                    seen = await until(connection, wanted)
            except TimeoutError:
                continue


def _answers_there(terminal: Terminal, asked: str, wanted: str) -> None:
    """As `_answers`, by keys."""
    for _ in range(11):
        terminal.type(asked)
        with contextlib.suppress(AssertionError):
            terminal.seen(wanted, 5)
            return
    terminal.seen(wanted, 5)


async def _counter(streams: Streams) -> int:
    found: list[bytes] = []

    async def look() -> bool:
        async with streams.open(f"{VM}/port-forward/80") as connection:
            await connection.send(COUNTER)
            found.append((await heard(connection)).out)
        return b"200 OK" in found[-1]

    await eventually(look, "the guest's web server answers", 60)
    return int(found[-1].split(b"\r\n\r\n")[1])


async def _operate(client: httpx.AsyncClient, operation: str) -> None:
    answer = await client.post(f"/instances/{VM}/operate", params={"wait": 150}, json={"operation": operation})
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
