"""`api`: the API on each kind of database, one for each test module."""

from collections.abc import AsyncIterator

import pytest

from app.database import is_retryable
from app.services import streams
from tests.api.echo import EchoReach, reaching
from tests.api.running import Api, running_api
from tests.conftest import Databases


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors after which a transaction was run again."""
    found: list[BaseException] = []

    def noted(error: BaseException) -> bool:
        found.append(error)
        return is_retryable(error)

    monkeypatch.setattr("app.database.transactions.is_retryable", noted)
    return found


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data")) as api:
        yield api


@pytest.fixture
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Api, EchoReach]]:
    monkeypatch.setattr(streams, "CHECK_SECONDS", 0.1)
    limits = {"streams_per_account": 3, "streams_per_process": 4}
    async with reaching(await databases.migrated(), tmp_path_factory.mktemp("data"), **limits) as made:
        yield made
