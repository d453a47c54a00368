"""`api`: the API on each kind of database, one for each test module."""

from collections.abc import AsyncIterator

import pytest

from app.database import is_retryable
from tests.api.running import Api, running_api


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors after which a transaction was run again."""
    found: list[BaseException] = []

    def noted(error: BaseException) -> bool:
        found.append(error)
        return is_retryable(error)

    monkeypatch.setattr("app.database.is_retryable", noted)
    return found


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data")) as api:
        yield api
