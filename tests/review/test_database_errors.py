"""Whose fault an error is: only what the database does wrong is said to be "the database does not answer"."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from app.database import Database, TryAgain
from app.errors import Unavailable
from app.models import User
from tests.reconciler.conftest import settings_for
from tests.reconciler.world import made_world


async def test_our_own_mistakes_keep_their_names(database: Database, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with database.transaction():
            (tmp_path / "missing" / "file").write_text("x")
    with pytest.raises(exc.DBAPIError):
        async with database.transaction() as session:
            await session.execute(sa.text("SELECT no_such_column FROM users"))
    with pytest.raises(exc.DBAPIError):
        async with database.transaction() as session:
            await session.execute(sa.text("INSERT INTO no_such_table VALUES (1)"))
    with pytest.raises(KeyError):
        async with database.transaction():
            raise KeyError(2013)


async def test_a_broken_check_is_no_outage(database: Database, tmp_path: Path) -> None:
    world = await made_world(database, None, settings_for(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(exc.DBAPIError):
        async with database.transaction() as session:
            await session.execute(sa.update(User).values(used_cpu=-1))
    assert (await world.used())[0].cpu == 0


async def test_what_never_stops_conflicting_is_an_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_seconds: float) -> None:
        return None

    async def always(_session: object) -> None:
        raise TryAgain

    monkeypatch.setattr("app.database.transactions.asyncio.sleep", at_once)
    with pytest.raises(Unavailable):
        await database.run(always)
