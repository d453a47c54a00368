"""Real containers reached through CMP's API with the rights that deploy/ gives it: logs, commands, ports."""

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from testbed.node import images
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import Platform, eventually, user
from tests.e2e.sockets import END_OF_INPUT, Said, Streams, heard, until

pytestmark = pytest.mark.node

SIZE = {"instance_type": "container", "instance_count": 1, "cpu_per_instance": "100m", "memory_per_instance": 64}
BOX = "box-instance-1"
# The first process of a container is not ended by a signal that it does not handle.
IDLE = "trap 'exit 0' TERM; sleep 1000 & wait"
MIB = 2**20
DATA = os.urandom(10 * MIB)
# What is under way in sockets and queues on the way, and then some; the data is much more.
ROOM = 16 * MIB


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a web server that has a shell beside it."""
    async with user(platform, "reach", quota_cpu=8, quota_memory="8Gi") as client:
        await _create(client, "box", image=images.WEB)
        yield client
        for cluster in (await client.get("/clusters/")).json()["items"]:
            await client.delete(f"/clusters/{cluster['id']}", params={"wait": 60})


@pytest.fixture(scope="module")
def streams(platform: Platform, ada: httpx.AsyncClient) -> Streams:
    return Streams(platform.url, ada.headers["Authorization"].removeprefix("Bearer "))


async def test_logs(ada: httpx.AsyncClient) -> None:
    script = f"for n in 1 2 3; do echo line $n; done; sleep 2; echo late; {IDLE}"
    await _create(ada, "talks", image=images.BUSYBOX, container={"args": ["sh", "-c", script]})

    async def read(**query: str | int | bool) -> str:
        answer = await ada.get("/instances/talks-instance-1/logs", params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def late() -> bool:
        return "late" in await read()

    await eventually(late, "everything was said")
    assert (await read()).splitlines() == ["line 1", "line 2", "line 3", "late"]
    assert await read(tail=2) == "line 3\nlate\n"
    assert await read(tail=0) == ""
    stamped = (await read(timestamps=True)).splitlines()
    times = [datetime.fromisoformat(line.split()[0]) for line in stamped]
    assert await read(since_time=(times[-1] - timedelta(milliseconds=100)).isoformat()) == "late\n"
    assert await read(since_time=(datetime.now(UTC) + timedelta(seconds=1)).isoformat()) == ""
    assert len((await read(since_seconds=3600)).splitlines()) == 4
    await ada.delete("/clusters/talks", params={"wait": 60})


async def test_the_log_of_the_run_that_crashed(ada: httpx.AsyncClient) -> None:
    script = "echo run $(busybox date +%s); sleep 1; exit 3"
    answer = await ada.post(
        "/clusters/",
        json={"name": "crashes", "image": images.BUSYBOX, "container": {"args": ["sh", "-c", script]}, **SIZE},
    )
    assert answer.status_code == 201, answer.text

    async def restarted() -> bool:
        return bool((await ada.get("/instances/crashes-instance-1")).json()["restarts"] >= 1)

    await eventually(restarted, "it crashed and runs again")
    previous = await ada.get("/instances/crashes-instance-1/logs", params={"previous": True})
    assert previous.status_code == 200, previous.text
    assert re.fullmatch(r"run \d+\n", previous.text)
    first = await ada.get(f"/instances/{BOX}/logs", params={"previous": True})
    assert (first.status_code, "previous terminated container" in first.json()["detail"]) == (409, True)
    await ada.delete("/clusters/crashes", params={"wait": 60})


async def test_a_followed_log_ends_with_the_pod_and_a_quiet_one_begins_at_once(
    ada: httpx.AsyncClient, streams: Streams
) -> None:
    await _create(ada, "quiet", image=images.BUSYBOX, container={"args": ["sh", "-c", IDLE]})
    lines: list[str] = []
    async with ada.stream("GET", "/instances/quiet-instance-1/logs", params={"follow": True}) as answer:
        assert answer.status_code == 200
        said = await streams.run("quiet-instance-1", "sh", "-c", "echo to the log > /proc/1/fd/1")
        assert said.exit_code == 0, said
        following = answer.aiter_lines()
        lines.append(await anext(following))
        ending = asyncio.create_task(ada.delete("/clusters/quiet", params={"wait": 60}))
        lines += [line async for line in following]
        await ending
    assert lines == ["to the log"]


async def test_who_stops_following_is_not_followed_any_more(
    platform: Platform, ada: httpx.AsyncClient, eyes: KubeEyes
) -> None:
    await ada.get(f"/instances/{BOX}/logs")
    before = _sockets(platform)
    async with ada.stream("GET", f"/instances/{BOX}/logs", params={"follow": True}) as answer:
        await anext(answer.aiter_lines())
        assert _sockets(platform) > before

    async def let_go() -> bool:
        return _sockets(platform) <= before

    await eventually(let_go, "the connection to Kubernetes is closed too", 10)


async def test_commands_and_their_ends(streams: Streams) -> None:
    said = await streams.run(BOX, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (said.out, said.err, said.exit_code) == (b"out\n", b"err\n", 7)
    assert (said.code, said.why) == (1000, "The command ended with exit code 7.")
    assert (await streams.run(BOX, "cat", "/etc/hostname")).out == f"{BOX}\n".encode()
    killed = await streams.run(BOX, "sh", "-c", "kill -9 $$")
    assert killed.exit_code == 137
    missing = await streams.run(BOX, "no-such-program")
    assert "executable file not found" in missing.status["message"]
    odd = "two words & 'quotes' ünï"
    assert (await streams.run(BOX, "busybox", "printf", "%s", odd)).out.decode() == odd


async def test_a_terminal_and_its_size(streams: Streams) -> None:
    async with streams.exec(BOX, "sh", tty=True, stdin=True) as connection:
        for width, height in ((123, 45), (80, 24)):
            await connection.send(b'\x04{"Width":%d,"Height":%d}' % (width, height))
            await _types(connection, f"{height} {width}\r\n".encode())
        await connection.send(b"\0exit 3\n")
        assert (await heard(connection, channels=True)).exit_code == 3


async def test_input_ends_when_it_is_closed(streams: Streams) -> None:
    async with streams.exec(BOX, "cat", stdin=True) as connection:
        await connection.send(b"\0hello")
        await until(connection, b"hello")
        await connection.send(END_OF_INPUT)
        assert (await heard(connection, channels=True)).exit_code == 0


async def test_ten_megabytes_through_a_command_and_a_slow_reader(platform: Platform, streams: Streams) -> None:
    with _memory_within(platform, ROOM):
        async with streams.exec(BOX, "cat", stdin=True) as connection:
            sending = asyncio.create_task(_feed(connection, b"\0"))
            said = await _slowly(connection)
            await sending
    assert (said.out == DATA, said.exit_code) == (True, 0), (len(said.out), said)


async def test_ten_megabytes_into_a_command(streams: Streams) -> None:
    async with streams.exec(BOX, "busybox", "sha256sum", stdin=True) as connection:
        await _feed(connection, b"\0")
        said = await heard(connection, channels=True)
    assert said.out.split()[0].decode() == hashlib.sha256(DATA).hexdigest()


async def test_what_is_not_read_waits_in_the_instance(platform: Platform, streams: Streams) -> None:
    """A command that says ever more, and nobody who listens; and one that is told ever more, and does not listen."""
    with _memory_within(platform, ROOM):
        async with streams.exec(BOX, "busybox", "yes"), streams.exec(BOX, "sleep", "30", stdin=True) as deaf:
            with contextlib.suppress(TimeoutError):  # how much of it Kubernetes takes in is its own matter
                async with asyncio.timeout(5):
                    await _feed(deaf, b"\0")
            assert (await streams.run(BOX, "busybox", "true")).exit_code == 0, "others are not kept waiting"
    # Kubernetes leaves commands running when their stream ends.
    await streams.run(BOX, "sh", "-c", "kill $(busybox pidof busybox sleep)")


async def test_a_web_server_through_its_port(streams: Streams) -> None:
    path = f"{BOX}/port-forward/80"
    async with streams.open(path) as first, streams.open(path) as second, streams.open(path) as third:
        counted = []
        for connection in (first, second, third, first, second, third):
            await connection.send(b"GET /counter HTTP/1.1\r\nHost: box\r\n\r\n")
            answer = await until(connection, b"\r\n\r\n")
            while answer.endswith(b"\r\n\r\n"):
                answer += await _message(connection)
            counted.append(int(answer.split(b"\r\n\r\n")[1]))
    assert counted == list(range(counted[0], counted[0] + 6))
    async with streams.open(path) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n")
        said = await heard(connection)
    assert said.out.endswith(f"hello from {BOX}\n".encode())
    assert (said.code, said.why) == (1000, "It came to its end.")


async def test_a_port_that_nobody_listens_on(streams: Streams) -> None:
    async with streams.open(f"{BOX}/port-forward/81") as connection:
        said = await heard(connection)
    assert (said.code, said.why) == (4006, "Nothing listens on port 81 of the instance.")


async def test_ten_megabytes_through_a_port_and_a_slow_reader(platform: Platform, streams: Streams) -> None:
    async with streams.exec(BOX, "busybox", "nc", "-ll", "-p", "7000", "-e", "cat"):

        async def listening() -> bool:
            said = await streams.run(BOX, "busybox", "netstat", "-ltn")
            return b":7000" in said.out

        await eventually(listening, "the echo listens", 10)
        with _memory_within(platform, ROOM):
            async with streams.open(f"{BOX}/port-forward/7000") as connection:
                sending = asyncio.create_task(_feed(connection, b""))
                got = bytearray()
                while len(got) < len(DATA):
                    got += await _message(connection)
                    await asyncio.sleep(0.001)
                await sending
        assert bytes(got) == DATA
    await streams.run(BOX, "sh", "-c", "kill $(busybox pidof nc)")


async def test_a_pod_that_is_killed_ends_its_streams(ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes) -> None:
    made = await _create(ada, "dies", image=images.WEB)
    name = "dies-instance-1"
    async with (
        streams.exec(name, "cat", stdin=True) as command,
        streams.open(f"{name}/port-forward/80") as port,
        ada.stream("GET", f"/instances/{name}/logs", params={"follow": True}) as log,
    ):
        eyes.delete(f"/api/v1/namespaces/{made['namespace']}/pods/{name}?gracePeriodSeconds=0")
        ended = await heard(command, channels=True)
        assert ended.code in (1000, 4005), ended
        forwarded = await heard(port)
        assert forwarded.code in (1000, 4005, 4006), forwarded
        async for _ in log.aiter_lines():
            pass
    await ada.delete("/clusters/dies", params={"wait": 60})


async def test_the_process_ends_at_once_with_streams_open(
    platform: Platform, streams: Streams, ada: httpx.AsyncClient
) -> None:
    async with (
        streams.exec(BOX, "cat", stdin=True) as command,
        streams.open(f"{BOX}/port-forward/80") as port,
        streams.exec(BOX, "busybox", "yes") as unread,
        ada.stream("GET", f"/instances/{BOX}/logs", params={"follow": True}) as log,
    ):
        await anext(log.aiter_lines())
        assert platform.api is not None
        platform.api.send_signal(signal.SIGINT)
        for ended in await asyncio.gather(heard(command, channels=True), heard(port)):
            assert (ended.code, ended.why) == (1001, "This CMP process is ending: connect again.")
        started = time.monotonic()
        assert await asyncio.to_thread(platform.api.wait, 20) == 0
        print(f"the API process ended {time.monotonic() - started:.1f} s after its streams")
        await unread.close()
    assert "Traceback" not in platform.log("api", 200)
    platform.start_api()


async def test_every_stream_was_recorded(ada: httpx.AsyncClient) -> None:
    found = (await ada.get("/events/history", params={"limit": 500})).json()["items"]
    kinds: dict[str, int] = {}
    for event in found:
        if event["kind"].startswith("access."):
            kinds[event["request_id"]] = kinds.get(event["request_id"], 0) + (1 if "opened" in event["kind"] else -1)
    assert len(kinds) > 20
    assert set(kinds.values()) == {0}, "each opening has its end"


async def _create(client: httpx.AsyncClient, name: str, **fields: object) -> dict[str, str]:
    made = await client.post("/clusters/", params={"wait": 60}, json={"name": name, **SIZE, **fields})
    assert made.json()["phase"] == "running", made.text
    return dict(made.json())


async def _types(connection: ClientConnection, wanted: bytes) -> None:
    """Asks for the terminal's size until it is as wanted: a resize has no answer of its own."""

    async def asked() -> bool:
        await connection.send(b"\0busybox stty size\n")
        return wanted in await until(connection, b"\r\n")

    await eventually(asked, wanted.decode(), 10)


async def _message(connection: ClientConnection) -> bytes:
    message = await connection.recv()
    assert isinstance(message, bytes)
    return message


async def _feed(connection: ClientConnection, channel: bytes) -> None:
    for at in range(0, len(DATA), 32 * 1024):
        await connection.send(channel + DATA[at : at + 32 * 1024])
    if channel:
        await connection.send(END_OF_INPUT)


async def _slowly(connection: ClientConnection) -> Said:
    """Half of it with a pause after each message, the rest as fast as it comes."""
    out = bytearray()
    while len(out) < len(DATA) // 2:
        message = await _message(connection)
        assert message[0] == 1
        out += message[1:]
        await asyncio.sleep(0.01)
    said = await heard(connection, channels=True)
    said.out = bytes(out) + said.out
    return said


class _memory_within:
    def __init__(self, platform: Platform, most: int) -> None:
        self._platform = platform
        self._most = most

    def __enter__(self) -> None:
        self._before = _peak(self._platform)

    def __exit__(self, kind: object, *_: object) -> None:
        grown = _peak(self._platform) - self._before
        print(f"the API's memory grew by {grown / MIB:.1f} MiB")
        assert kind is not None or grown < self._most, grown


def _peak(platform: Platform) -> int:
    """The most memory that the API process ever had, in bytes."""
    assert platform.api is not None
    status = Path(f"/proc/{platform.api.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def _sockets(platform: Platform) -> int:
    assert platform.api is not None
    folder = Path(f"/proc/{platform.api.pid}/fd")
    return sum(os.readlink(entry).startswith("socket:") for entry in folder.iterdir() if entry.is_symlink())
