"""Reaching instances through CMP as processes, on the simulator: every way in, every refusal, every ending."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.platform import Platform, eventually, running, simulator, user
from tests.e2e.sockets import CHANNELS, END_OF_INPUT, Streams, heard, until

CONTAINER = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 64}
MACHINE = {"instance_type": "vm", "cpu_per_instance": 1, "memory_per_instance": "1Gi"}
BOX, VM = "box-instance-1", "vm-instance-1"
HTTP = b"GET / HTTP/1.1\r\nHost: instance\r\n\r\n"


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture(scope="module", params=["embedded", "separate"])
def platform(
    request: pytest.FixtureRequest, kubernetes: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """With a worker of its own the API process has no caches; that needs a database that two processes can share."""
    url = None
    if request.param == "separate":
        url = request.getfixturevalue("postgresql").create_database("reach")
    place = tmp_path_factory.mktemp("platform")
    with running(Platform(place, kubernetes, url, separate_worker=request.param == "separate")) as started:
        yield started


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with user(platform, "ada", quota_cpu=16, quota_memory="32Gi") as client:
        for name, size in (("box", CONTAINER), ("vm", MACHINE)):
            made = await client.post(
                "/clusters/", params={"wait": 60}, json={"name": name, "instance_count": 1, **size}
            )
            assert made.json()["phase"] == "running", made.text
        yield client


@pytest.fixture(scope="module")
def streams(platform: Platform, ada: httpx.AsyncClient) -> Streams:
    return Streams(platform.url, ada.headers["Authorization"].removeprefix("Bearer "))


async def test_what_can_be_reached_is_said(ada: httpx.AsyncClient) -> None:
    async def ways(name: str) -> dict[str, bool]:
        can = (await ada.get(f"/instances/{name}")).json()["capabilities"]
        return {way: can[way] for way in ("logs", "exec", "port_forward", "console", "vnc")}

    assert await ways(BOX) == {"logs": True, "exec": True, "port_forward": True, "console": False, "vnc": False}
    assert await ways(VM) == {"logs": True, "exec": False, "port_forward": True, "console": True, "vnc": True}


async def test_logs(ada: httpx.AsyncClient) -> None:
    whole = await ada.get(f"/instances/{BOX}/logs")
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert whole.text.splitlines() == [f"{BOX} main: line {number}" for number in (1, 2, 3)]
    assert (await ada.get(f"/instances/{BOX}/logs", params={"tail": 1})).text == f"{BOX} main: line 3\n"
    previous = await ada.get(f"/instances/{BOX}/logs", params={"previous": True})
    assert (previous.status_code, "previous terminated container" in previous.json()["detail"]) == (409, True)
    machine = await ada.get(f"/instances/{VM}/logs", params={"tail": 1})
    assert "guest-console-log: line 3" in machine.text


async def test_a_log_is_followed(ada: httpx.AsyncClient) -> None:
    seen: list[str] = []
    async with ada.stream("GET", f"/instances/{BOX}/logs", params={"follow": True, "tail": 0}) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            seen.append(line)
            if len(seen) == 2:
                break
    assert seen == [f"{BOX} main: line 4", f"{BOX} main: line 5"]


async def test_commands(streams: Streams) -> None:
    said = await streams.run(BOX, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (said.out, said.err, said.exit_code) == (b"out\n", b"err\n", 7)
    assert (said.code, said.why) == (1000, "The command ended with exit code 7.")
    missing = await streams.run(BOX, "no-such-program")
    assert "executable file not found" in missing.status["message"]
    assert (missing.code, missing.exit_code) == (1000, None)


async def test_input_and_its_end(streams: Streams) -> None:
    async with streams.exec(BOX, "cat", stdin=True) as connection:
        await connection.send(b"\0hello")
        assert await connection.recv() == b"\1hello"
        await connection.send(END_OF_INPUT)
        assert (await heard(connection, channels=True)).exit_code == 0


async def test_a_terminal_and_its_size(streams: Streams) -> None:
    async with streams.exec(BOX, "sh", tty=True, stdin=True) as connection:
        await until(connection, b"/ # ")
        await connection.send(b'\x04{"Width":123,"Height":45}')
        await connection.send(b"\0stty size\n")
        await until(connection, b"45 123")
        await connection.send(b"\0exit 3\n")
        assert (await heard(connection, channels=True)).exit_code == 3


@pytest.mark.parametrize("instance", [BOX, VM])
async def test_ports(streams: Streams, instance: str) -> None:
    path = f"{instance}/port-forward/80"
    async with streams.open(path) as first, streams.open(path) as second:
        for connection in (first, second, first):
            await connection.send(HTTP)
            await until(connection, f"hello from {instance}".encode())


async def test_a_port_that_nobody_listens_on(streams: Streams) -> None:
    async with streams.open(f"{BOX}/port-forward/81") as connection:
        said = await heard(connection)
    assert (said.code, said.why) == (4006, "Nothing listens on port 81 of the instance.")
    refused = await streams.refused(f"{VM}/port-forward/81")
    assert (refused.status, "Nothing answers on port 81" in refused.problem["detail"]) == (409, True)


async def test_console(streams: Streams) -> None:
    async with streams.open(f"{VM}/console") as connection:
        await connection.send(b"\n")
        assert b"vm-instance-1 login: " in await until(connection, b"login: ")


async def test_one_screen_at_a_time_unless_it_is_taken_over(streams: Streams, ada: httpx.AsyncClient) -> None:
    async with streams.open(f"{VM}/vnc", protocol="binary") as connection:
        assert await connection.recv() == b"RFB 003.008\n"
        refused = await streams.refused(f"{VM}/vnc")
        assert (refused.status, "preserve_session=false" in refused.problem["detail"]) == (409, True)
        async with streams.open(f"{VM}/vnc?preserve_session=false") as other:
            assert await other.recv() == b"RFB 003.008\n"
            await heard(connection)
            assert connection.close_code == 1000
    picture = await ada.get(f"/instances/{VM}/screenshot")
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")


async def test_usage_is_not_made_up(ada: httpx.AsyncClient) -> None:
    answer = await ada.get(f"/instances/{BOX}/usage")
    assert (answer.status_code, answer.json()["code"]) == (409, "unsupported")
    assert "metrics-server" in answer.json()["detail"]


async def test_a_suspended_instance_is_not_entered(streams: Streams, ada: httpx.AsyncClient) -> None:
    async with (
        streams.exec(BOX, "cat", stdin=True) as command,
        streams.open(f"{BOX}/port-forward/7") as port,
    ):
        await _operate(ada, BOX, "suspend")
        for ended in await asyncio.gather(heard(command, channels=True), heard(port)):
            assert (ended.code, ended.why) == (4002, "The instance is suspended: resume it, then connect again.")
    refused = await streams.refused(f"{BOX}/exec?command=ls", protocol=CHANNELS)
    assert (refused.status, refused.problem["code"]) == (409, "wrong_state")
    assert refused.problem["detail"] == "It is suspended: resume it first."
    assert refused.problem["capabilities"]["exec"] is False
    assert (await ada.get(f"/instances/{BOX}/logs")).status_code == 200
    await _operate(ada, BOX, "resume")
    assert (await streams.run(BOX, "true")).exit_code == 0


async def test_a_stopped_instance_is_not_entered(streams: Streams, ada: httpx.AsyncClient) -> None:
    async with streams.open(f"{VM}/console") as connection:
        await _operate(ada, VM, "stop")
        assert (await heard(connection)).code == 1000
    for way in ("console", "vnc", "port-forward/80"):
        refused = await streams.refused(f"{VM}/{way}")
        assert (refused.status, refused.problem["detail"]) == (409, "It is stopped: start it first.")
    assert (await ada.get(f"/instances/{VM}/logs")).status_code == 409
    await _operate(ada, VM, "start")


async def test_a_pod_of_the_same_name_that_is_not_ours_is_not_entered(
    streams: Streams, ada: httpx.AsyncClient, kubernetes: str
) -> None:
    """CMP still believes that its own Pod is there: what is really there decides."""
    body = {"name": "taken", "instance_count": 2, **CONTAINER}
    made = (await ada.post("/clusters/", params={"wait": 60}, json=body)).json()
    await _operate(ada, "taken-instance-2", "stop")  # the quota of the namespace then has room for one
    async with httpx.AsyncClient(base_url=f"{kubernetes}/api/v1/namespaces/{made['namespace']}/pods/") as pods:
        ours = (await pods.get("taken-instance-1")).json()
        labels = ours["metadata"]["labels"] | {"cmp.io/instance": "another"}
        resources = ours["spec"]["containers"][0]["resources"]
        foreign = {
            "metadata": {"name": "taken-instance-1", "labels": labels},
            "spec": {"containers": [{"name": "main", "image": "nginx:latest", "resources": resources}]},
        }
        (await pods.delete("taken-instance-1", params={"gracePeriodSeconds": 0})).raise_for_status()
        answer = await pods.post("", json=foreign)
        assert answer.status_code == 201, answer.text
    refused = await streams.refused("taken-instance-1/exec?command=hostname", protocol=CHANNELS)
    assert refused.status == 409, refused
    await ada.delete("/clusters/taken")


async def test_what_was_opened_is_recorded(ada: httpx.AsyncClient, streams: Streams) -> None:
    await streams.run(BOX, "echo", "a-secret-argument")

    async def recorded() -> list[dict[str, str]]:
        found = (await ada.get("/events/history", params={"limit": 100})).json()["items"]
        mine = [event for event in found if (event["message"] or "").startswith("exec echo")]
        return mine if len(mine) == 2 else []

    closed, opened = await eventually(recorded, "an opening and its end")
    assert (opened["kind"], opened["status"], opened["actor"]) == ("access.opened", "exec", "ada")
    assert (closed["kind"], closed["reason"], closed["instance_name"]) == ("access.closed", "exit 0", BOX)
    assert "bytes out" in closed["message"]
    assert closed["request_id"] == opened["request_id"]
    everything = (await ada.get("/events/history", params={"limit": 500})).text
    assert "a-secret-argument" not in everything


async def test_a_replaced_token_ends_what_it_opened(platform: Platform) -> None:
    async with user(platform, "eve", quota_cpu=2, quota_memory="2Gi") as eve:
        body = {"name": "eves", "instance_count": 1, **CONTAINER}
        await eve.post("/clusters/", params={"wait": 60}, json=body)
        old = eve.headers["Authorization"].removeprefix("Bearer ")
        async with Streams(platform.url, old).exec("eves-instance-1", "cat", stdin=True) as connection:
            eve.headers["Authorization"] = f"Bearer {(await eve.post('/users/me/token')).json()['token']}"
            ended = await heard(connection, channels=True)
        assert (ended.code, "does not allow it any more" in ended.why) == (4004, True)
        await eve.delete("/clusters/eves", params={"wait": 60})


async def test_the_process_ends_with_streams_open(platform: Platform, streams: Streams, ada: httpx.AsyncClient) -> None:
    async with (
        streams.exec(BOX, "cat", stdin=True) as command,
        streams.open(f"{BOX}/port-forward/7") as port,
        streams.exec(BOX, "yes") as unread,
        ada.stream("GET", f"/instances/{BOX}/logs", params={"follow": True}) as log,
    ):
        assert platform.api is not None
        platform.api.send_signal(signal.SIGINT)
        for ended in await asyncio.gather(heard(command, channels=True), heard(port)):
            assert (ended.code, ended.why) == (1001, "This CMP process is ending: connect again.")
        async for _ in log.aiter_lines():
            pass
        await unread.close()
    started = time.monotonic()
    assert await asyncio.to_thread(platform.api.wait, 20) == 0
    print(f"the API process ended {time.monotonic() - started:.1f} s after its streams")
    written = platform.log("api", 10_000)
    assert "Traceback" not in written
    assert '"level": "error"' not in written
    platform.start_api()


async def _operate(client: httpx.AsyncClient, name: str, operation: str) -> None:
    answer = await client.post(f"/instances/{name}/operate", params={"wait": 60}, json={"operation": operation})
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
