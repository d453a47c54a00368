"""Live events go on whatever one look at the table meets; what ends is told, however it ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.database import Session
from app.store import events
from tests.api.running import Api, running_api

KINDS = ("sqlite",)


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data")) as api:
        yield api


async def test_live_events_survive_a_look_that_fails(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()
    look, failures = events.all_since, 0

    async def fails(session: Session, after: int, limit: int) -> object:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise RuntimeError("nobody foresaw this")
        return await look(session, after, limit)

    monkeypatch.setattr(events, "all_since", fails)
    async with api.state.broadcaster.listening(None) as listener:
        await user.cluster("web")
        async with asyncio.timeout(10):
            while (await listener.queue.get())["cluster_name"] != "web":
                continue


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
