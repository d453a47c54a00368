"""docs/operations/postgresql.md, Replication: the primary is killed under writes, and its standby takes over."""

import asyncio
import itertools
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from app.database import Database
from testbed.databases import PostgreSQL, Standby
from tests.deploy.test_postgresql import ledger_off
from tests.e2e.platform import Platform, eventually, running, simulator, user

_WRITERS = 8
_SECONDS_WITHOUT = 2.0


@pytest.fixture
def pair(postgresql: PostgreSQL) -> Iterator[tuple[PostgreSQL, Standby]]:
    """What is committed on the first is on the second too. `postgresql`: skips where there is none."""
    with PostgreSQL() as primary, Standby(primary) as standby:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        yield primary, standby


async def test_nothing_that_was_answered_is_lost(pair: tuple[PostgreSQL, Standby], tmp_path: Path) -> None:
    primary, standby = pair
    url = make_url(primary.create_database("cmp")).set(host=None, port=None)
    hosts = [f"{server.host}:{server.port}" for server in pair]
    both = url.update_query_dict({"host": hosts, "target_session_attrs": "primary"})
    with simulator() as kubernetes:
        platform = Platform(
            tmp_path / "data", kubernetes, both.render_as_string(hide_password=False), separate_worker=True
        )
        with running(platform):
            processes = platform.api, platform.worker
            async with user(platform, "ada", quota_cpu=999, quota_instances=9999, quota_clusters=9999) as ada:
                answers: Counter[str] = Counter()
                made: list[str] = []
                numbers = itertools.count()
                writing = [asyncio.create_task(_write(ada, numbers, answers, made)) for _ in range(_WRITERS)]
                await _more(made, 20)
                await asyncio.to_thread(primary.kill)
                await asyncio.sleep(_SECONDS_WITHOUT)
                assert answers["503"], answers
                await asyncio.to_thread(standby.promote)
                await _more(made, 20)
                for task in writing:
                    task.cancel()
                await asyncio.gather(*writing, return_exceptions=True)
                assert set(answers) == {"201", "503"}, answers
                kept = {name async for name in _listed(ada)}
                assert set(made) <= kept
                # Who was not answered may ask again; what came of it is whole, and goes away whole.
                answer = await ada.delete(f"/clusters/{made[0]}", params={"wait": 60})
                assert answer.json()["operation"]["status"] == "succeeded", answer.text

                async def all_run() -> bool:
                    return [row async for row in _listed(ada, phase="running")] == [row async for row in _listed(ada)]

                await eventually(all_run, "what was wished on either runs")
            assert processes == (platform.api, platform.worker)
            assert all(process is not None and process.poll() is None for process in processes)
        assert ledger_off(standby, "cmp") == 0


async def test_a_host_that_says_nothing_is_got_past(postgresql: PostgreSQL) -> None:
    """As one that lost its power: nothing refuses. And a connection to one that loses it later is noticed."""
    url = make_url(postgresql.create_database("silent")).set(host=None, port=None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = [f"127.0.0.1:{silent.getsockname()[1]}", f"{postgresql.host}:{postgresql.port}"]
        both = url.update_query_dict({"host": hosts, "target_session_attrs": "primary", "timeout": "60"})
        database = Database(both.render_as_string(hide_password=False))
        async with asyncio.timeout(30):
            await database.open()
            await database.ping()
            assert database.postgres is not None
            async with database.postgres.acquire() as driver, database.engine.connect() as connection:
                ours = (await connection.get_raw_connection()).driver_connection
                assert ours is not None
                for found in (driver, ours):
                    carried = found._transport.get_extra_info("socket")
                    assert carried.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                    assert carried.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        await database.close()


async def _write(ada: httpx.AsyncClient, numbers: Iterator[int], answers: Counter[str], made: list[str]) -> None:
    while True:
        name = f"c{next(numbers)}"
        wish = {"name": name, "instance_type": "container", "cpu_per_instance": "10m", "memory_per_instance": 16}
        answer = await ada.post("/clusters/", json=wish)
        answers[str(answer.status_code)] += 1
        if answer.status_code == 201:
            made.append(name)
        await asyncio.sleep(0.05)


async def _more(made: list[str], number: int) -> None:
    wanted = len(made) + number

    async def enough() -> bool:
        return len(made) >= wanted

    await eventually(enough, f"{number} more are made")


async def _listed(ada: httpx.AsyncClient, **wanted: str) -> AsyncIterator[str]:
    cursor: dict[str, str] = {}
    while True:
        page = (await ada.get("/clusters/", params={"limit": 500, **wanted, **cursor})).json()
        for row in page["items"]:
            yield row["name"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}
