"""A claim that meets releases and claims of others is refused for what is true, or fits."""

import contextlib
import uuid
from pathlib import Path

import pytest

from app import auth
from app.database import Database, Session
from app.errors import Forbidden, QuotaExceeded
from app.models import User
from app.rules.quota import Amounts
from app.store import ledger
from tests.reconciler.conftest import settings_for
from tests.reconciler.world import World, made_world

KINDS = ("postgresql", "mariadb", "mariadb_snapshot_isolation")


@pytest.fixture
async def rows(database: Database, tmp_path: Path) -> World:
    return await made_world(database, None, settings_for(tmp_path))  # type: ignore[arg-type]


@pytest.mark.parametrize("fits", [True, False])
async def test_what_is_released_meanwhile_counts(rows: World, monkeypatch: pytest.MonkeyPatch, fits: bool) -> None:
    account_id = rows.viewer.account_id
    claim = ledger.claim

    async def set_used(clusters: int) -> None:
        async with rows.database.transaction() as session:
            user = await session.get(User, account_id)
            assert user is not None
            user.used_clusters = clusters

    async def claimed(session: Session, id: uuid.UUID, amounts: Amounts) -> bool:
        monkeypatch.setattr(ledger, "claim", claim)
        done = await claim(session, id, amounts)
        await set_used(0)
        if not fits:
            await set_used(50)
        return done

    monkeypatch.setattr(ledger, "claim", claimed)
    await set_used(50)
    with contextlib.nullcontext() if fits else pytest.raises(QuotaExceeded):
        async with rows.database.transaction() as session:
            await auth.reserve(session, account_id, Amounts(clusters=1))
    assert (await rows.used())[0].clusters == (1 if fits else 50)


async def test_a_disabled_account_claims_nothing(rows: World) -> None:
    async with rows.database.transaction() as session:
        user = await session.get(User, rows.viewer.user_id)
        assert user is not None
        user.disabled_at = user.created_at
    with pytest.raises(Forbidden):
        async with rows.database.transaction() as session:
            await auth.reserve(session, rows.viewer.account_id, Amounts(clusters=1))
