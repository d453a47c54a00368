"""One simulator for all tests here, as a program of its own; a fresh SQLite file and user for each test."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.database import Database
from app.settings import Settings
from tests.reconciler.world import Kubernetes, World, made_world

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--exit-with-parent", "--speed", "4"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            _, found, url = line.strip().partition("simulator ready on ")
            if found:
                break
        else:
            raise RuntimeError("the simulator ended before it was ready")
        yield url
        process.terminate()


@pytest_asyncio.fixture
async def kubernetes(simulator: str) -> AsyncIterator[Kubernetes]:
    kubernetes = Kubernetes(simulator)
    yield kubernetes
    await kubernetes.no_faults()
    await kubernetes.close()


def settings_for(path: Path, **more: object) -> Settings:
    return Settings(data_dir=path, **{"lease_seconds": 5, "sweep_seconds": 30, **more})  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def still_world(tmp_path: Path, kubernetes: Kubernetes) -> AsyncIterator[World]:
    """With no reconciler at work yet."""
    settings = settings_for(tmp_path)
    database = Database(settings.database())
    await database.open()
    yield await made_world(database, kubernetes, settings)
    await database.close()


@pytest_asyncio.fixture
async def world(still_world: World) -> AsyncIterator[World]:
    async with still_world.running():
        yield still_world
