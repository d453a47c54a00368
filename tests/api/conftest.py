"""`api`: the API on each kind of database, one for each test module."""

from collections.abc import AsyncIterator

import pytest

from tests.api.running import Api, running_api


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data")) as api:
        yield api
