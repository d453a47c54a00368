"""How old the offers may be that a process chooses from: its own changes are known at once, others in five seconds."""

import asyncio
from typing import Any

import pytest

from app.database import Session
from app.services.catalogue import Catalogue
from app.store import catalogue as store
from tests.api.running import Api

KINDS = ("sqlite", "postgresql")


@pytest.fixture
def clock(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """That the running app's catalogue goes by."""
    now = [1000.0]
    monkeypatch.setattr(api.state, "catalogue", Catalogue(api.database, lambda: now[0]))
    return now


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One for each time that the catalogue is read."""
    seen: list[str] = []
    policy = store.policy

    async def counted(session: Session) -> Any:
        seen.append("read")
        return await policy(session)

    monkeypatch.setattr(store, "policy", counted)
    return seen


async def names(of: Catalogue) -> set[str]:
    return set((await of.offers()).flavours)


async def offer(api: Api, name: str) -> None:
    answer = await api.admin.post("/flavours/", json={"name": name, "cpu": 1, "memory": 64})
    assert answer.status_code == 201


async def test_this_process_knows_its_own_change_and_another_one_five_seconds_later(
    api: Api, clock: list[float]
) -> None:
    here, elsewhere = api.state.catalogue, Catalogue(api.database, lambda: clock[0])
    before = await names(here)
    assert await names(elsewhere) == before
    await offer(api, "later")
    assert await names(here) == before | {"later"}
    clock[0] += 4.9
    assert await names(elsewhere) == before
    clock[0] += 0.1
    assert await names(elsewhere) == before | {"later"}
    await api.admin.delete("/flavours/later")


async def test_one_reads_for_all_who_ask_at_once(api: Api, reads: list[str]) -> None:
    mine = Catalogue(api.database)
    found = await asyncio.gather(*(mine.offers() for _ in range(50)))
    assert len({id(one) for one in found}) == 1
    assert len(reads) == 1


async def test_making_clusters_reads_the_catalogue_once(api: Api, reads: list[str], clock: list[float]) -> None:
    """What is made within five seconds costs no round trip more than without a catalogue (docs/adr/0030)."""
    user = await api.user()
    api.state.catalogue.changed()
    for _ in range(5):
        await user.cluster()
    assert len(reads) == 1


async def test_what_was_read_before_a_change_is_not_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Catalogue(api.database)
    halted, go_on = asyncio.Event(), asyncio.Event()
    read = store.all_entries

    async def slowly(session: Session, table: Any) -> Any:
        found = await read(session, table)
        halted.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(store, "all_entries", slowly)
    early = asyncio.create_task(names(mine))
    await halted.wait()
    await offer(api, "meanwhile")
    mine.changed()
    late = asyncio.create_task(names(mine))
    go_on.set()
    assert "meanwhile" not in await early
    assert "meanwhile" in await late
    assert "meanwhile" in await names(mine)
    await api.admin.delete("/flavours/meanwhile")
