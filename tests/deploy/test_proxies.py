"""deploy/nginx and deploy/haproxy in front of two API processes and a worker: what passes, and a rolling restart.

Both stand in front of the same processes at the same time, each with clients of its own.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from testbed import proxies
from testbed.databases import PostgreSQL
from testbed.processes import free_port
from tests.e2e.platform import ROOT, Platform, eventually, simulator, user
from tests.e2e.sockets import Streams, heard
from tests.kube.tls import Authority

PROXIES = ("nginx", "haproxy")
_SETTINGS = {"CMP_TRUSTED_PROXIES": "1", "CMP_DRAIN_SECONDS": "5"}
_BOX = {"name": "box", "instance_type": "container", "cpu_per_instance": 1, "memory_per_instance": 64}
_CLIENT = "127.0.0.2"
_ABORTED = (ConnectionResetError, BrokenPipeError, ssl.SSLError)


@dataclass(frozen=True)
class Front:
    """Two API processes behind both proxies."""

    replicas: list[Platform]
    ports: dict[str, int]
    trusting: ssl.SSLContext

    def client(self, proxy: str, token: str | None = None) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(verify=self.trusting, local_address=_CLIENT)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"https://127.0.0.1:{self.ports[proxy]}"
        return httpx.AsyncClient(base_url=url, transport=transport, headers=headers, timeout=30)

    def lines(self, text: str) -> list[int]:
        """In how many lines of each process's log it stands."""
        return [sum(text in line for line in replica.log("api", 100_000).splitlines()) for replica in self.replicas]

    async def line(self, request_id: str) -> str:
        """The one of all logs that says it; it is written after the answer has gone."""
        found: list[str] = []

        async def written() -> bool:
            logs = (replica.log("api", 100_000).splitlines() for replica in self.replicas)
            found[:] = [line for log in logs for line in log if request_id in line]
            return bool(found)

        await eventually(written, "the request is in a log")
        (line,) = found
        return line


@pytest.fixture(scope="module")
def front(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    database = postgresql.create_database("proxies")
    authority, folder = Authority(), tmp_path_factory.mktemp("tls")
    authority.server_context(folder)
    with contextlib.ExitStack() as stack:
        kubernetes = stack.enter_context(simulator())
        folders = [tmp_path_factory.mktemp("api") for _ in range(2)]
        replicas = [Platform(data, kubernetes, database, separate_worker=True, extra=_SETTINGS) for data in folders]
        for replica in replicas:
            stack.callback(replica.stop)
            replica.start_api()
        replicas[0].start_worker()
        ports = {proxy: free_port() for proxy in PROXIES}
        for proxy, port in ports.items():
            text = _placed(proxy, port, replicas, folder / "server.pem")
            stack.enter_context(getattr(proxies, proxy)(text, port))
        yield Front(replicas, ports, ssl.create_default_context(cadata=authority.certificate.decode()))


@pytest.fixture(scope="module")
async def ada(front: Front) -> AsyncIterator[str]:
    """Her token; she has a container that runs."""
    async with user(front.replicas[0], "ada", quota_cpu=8, quota_memory="8Gi") as client:
        made = await client.post("/clusters/", params={"wait": 60}, json=_BOX)
        assert made.json()["phase"] == "running", made.text
        yield client.headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_what_passes_and_what_does_not(proxy: str, front: Front, ada: str) -> None:
    async with front.client(proxy, ada) as http:
        assert "<title>" in (await http.get("/")).text
        mine = await http.get(
            "/api/v1/users/me", headers={"X-Request-ID": f"mine-{proxy}", "X-Forwarded-For": "9.9.9.9"}
        )
        assert (mine.status_code, mine.headers["x-request-id"]) == (200, f"mine-{proxy}")
        assert "max-age" in mine.headers["strict-transport-security"], "CMP knows that they came by TLS"
        assert f'"address": "{_CLIENT}"' in await front.line(f"mine-{proxy}")
        await front.line((await http.get("/api/v1/users/me")).headers["x-request-id"])
        assert (await http.post("/api/v1/clusters/", content=b" " * 1_200_000)).status_code == 413


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_session_needs_no_stickiness(proxy: str, front: Front) -> None:
    name, password = f"eve-{proxy}", "a long enough password"
    async with user(front.replicas[0], name) as owner, front.client(proxy) as http:
        assert (await owner.put("/users/me/password", json={"password": password})).is_success
        origin = {"Origin": str(http.base_url).rstrip("/")}
        signed_in = await http.post("/login", data={"username": name, "password": password}, headers=origin)
        assert signed_in.headers["set-cookie"].startswith("__Host-cmp-session=")
        for _ in range(8):
            answers = await asyncio.gather(
                *(http.get("/api/v1/users/me", headers={"X-Request-ID": f"{proxy}-{n}"}) for n in range(8))
            )
            assert {answer.status_code for answer in answers} == {200}
            if all(front.lines(f'"{proxy}-')):
                return
    raise AssertionError("one process alone answered the session")


async def test_a_rolling_restart_loses_nothing(front: Front, ada: str) -> None:
    """Reads and writes go on through both; an event stream and a shell are open, end when their process does, and are
    opened again at once.
    """
    done = asyncio.Event()
    counts: Counter[str] = Counter()
    async with asyncio.TaskGroup() as group:
        for proxy in PROXIES:
            for number in range(4):
                group.create_task(_load(front, proxy, ada, f"{proxy}-{number}", done, counts))
            group.create_task(_events(front, proxy, ada, done, counts))
            group.create_task(_shell(front, proxy, ada, done, counts))
            group.create_task(_slow_request(front, proxy))
        await asyncio.sleep(1)
        for replica in front.replicas:
            assert replica.api is not None
            replica.api.terminate()
            assert await asyncio.to_thread(replica.api.wait, 30) == 0
            await asyncio.to_thread(replica.start_api)
            await asyncio.sleep(3)
        done.set()
    print(dict(counts))
    for proxy in PROXIES:
        assert counts[f"{proxy} read"] > 100
        assert counts[f"{proxy} written"] > 10
        assert counts[f"{proxy} event streams"] >= 2
        assert counts[f"{proxy} shells"] >= 2
    async with front.client("nginx", ada) as http:
        tokens = (await http.get("/api/v1/tokens/")).json()["items"]
        assert [token["name"] for token in tokens if token["name"].startswith("load")] == []


async def _load(front: Front, proxy: str, token: str, name: str, done: asyncio.Event, counts: Counter[str]) -> None:
    """Any failure ends the test."""
    async with front.client(proxy, token) as http:
        for number in itertools.count():
            if done.is_set():
                return
            for path in ("users/me", "clusters/", "users/me/quota", "instances/"):
                answer = await http.get(f"/api/v1/{path}")
                assert answer.status_code == 200, (proxy, path, answer.status_code, answer.text)
                counts[f"{proxy} read"] += 1
            if number % 4 == 0:
                made = await http.post("/api/v1/tokens/", json={"name": f"load-{name}"})
                assert made.status_code == 201, (proxy, made.status_code, made.text)
                gone = await http.delete(f"/api/v1/tokens/{made.json()['id']}")
                assert gone.status_code == 204, (proxy, gone.status_code, gone.text)
                counts[f"{proxy} written"] += 2
            await asyncio.sleep(0.03)


async def _slow_request(front: Front, proxy: str) -> None:
    """It is cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.ports[proxy], ssl=front.trusting)
    writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    with contextlib.suppress(*_ABORTED):
        async with asyncio.timeout(20):
            assert b" 200 " not in await reader.read()
    writer.close()


async def _events(front: Front, proxy: str, token: str, done: asyncio.Event, counts: Counter[str]) -> None:
    async with front.client(proxy, token) as http:
        while not done.is_set():
            async with http.stream("GET", "/api/v1/events/") as stream:
                assert stream.status_code == 200
                lines = stream.aiter_lines()
                async with asyncio.timeout(5):
                    assert await anext(lines) == ": connected"  # at once: nothing on the way keeps it back
                counts[f"{proxy} event streams"] += 1
                await _until(done, _drained_of(lines))


async def _shell(front: Front, proxy: str, token: str, done: asyncio.Event, counts: Counter[str]) -> None:
    streams = Streams(f"https://127.0.0.1:{front.ports[proxy]}", token, front.trusting)
    while not done.is_set():
        async with streams.exec("box-instance-1", "cat", stdin=True) as connection:
            await connection.send(b"\0hello")
            async with asyncio.timeout(5):
                assert await connection.recv() == b"\1hello"
            counts[f"{proxy} shells"] += 1
            await _until(done, heard(connection, channels=True))


async def _drained_of(lines: AsyncIterator[str]) -> None:
    async for _ in lines:
        pass


async def _until(done: asyncio.Event, stream: object) -> None:
    ends = [asyncio.ensure_future(done.wait()), asyncio.ensure_future(stream)]  # type: ignore[call-overload]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)


def _placed(proxy: str, port: int, replicas: list[Platform], certificate: Path) -> str:
    """The configuration with the ports, the certificate and the user of here."""
    text = "".join(path.read_text() for path in sorted((ROOT / "deploy" / proxy).iterdir()))
    for there, here in {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "bind :443 ": f"bind 127.0.0.1:{port} ",
        "bind :80\n": f"bind 127.0.0.1:{free_port()}\n",
        "/etc/cmp/tls.pem": str(certificate),
        "cmp.example.org": "127.0.0.1",
        "127.0.0.1:8000": f"127.0.0.1:{replicas[0].port}",
        "127.0.0.1:8010": f"127.0.0.1:{replicas[1].port}",
        "user haproxy": "user nobody",
        "group haproxy": "group nogroup",
        "/var/lib/haproxy": str(certificate.parent),
    }.items():
        text = text.replace(there, here)
    return text
