"""Schema versions: one line of revisions, one head. `upgrade` brings a database to it, one process at a time."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.database import Database

_LOCK = 7_236_001  # any number that nobody else on the server uses


def config() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    return settings


def head() -> str:
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None
    return revision


async def upgrade(database: Database, revision: str = "head") -> bool:
    """Migrate if need be; true when something was done. Of several processes starting at once, one migrates."""
    async with database.engine.connect() as connection:
        if revision == "head" and await connection.run_sync(_current) == head():
            return False
        await connection.rollback()
        return await connection.run_sync(_locked_upgrade, revision)


async def downgrade(database: Database, revision: str) -> None:
    async with database.engine.connect() as connection:
        await connection.run_sync(_run, command.downgrade, revision)


async def current(database: Database) -> str | None:
    async with database.engine.connect() as connection:
        return await connection.run_sync(_current)


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _locked_upgrade(connection: sa.Connection, revision: str) -> bool:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(sa.text("SET lock_timeout = '10min'"))
        connection.execute(sa.text("SET statement_timeout = '10min'"))
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    elif dialect == "mysql" and connection.scalar(sa.text("SELECT GET_LOCK('cmp_migration', 600)")) != 1:
        raise RuntimeError("another process has been migrating for ten minutes")
    connection.commit()
    before = _current(connection)
    connection.commit()
    try:
        _run(connection, command.upgrade, revision)
    finally:
        connection.rollback()
        if dialect == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        elif dialect == "mysql":
            connection.execute(sa.text("SELECT RELEASE_LOCK('cmp_migration')"))
        connection.commit()
        connection.invalidate()  # it carries changed timeouts
    return before != head()


def _run(connection: sa.Connection, verb: object, revision: str) -> None:
    settings = config()
    settings.attributes["connection"] = connection
    verb(settings, revision)  # type: ignore[operator]
