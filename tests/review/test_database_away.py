"""The database goes away for a while and returns: refusals meanwhile, never a 500, and everything works again by itself."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import Unavailable
import structlog
from fastapi import Response
from app.routers import problems
from testbed.databases import DatabaseServer, MariaDB, PostgreSQL
from tests.api.running import Api, running_api, wish
from tests.conftest import Databases

SERVERS = {"postgresql": PostgreSQL, "mariadb": MariaDB}
KINDS = tuple(SERVERS)


@pytest.fixture(scope="module")
def databases(database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """On a server of its own, to be killed."""
    request.getfixturevalue(database_kind)  # skips where there is none
    server: DatabaseServer = SERVERS[database_kind](fast=True)
    with server:
        yield Databases(database_kind, server, tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_it_returns(
    databases: Databases, database_kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unforeseen: Counter[str] = Counter()
    answered = problems.unexpected

    def noted(error: Exception) -> Response:
        unforeseen[repr(error)[:300]] += 1
        return answered(error)

    monkeypatch.setattr(problems, "unexpected", noted)
    server = databases.server
    assert server is not None
    async with running_api(await databases.migrated(), tmp_path) as api:
        user = await api.user()
        user.event_hooks = {"response": []}
        answers: Counter[str] = Counter()
        stop = asyncio.Event()

        async def asking(n: int) -> None:
            while not stop.is_set():
                for answer in (
                    await user.get("/clusters/"),
                    await user.get("/users/me"),
                    await user.post("/clusters/", json=wish(f"c{uuid.uuid4().hex[:12]}")),
                    await user.get("/instances/"),
                ):
                    answers[f"{answer.request.method} {answer.request.url.path} {answer.status_code}"] += 1
                await asyncio.sleep(0.01)

        asked = [asyncio.create_task(asking(n)) for n in range(8)]
        await asyncio.sleep(1)
        if how == "kill":
            await asyncio.to_thread(server.kill)
        else:
            await asyncio.to_thread(server._process.stop, 2 if database_kind == "postgresql" else 15)  # type: ignore[union-attr]
        await asyncio.sleep(3)
        before = dict(answers)
        await asyncio.to_thread(server.restart)
        await asyncio.sleep(2)
        answers.clear()
        await asyncio.sleep(1)
        after = dict(answers)
        stop.set()
        await asyncio.gather(*asked)
        print('RESULT', how, before, after, unforeseen)
        assert any(key.endswith("503") for key in before), before
        assert not any(key.endswith("500") for key in [*before, *answers]), before
        assert after
        assert not any(key[-3] == "5" for key in after), after
        assert await _told(api)


async def _told(api: Api) -> bool:
    """Live events reach a listener again."""
    user = await api.user()
    async with api.state.broadcaster.listening(None) as listener:
        await user.cluster()
        async with asyncio.timeout(5):
            while (await listener.queue.get())["kind"] != "cluster.created":
                continue
    return True
