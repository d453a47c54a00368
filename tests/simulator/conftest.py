"""One simulator per test, in the test's own process."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.rig import Rig, running


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running() as made:
        yield made
