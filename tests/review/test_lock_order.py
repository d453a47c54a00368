"""Accounts are locked before clusters, whatever a request carries: nothing deadlocks with the reconciler's settling."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from app import auth
from app.database import Session, is_retryable
from app.rules.quota import Amounts
from app.store import leases, ledger
from tests.api.running import Api, running_api

KINDS = ("postgresql", "mariadb")


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data")) as api:
        yield api


async def test_operating_with_if_match_locks_in_the_order_of_all(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()
    made = await user.cluster()
    path = f"/instances/{made['instances'][0]['id']}"
    assert (await user.post(f"{path}/operate", json={"operation": "stop"})).status_code == 200
    tag = (await user.get(path)).headers["etag"]
    conflicts: list[BaseException] = []
    settling: list[asyncio.Task[bool]] = []
    reserve_start = auth.reserve_start

    def noted(error: BaseException) -> bool:
        conflicts.append(error)
        return is_retryable(error)

    async def settle(session: Session) -> bool:
        await ledger.lock_account(session, uuid.UUID(user.id))
        return await leases.poke(session, uuid.UUID(made["id"]))

    async def meanwhile(session: Session, account_id: uuid.UUID, instance_id: uuid.UUID, compute: Amounts) -> None:
        settling.append(asyncio.create_task(api.database.run(settle)))
        await asyncio.sleep(0.3)
        await reserve_start(session, account_id, instance_id, compute)

    monkeypatch.setattr("app.database.transactions.is_retryable", noted)
    monkeypatch.setattr(auth, "reserve_start", meanwhile)
    started = await user.post(f"{path}/operate", json={"operation": "start"}, headers={"If-Match": tag})
    assert started.status_code == 200, started.text
    assert all(await asyncio.gather(*settling))
    assert not conflicts
