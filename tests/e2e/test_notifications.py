"""docs/how-to/be-told.md as it stands, and a worker that is killed while it tells: nothing is lost."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed.databases import DatabaseServer
from tests.delivery.receiver import receiving
from tests.e2e.platform import ROOT, Platform, eventually, free_port, running, simulator, user

TEXT = (ROOT / "docs/how-to/be-told.md").read_text()
(RECEIVER,) = (textwrap.dedent(found) for found in re.findall(r"^   ```python\n(.*?)^   ```$", TEXT, re.M | re.S))
SUBSCRIBE, TEST = (textwrap.dedent(found) for found in re.findall(r"^   ```sh\n(.*?)^   ```$", TEXT, re.M | re.S))
FAILS = {
    "instance_type": "container",
    "cpu_per_instance": 0.1,
    "memory_per_instance": 64,
    "image": "crash",
    "container": {"restart_policy": "never"},
}


@pytest.fixture(scope="module")
def platform(postgresql: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = {
        "CMP_SECRET_KEY": "bm90IGEgc2VjcmV0LCBmb3IgdGVzdHMgb25seSwgb2s=",
        "CMP_WEBHOOK_HTTP": "true",
        "CMP_WEBHOOK_CIDRS": '["127.0.0.0/8"]',
        "CMP_NOTIFICATION_SECONDS": "1",
        "CMP_NOTIFICATION_RETRY_SECONDS": "0.2",
    }
    url = postgresql.create_database(f"told_{uuid.uuid4().hex[:8]}")
    with simulator("--speed", "4", "--set", "crash_after=0") as kubernetes:  # before it could be seen to run
        data_dir = tmp_path_factory.mktemp("platform")
        with running(Platform(data_dir, kubernetes, url, separate_worker=True, extra=settings)) as started:
            yield started
        said = (data_dir / "worker.log").read_text()
        assert "HTTP 204" in said
        assert "canary" not in said + (data_dir / "api.log").read_text()
        assert "whsec_" not in said


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with user(platform, "ada", quota_cpu=8, quota_memory="8Gi", quota_clusters=10) as client:
        yield client


async def test_the_how_to(platform: Platform, ada: httpx.AsyncClient, tmp_path: Path) -> None:
    port = free_port()
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    environment = {"CMPCTL_URL": platform.url, "CMPCTL_TOKEN": token, "TARGET": f"http://127.0.0.1:{port}/"}
    await _shell(SUBSCRIBE, tmp_path, environment)
    id = json.loads((tmp_path / "subscription").read_text())["id"]
    (tmp_path / "receiver.py").write_text(RECEIVER)
    with _receiver(tmp_path, port) as receiver:
        said = await _shell(TEST, tmp_path, environment | {"SUBSCRIPTION": id})
        assert "ping" in said
        assert await asyncio.to_thread(_line, receiver) == "ping\n"
        made = await ada.post("/clusters/", json=FAILS | {"name": "doomed"})
        assert made.status_code == 201, made.text
        told = {(await asyncio.to_thread(_line, receiver)).split()[0] for _ in range(3)}
        assert told == {"instance.failed", "cluster.failed", "operation.failed"}
        headers = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        async with httpx.AsyncClient() as stranger:
            forged = await stranger.post(environment["TARGET"], content=b"{}", headers=headers)
        assert forged.status_code == 403
    await ada.delete(f"/notifications/{id}")


async def test_a_worker_that_is_killed_while_it_tells(platform: Platform, ada: httpx.AsyncClient) -> None:
    async with receiving() as receiver:
        answer = await ada.post("/notifications/", json={"channel": "webhook", "target": receiver.url})
        path = f"/notifications/{answer.json()['id']}"
        receiver.slow = 0.5
        await ada.post(f"{path}/test")
        await eventually(lambda: _truth(receiver.seen), "the first try", 20)
        await ada.post("/clusters/", json=FAILS | {"name": "doomed-too"})
        platform.kill("worker")
        first = (await ada.get(f"{path}/deliveries")).json()["items"]
        assert [(one["topic"], one["status"]) for one in first] == [("ping", "waiting")]
        receiver.slow = 0.0
        platform.start_worker()
        found = await eventually(lambda: _four(ada, path), "all of it", 60)
        assert {one["topic"] for one in found} == {"ping", "instance.failed", "cluster.failed", "operation.failed"}
    ids = receiver.ids()
    assert ids.count(first[0]["id"]) == 2
    assert len(ids) == 5


async def _four(client: httpx.AsyncClient, path: str) -> Any:
    found = (await client.get(f"{path}/deliveries")).json()["items"]
    return found if len(found) == 4 and all(one["status"] == "delivered" for one in found) else None


async def _shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    cmpctl = f'cmpctl() {{ PYTHONPATH={ROOT} {sys.executable} -m cmpctl.main "$@"; }}\n'
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-ec", cmpctl + script], cwd=folder, env={"PATH": path} | environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def _receiver(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "receiver.py", str(port), "secret"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


async def _truth(of: Any) -> bool:
    return bool(of)
