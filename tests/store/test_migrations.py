"""Schema versions: up, down, up again; what they make is what the models say; one head; one migrates."""

import asyncio

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app import migrations
from app.database import Database
from app.models import Base
from tests.conftest import Databases

KINDS = ("sqlite", "postgresql", "mariadb", "mysql")


async def test_up_down_and_up_again(databases: Databases) -> None:
    database = Database(databases.empty())
    await database.open()
    try:
        assert await migrations.upgrade(database)
        assert not await migrations.upgrade(database)
        assert await migrations.current(database) == migrations.head()
        assert await _drift(database) == []
        await migrations.downgrade(database, "base")
        assert await _tables(database) <= {"alembic_version"}
        assert await migrations.upgrade(database)
        assert await _drift(database) == []
    finally:
        await database.close()


async def test_of_several_that_start_at_once_one_migrates(databases: Databases) -> None:
    url = databases.empty()
    # An SQLite file takes no second process, so there is nobody to race with.
    several = [Database(url) for _ in range(1 if databases.kind == "sqlite" else 3)]
    try:
        done = await asyncio.gather(*(migrations.upgrade(database) for database in several))
        assert sorted(done) == [False] * (len(several) - 1) + [True]
        assert await _drift(several[0]) == []
    finally:
        for database in several:
            await database.close()


def test_one_head() -> None:
    assert len(ScriptDirectory.from_config(migrations.config()).get_heads()) == 1


async def _drift(database: Database) -> list[object]:
    def compare(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)


async def _tables(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: set(sa.inspect(sync).get_table_names()))
