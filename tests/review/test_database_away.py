"""The database goes away for a while and returns: 503 meanwhile, never a 500, and everything works again by itself."""

import asyncio
import logging
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.databases import DatabaseServer, MariaDB, PostgreSQL
from tests.api.running import Api, Caller, running_api, wish
from tests.conftest import Databases

SERVERS = {"postgresql": (PostgreSQL, signal.SIGINT), "mariadb": (MariaDB, signal.SIGTERM)}
KINDS = tuple(SERVERS)


@pytest.fixture(scope="module")
def databases(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """On a server of its own, to be killed."""
    request.getfixturevalue(database_kind)  # skips where there is none
    server: DatabaseServer = SERVERS[database_kind][0](fast=True)
    with server:
        yield Databases(database_kind, server, tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_it_returns(databases: Databases, database_kind: str, how: str, tmp_path: Path) -> None:
    server = databases.server
    assert server is not None
    # SQLAlchemy's pool says of each connection, at length, that it is lost.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    async with running_api(await databases.migrated(), tmp_path) as api:
        user = await api.user()
        user.event_hooks = {"response": []}
        answers: Counter[str] = Counter()
        asking = [asyncio.create_task(_ask(user, answers)) for _ in range(8)]
        await asyncio.sleep(1)
        process = server._process
        assert process is not None
        await asyncio.to_thread(process.stop, signal.SIGKILL if how == "kill" else SERVERS[database_kind][1])
        await asyncio.sleep(1)
        assert any(" 503" in answer for answer in answers), answers
        await asyncio.to_thread(server.restart)
        await asyncio.sleep(2)
        assert not any(" 500" in answer for answer in answers), answers
        answers.clear()
        await asyncio.sleep(1)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert {answer.split()[1] for answer in answers} == {"200", "201"}, answers
        assert await _told(api)
        quota = (await user.get("/users/me/quota")).json()["used"]["clusters"]
        assert quota == await _counted(user)


async def _ask(user: Caller, answers: Counter[str]) -> None:
    while True:
        for method, path in (
            ("GET", "/clusters/"),
            ("GET", "/users/me"),
            ("POST", "/clusters/"),
            ("GET", "/instances/"),
        ):
            body = wish(f"c{uuid.uuid4().hex[:12]}") if method == "POST" else None
            answer = await user.request(method, path, json=body)
            answers[f"{answer.request.method} {answer.status_code} {answer.request.url.path}"] += 1
            await asyncio.sleep(0.01)


async def _told(api: Api) -> bool:
    """Live events reach a listener again."""
    user = await api.user()
    async with api.state.broadcaster.listening(None) as listener:
        await user.cluster()
        async with asyncio.timeout(5):
            while (row := await listener.next()) and row["kind"] != "cluster.created":
                continue
    return row is not None


async def _counted(user: Caller) -> int:
    params: dict[str, str | int] = {"limit": 500}
    count = 0
    while True:
        page = (await user.get("/clusters/", params=params)).json()
        count += len(page["items"])
        if page["next_cursor"] is None:
            return count
        params["cursor"] = page["next_cursor"]
