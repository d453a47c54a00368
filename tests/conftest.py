"""The databases that tests run on: SQLite always, and each real server that can be had here.

A test that takes `database_kind` (or `database_url`, `database`, `api`, which stand on it) runs once for each of its
module's `KINDS`, on a database of the module's own.
"""

import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app import migrations
from app.database import Database
from testbed.databases import DatabaseServer

pytest_plugins = ["tests.secrets_in_logs", "testbed.fixtures", "tests.e2e.fixtures", "pytester"]

KINDS = ("sqlite", "postgresql", "mariadb")
_TEMPLATE = "cmp_migrated"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", getattr(metafunc.module, "KINDS", KINDS), scope="module", indirect=True)


class Databases:
    """Makes empty and migrated databases, of one kind; they go when their server or directory goes."""

    def __init__(self, kind: str, server: DatabaseServer | None, directory: Path) -> None:
        self.kind = kind
        self.server = server
        self._directory = directory

    def empty(self) -> str:
        name = f"t{secrets.token_hex(6)}"
        return self.server.create_database(name) if self.server else f"sqlite:///{self._directory / name}.sqlite3"

    async def migrated(self) -> str:
        """Cheaply: a copy of one that was migrated before, where copying is cheap."""
        url = self.empty() if self.kind != "postgresql" else ""
        if self.kind == "sqlite":
            template = self._directory / "template.sqlite3"
            if not template.exists():
                await _migrate(f"sqlite:///{template}")
            shutil.copyfile(template, url.removeprefix("sqlite:///"))
        elif self.kind == "postgresql":
            assert self.server is not None
            name = f"t{secrets.token_hex(6)}"
            if self.server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'") is None:
                await _migrate(self.server.create_database(_TEMPLATE))
            self.server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
            url = self.server.url(name)
        else:
            await _migrate(url)
        return url


@pytest.fixture(scope="module")
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def databases(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Databases:
    server = None if database_kind == "sqlite" else request.getfixturevalue(database_kind)
    return Databases(database_kind, server, tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="module")
async def database_url(databases: Databases) -> str:
    return await databases.migrated()


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def _migrate(url: str) -> None:
    async with opened(url) as database:
        await migrations.upgrade(database)
