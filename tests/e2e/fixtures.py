"""pytest plugin: CMP as a process beside whatever a module's or folder's `eyes` look at, and somebody who uses it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import Platform, running, user


@pytest.fixture(scope="module")
def platform(eyes: KubeEyes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(Platform(tmp_path_factory.mktemp("platform"), eyes.kubernetes)) as started:
        yield started


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with user(platform, "ada", quota_cpu=8, quota_memory="8Gi", quota_storage="1Gi") as client:
        yield client
