"""Live events go on whatever one look at the table meets; what ends is told, however it ends."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.database import Database, Session
from app.models import Operation
from app.rules.access import Viewer
from app.store import events, operations
from testbed.processes import free_port
from tests.api.running import Api, running_api, wish
from tests.reconciler.conftest import ROOT

KINDS = ("sqlite",)


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data")) as api:
        yield api


async def test_live_events_survive_a_look_that_fails(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()
    look, failures = events.all_since, 0

    async def fails(database: Database, after: int, limit: int) -> object:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise RuntimeError("nobody foresaw this")
        return await look(database, after, limit)

    monkeypatch.setattr(events, "all_since", fails)
    async with api.state.broadcaster.listening(None) as listener:
        await user.cluster("web")
        async with asyncio.timeout(10):
            while (row := await listener.next()) and row["cluster_name"] != "web":
                continue
    assert row is not None


@pytest.mark.parametrize("newer", ["stop", "delete"])
async def test_a_superseded_operation_is_told_to_have_ended(api: Api, newer: str) -> None:
    user = await api.user()
    made = await user.cluster("web")
    one = made["instances"][0]["id"]
    first = made["operation"]["id"]
    if newer == "stop":
        first = (await user.post(f"/instances/{one}/operate", json={"operation": "stop"})).json()["operation"]["id"]
        assert (await user.post(f"/instances/{one}/operate", json={"operation": "start"})).status_code == 200
    else:
        assert (await user.delete("/clusters/web")).status_code == 202
    assert (await user.get(f"/operations/{first}")).json()["status"] == "cancelled"
    history = (await user.get("/events/history", params={"limit": 100})).json()["items"]
    ends = [item for item in history if item["kind"] == "operation.finished" and item["operation_id"] == first]
    assert [item["status"] for item in ends] == ["cancelled"]


async def test_waiting_asks_the_database_only_about_what_concerns_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user, other = await api.user(), await api.user()
    operation = (await user.cluster())["operation"]["id"]
    look, looks = operations.get, 0

    async def counted(session: Session, viewer: Viewer, id: uuid.UUID) -> Operation | None:
        nonlocal looks
        looks += 1
        return await look(session, viewer, id)

    monkeypatch.setattr(operations, "get", counted)
    waits = [asyncio.create_task(user.get(f"/operations/{operation}/wait", params={"timeout": 3})) for _ in range(20)]
    while not all(task.done() for task in waits):
        await other.cluster()
    answers = [task.result().json()["status"] for task in waits]
    assert answers == ["pending"] * 20
    assert looks <= 20 * 5


async def test_who_streams_or_waits_is_let_go_when_the_process_is_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "main"]
    environment = {
        **os.environ,
        "CMP_DATA_DIR": str(tmp_path),
        "CMP_PORT": str(port := free_port()),
        "CMP_WORKER": "separate",
        "CMP_LOG_FORMAT": "json",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=output
        )
    try:
        assert process.stdout is not None
        assert b"serves" in await process.stdout.readline()
        token = (tmp_path / "admin-token").read_text().strip()
        url = f"http://127.0.0.1:{port}/api/v1"
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as caller:
            made = (await caller.post("/clusters/", json=wish())).json()
            waits = [asyncio.create_task(caller.get(f"/operations/{made['operation']['id']}/wait")) for _ in range(4)]
            async with caller.stream("GET", "/events/") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == ": connected"
                process.terminate()
                async for _ in lines:
                    continue
            answers = await asyncio.gather(*waits)
        assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "pending")}
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert b"Traceback" not in log.read_bytes()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
