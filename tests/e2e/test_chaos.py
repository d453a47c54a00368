"""kill -9 at random moments while clusters come and go: afterwards nothing is lost, orphaned or miscounted."""

import asyncio
import contextlib
import os
import random
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.invariants import broken
from tests.e2e.platform import Platform, eventually, running, simulator, user

KILLS = 20
CLUSTERS = 50


@pytest.mark.parametrize("processes", ["embedded worker, SQLite", "separate worker, PostgreSQL"])
async def test_kills_at_random_moments(tmp_path: Path, request: pytest.FixtureRequest, processes: str) -> None:
    seed = int(os.environ.get("CMP_CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"chaos seed {seed} (repeat with CMP_CHAOS_SEED)")
    separate = processes.startswith("separate")
    database_url = None
    if separate:
        server = request.getfixturevalue("postgresql")
        name = f"chaos_{uuid.uuid4().hex[:8]}"
        server.create_database(name)
        database_url = server.url(name)
    with simulator() as kubernetes:
        platform = Platform(
            tmp_path,
            kubernetes,
            database_url,
            separate_worker=separate,
            extra={"CMP_LEASE_SECONDS": "3", "CMP_SWEEP_SECONDS": "2", "CMP_ORPHAN_GRACE_SECONDS": "1"},
        )
        with running(platform):
            async with user(platform, "storm", quota_cpu=1000, quota_memory=1_000_000, quota_clusters=1000,
                            quota_instances=1000) as client:  # fmt: skip
                work = asyncio.create_task(_storm(client, random.Random(seed)))
                await _kill(platform, random.Random(seed + 1), work)
                await work
                await _quiet(client)
            problems = await eventually_sound(platform, kubernetes)
        assert problems == [], f"seed {seed}"


async def eventually_sound(platform: Platform, kubernetes: str) -> list[str]:
    """What is still broken after a fair time to converge. SQLite belongs to the API, so that is stopped first there."""
    if platform.database_url is None:
        platform.stop()
    url = platform.database_url or f"sqlite:///{platform.data_dir / 'cmp.sqlite3'}"
    for _ in range(100):
        found = await broken(url, await _namespaces(kubernetes))
        if not found or platform.database_url is None:
            return found
        await asyncio.sleep(0.3)
    return found


async def _storm(client: httpx.AsyncClient, choose: random.Random) -> None:
    """Creates with a key each, repeated until answered; most are deleted again, some at once."""

    async def one(number: int) -> None:
        body = {
            "name": f"storm-{number}",
            "instance_type": choose.choice(["container", "vm"]),
            "cpu_per_instance": 0.25,
            "memory_per_instance": 128,
            "instance_count": choose.randint(1, 3),
        }
        made = await _insist(client, "POST", "/clusters/", json=body, headers={"Idempotency-Key": f"storm-{number}"})
        assert made.status_code == 201, made.text
        if number % 5 == 0:
            return
        await asyncio.sleep(choose.uniform(0, 3))
        gone = await _insist(client, "DELETE", f"/clusters/{made.json()['id']}")
        assert gone.status_code in (202, 404), gone.text

    waiting = [one(number) for number in range(CLUSTERS)]
    while waiting:
        batch, waiting = waiting[:5], waiting[5:]
        await asyncio.gather(*batch)


async def _insist(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    while True:
        with contextlib.suppress(httpx.HTTPError):
            answer = await client.request(method, path, **more)
            if answer.status_code < 500:
                return answer
        await asyncio.sleep(0.1)


async def _kill(platform: Platform, choose: random.Random, work: "asyncio.Task[None]") -> None:
    for _ in range(KILLS):
        await asyncio.sleep(choose.uniform(0.05, 1.2))
        which = choose.choice(["api", "worker"]) if platform.separate_worker else "api"
        await asyncio.to_thread(platform.kill, which)
        await asyncio.to_thread(platform.start_api if which == "api" else platform.start_worker)
    await asyncio.wait([work], timeout=120)


async def _quiet(client: httpx.AsyncClient) -> None:
    async def settled() -> bool:
        open_ones = [
            (await client.get("/operations/", params={"status": status, "limit": 1})).json()["items"]
            for status in ("pending", "running")
        ]
        return not any(open_ones)

    await eventually(settled, "every operation ends", 90)


async def _namespaces(kubernetes: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=kubernetes) as client:
        answer = await client.get("/api/v1/namespaces", params={"labelSelector": "cmp.io/installation"})
        items: list[dict[str, Any]] = answer.json()["items"]
        return items
