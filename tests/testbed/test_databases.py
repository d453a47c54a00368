"""The private database servers start, answer, keep what they were told, and clean up after themselves."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from testbed.databases import DatabaseServer, MariaDB, PostgreSQL


@pytest.fixture(params=["postgresql", "mariadb", "mariadb_snapshot_isolation", "mysql"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(request.param)
    return found


async def test_a_new_database_answers_through_its_url(server: DatabaseServer) -> None:
    engine = create_async_engine(server.create_database("answers"))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE words (word VARCHAR(20))"))
            await connection.execute(text("INSERT INTO words VALUES ('grüße 🚀')"))
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT word FROM words")) == "grüße 🚀"
    finally:
        await engine.dispose()
        server.drop_database("answers")


async def test_a_database_is_dropped_under_connected_clients(server: DatabaseServer) -> None:
    engine = create_async_engine(server.create_database("busy"))
    try:
        async with engine.connect() as connection:
            await connection.scalar(text("SELECT 1"))
            server.drop_database("busy")
            server.drop_database("busy")
            await connection.invalidate()
    finally:
        await engine.dispose()


def test_a_name_that_would_need_quoting_is_refused(server: DatabaseServer) -> None:
    with pytest.raises(ValueError, match="plain"):
        server.create_database('a"; DROP TABLE users')


def test_mariadb_is_strict_and_isolates_as_asked(mariadb: MariaDB, mariadb_snapshot_isolation: MariaDB) -> None:
    assert "STRICT_TRANS_TABLES" in mariadb.execute("SELECT @@sql_mode")
    assert mariadb.execute("SELECT @@innodb_snapshot_isolation") == 0
    assert mariadb_snapshot_isolation.execute("SELECT @@innodb_snapshot_isolation") == 1


def test_a_durable_server_keeps_its_data_through_kill_9_and_leaves_nothing_when_stopped() -> None:
    with PostgreSQL() as server:
        assert server.execute("SHOW fsync") == "on"
        server.create_database("kept")
        server.kill()
        server.restart()
        assert server.execute("SELECT count(*) FROM pg_database WHERE datname = 'kept'") == 1
        directory = Path(server.execute("SHOW data_directory"))
        assert directory.exists()
    assert not directory.parents[1].exists()
