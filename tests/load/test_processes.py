"""Three API processes on one database, started at once on an empty one: what holds in one process holds among them."""

import asyncio
import contextlib
import itertools
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.models import Cluster, LedgerEntry, User
from app.rules.quota import DIMENSIONS
from testbed.processes import Process, free_port, spawn
from tests.conftest import Databases, opened

ROOT = Path(__file__).parents[2]
KINDS = ("postgresql", "mariadb", "mariadb_snapshot_isolation")
_PROCESSES = 3


@dataclass(frozen=True)
class Fleet:
    database_url: str
    addresses: list[str]
    token: str

    @contextlib.asynccontextmanager
    async def clients(self, token: str) -> AsyncIterator[list[httpx.AsyncClient]]:
        """One for each process."""
        async with contextlib.AsyncExitStack() as stack:
            headers = {"Authorization": f"Bearer {token}"}
            limits = httpx.Limits(max_connections=64)
            yield [
                await stack.enter_async_context(
                    httpx.AsyncClient(base_url=address, headers=headers, timeout=60, limits=limits)
                )
                for address in self.addresses
            ]

    async def user(self, **fields: Any) -> dict[str, Any]:
        async with self.clients(self.token) as clients:
            made = await clients[0].post("/api/v1/users/", json={"username": f"u{uuid.uuid4().hex[:8]}"} | fields)
            assert made.status_code == 201, made.text
            return dict(made.json())


@pytest.fixture(scope="module")
def fleet(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Any:
    url = databases.empty()
    ports = [free_port() for _ in range(_PROCESSES)]
    data = tmp_path_factory.mktemp("shared")
    started: list[Process] = []
    try:
        for number, port in enumerate(ports):
            directory = tmp_path_factory.mktemp(f"api{number}")
            environment = {"CMP_PORT": str(port), "CMP_DATA_DIR": str(data), "CMP_DATABASE_URL": url}
            environment |= {"CMP_WORKER": "separate", "CMP_LOG_LEVEL": "warning"}
            environment |= {f"CMP_RATE_{name}": "0" for name in ("ADDRESS", "TOKEN", "ACCOUNT")}
            command = ["env", *(f"{name}={value}" for name, value in environment.items()), sys.executable]
            started.append(spawn(f"api{number}", [*command, ROOT / "main.py"], directory))
        for process, port in zip(started, ports, strict=True):
            process.wait_until(partial(_ready, port), 60)
        yield Fleet(url, [f"http://127.0.0.1:{port}" for port in ports], (data / "admin-token").read_text().strip())
    finally:
        for process in started:
            process.stop()


def _ready(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    return False


def wish(name: str, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "instance_type": "container", "cpu_per_instance": 0.5, "memory_per_instance": 512}
    return body | {"instance_count": 1} | fields


async def test_64_at_once_against_room_for_20_admit_exactly_20(fleet: Fleet) -> None:
    user = await fleet.user(quota_cpu=10, quota_memory=10_240, quota_instances=20, quota_clusters=20, quota_storage=0)
    async with fleet.clients(user["token"]) as clients:
        turns = itertools.cycle(clients)
        answers = await asyncio.gather(
            *(next(turns).post("/api/v1/clusters/", json=wish(f"race-{number}")) for number in range(64))
        )
        assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 44
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"quota_exceeded"}
        quota = (await clients[0].get("/api/v1/users/me/quota")).json()
    assert quota["used"] == {"cpu": 10, "memory": 10_240, "instances": 20, "clusters": 20, "storage": 0}
    assert quota["available"] == dict.fromkeys(DIMENSIONS, 0)
    used, ledger, clusters = await _counted(fleet, user["id"])
    assert used == ledger
    assert clusters == 20


async def test_one_key_sent_to_all_of_them_makes_one_cluster(fleet: Fleet) -> None:
    user = await fleet.user()
    async with fleet.clients(user["token"]) as clients:
        turns = itertools.cycle(clients)
        headers = {"Idempotency-Key": "everywhere"}
        answers = await asyncio.gather(
            *(next(turns).post("/api/v1/clusters/", json=wish("once"), headers=headers) for _ in range(32))
        )
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    used, ledger, clusters = await _counted(fleet, user["id"])
    assert (used, clusters) == (ledger, 1)


async def test_equal_names_at_once_are_one_for_each_user_and_never_share_a_namespace(fleet: Fleet) -> None:
    users = [await fleet.user() for _ in range(8)]

    async def ask(token: str) -> list[httpx.Response]:
        async with fleet.clients(token) as clients:
            return list(
                await asyncio.gather(*(client.post("/api/v1/clusters/", json=wish("web")) for client in clients))
            )

    answers = await asyncio.gather(*(ask(user["token"]) for user in users))
    for mine in answers:
        assert sorted(answer.status_code for answer in mine) == [201, 409, 409]
    namespaces = [answer.json()["namespace"] for mine in answers for answer in mine if answer.status_code == 201]
    assert len(set(namespaces)) == len(users)
    for user in users:
        used, ledger, clusters = await _counted(fleet, user["id"])
        assert (used, clusters) == (ledger, 1)


async def test_what_one_process_is_told_holds_in_the_others_at_once(fleet: Fleet) -> None:
    user = await fleet.user()
    async with fleet.clients(user["token"]) as mine, fleet.clients(fleet.token) as admin:
        cursor = None
        for number in range(3):
            await mine[number].post("/api/v1/clusters/", json=wish(f"c{number}"))
        for client in mine:
            page = (
                await client.get("/api/v1/clusters/", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))
            ).json()
            assert len(page["items"]) == 1
            cursor = page["next_cursor"]
        assert cursor is None
        async with mine[0].stream("GET", "/api/v1/events/") as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith(":")
            await mine[1].post("/api/v1/clusters/", json=wish("told-elsewhere"))
            async with asyncio.timeout(20):
                while "told-elsewhere" not in await anext(lines):
                    continue
        await admin[2].patch(f"/api/v1/users/{user['username']}", json={"disabled": True})
        assert [(await client.get("/api/v1/users/me")).status_code for client in mine] == [401] * _PROCESSES


async def _counted(fleet: Fleet, account: str) -> tuple[dict[str, int], dict[str, int], int]:
    """What is used, what the ledger sums up to, and how many clusters there are."""
    id = uuid.UUID(account)
    async with opened(fleet.database_url) as database, database.reading() as session:
        row = (await session.execute(sa.select(User).where(User.id == id))).scalar_one()
        sums = [sa.func.coalesce(sa.func.sum(getattr(LedgerEntry, d)), 0) for d in DIMENSIONS]
        held = (await session.execute(sa.select(*sums).where(LedgerEntry.account_id == id))).one()
        clusters = sa.select(sa.func.count()).select_from(Cluster).where(Cluster.owner_id == id)
        ledger = dict(zip(DIMENSIONS, map(int, held), strict=True))
        return {d: getattr(row, f"used_{d}") for d in DIMENSIONS}, ledger, int(await session.scalar(clusters) or 0)
