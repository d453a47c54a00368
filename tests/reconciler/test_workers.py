"""Several workers on one database, and the worker as a process of its own."""

import asyncio
import itertools
import os
import signal
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from app.database import Database
from app.models import InstanceOperation as Do
from app.reconciler.cluster import Lease, Visitor
from app.rules.quota import Amounts
from testbed.databases import PostgreSQL
from tests.reconciler.conftest import ROOT, settings_for
from tests.reconciler.world import Kubernetes, World, made_world


@pytest_asyncio.fixture
async def shared(postgresql: PostgreSQL, kubernetes: Kubernetes, tmp_path: Path) -> AsyncIterator[World]:
    """On PostgreSQL, with nobody at work yet."""
    name = f"w{uuid.uuid4().hex[:10]}"
    url = postgresql.create_database(name)
    settings = settings_for(tmp_path, database_url=url, lease_seconds=1.5)
    database = Database(url)
    await database.open()
    yield await made_world(database, kubernetes, settings)
    await database.close()
    postgresql.drop_database(name)


@asynccontextmanager
async def process(world: World, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m app.worker`, ready."""
    environment = {
        **os.environ,
        "CMP_DATA_DIR": str(world.settings.data_dir),
        "CMP_DATABASE_URL": world.settings.database(),
        "CMP_KUBERNETES": world.kubernetes.url,
        "CMP_LEASE_SECONDS": "1.5",
        **more,
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.worker", cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


async def said(worker: asyncio.subprocess.Process, words: str) -> str:
    """Everything it printed up to a line with these words."""
    assert worker.stdout is not None
    text = ""
    while words not in text:
        line = await asyncio.wait_for(worker.stdout.readline(), 30)
        assert line, f"it ended: {text}"
        text += line.decode()
    return text


async def test_two_workers_never_visit_the_same_cluster_at_once(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    visits: dict[uuid.UUID, list[tuple[float, float, int]]] = defaultdict(list)
    visit = Visitor._visit

    async def recorded(self: Visitor, lease: Lease) -> float | None:
        started = time.monotonic()
        try:
            return await visit(self, lease)
        finally:
            visits[lease.cluster_id].append((started, time.monotonic(), id(self)))

    monkeypatch.setattr(Visitor, "_visit", recorded)
    second = World(Database(shared.settings.database()), shared.settings, shared.kubernetes, shared.viewer)
    await second.database.open()
    try:
        async with shared.running(), second.running():
            made = [await shared.create(f"t{uuid.uuid4().hex[:6]}", count=8) for _ in range(6)]
            for cluster_id in made:
                cluster = await shared.phase(cluster_id, "running", seconds=40)
                assert len(await shared.kubernetes.pods(cluster.namespace)) == 8
                await second.operate(cluster_id, Do.RESTART)
            for cluster_id in made:
                await shared.phase(cluster_id, "running", seconds=40)
                await second.delete(cluster_id)
            for cluster_id in made:
                await shared.gone(cluster_id, seconds=40)
    finally:
        await second.database.close()
    assert len({worker for intervals in visits.values() for _, _, worker in intervals}) == 2
    for intervals in visits.values():
        ordered = sorted(intervals)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(ordered))
    assert await shared.used() == (Amounts(), Amounts())


async def test_a_worker_that_slept_through_its_lease_changes_nothing(shared: World) -> None:
    """SIGSTOP in the middle of making 60 instances; another worker takes over; then SIGCONT."""
    async with process(shared) as sleeper:
        await said(sleeper, "at work")
        await shared.kubernetes.fault(kind="slow", verb="create", resource="pods", seconds=0.3)
        cluster_id = await shared.create(f"z{uuid.uuid4().hex[:6]}", count=60)

        async def begun() -> bool:
            cluster = await shared.cluster(cluster_id)
            return cluster is not None and cluster.lease_token is not None

        await shared.until(begun, "its visit", about=cluster_id)
        await asyncio.sleep(0.4)
        sleeper.send_signal(signal.SIGSTOP)
        await shared.kubernetes.no_faults()
        async with shared.running():
            await shared.phase(cluster_id, "running", seconds=40)
        before = await shared.cluster(cluster_id)
        sleeper.send_signal(signal.SIGCONT)
        await asyncio.sleep(1)
        after = await shared.cluster(cluster_id)
        assert before is not None
        assert after is not None
        assert (after.phase, after.version) == ("running", before.version)
        assert len(await shared.kubernetes.pods(after.namespace)) == 60
        await shared.delete(cluster_id)
        await shared.gone(cluster_id)
    assert await shared.used() == (Amounts(), Amounts())


async def test_a_killed_workers_clusters_are_taken_over(shared: World) -> None:
    async with process(shared) as victim:
        await said(victim, "at work")
        made = [await shared.create(f"k{uuid.uuid4().hex[:6]}", count=10) for _ in range(4)]
        await asyncio.sleep(0.7)
        victim.kill()
        async with shared.running():
            for cluster_id in made:
                cluster = await shared.phase(cluster_id, "running", seconds=40)
                assert len(await shared.kubernetes.pods(cluster.namespace)) == 10
                await shared.delete(cluster_id)
            for cluster_id in made:
                await shared.gone(cluster_id, seconds=40)
    assert await shared.used() == (Amounts(), Amounts())


async def test_it_waits_for_the_schema_and_stops_on_sigterm(postgresql: PostgreSQL, shared: World) -> None:
    name = f"e{uuid.uuid4().hex[:10]}"
    empty = postgresql.create_database(name)
    async with process(shared, CMP_DATABASE_URL=empty) as worker:
        await said(worker, "Waiting for the database schema")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 10) == 0
    async with process(shared) as worker:
        await said(worker, "at work")
        await asyncio.sleep(0.5)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 10) == 0
    postgresql.drop_database(name)


async def test_sqlite_belongs_to_one_process(still_world: World) -> None:
    async with process(still_world) as worker:
        assert "is in use by another process" in await said(worker, "in use")
        assert await asyncio.wait_for(worker.wait(), 10) == 1


async def test_it_says_what_kubernetes_it_cannot_use(still_world: World, tmp_path: Path) -> None:
    for value, words in (("simulator", "belongs to the embedded worker"), ("/no/such/file", "is not a file")):
        async with process(still_world, CMP_KUBERNETES=value) as worker:
            assert words in await said(worker, "cannot start")
            assert await asyncio.wait_for(worker.wait(), 10) == 1
