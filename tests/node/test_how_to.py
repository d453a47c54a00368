"""The instance type that docs/how-to/add-an-instance-type.md adds, on a real node: it completes, fails, is too slow."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testbed.node import images
from tests.e2e import how_to
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import Platform, eventually, running
from tests.e2e.test_how_to import TYPE

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def platform(eyes: KubeEyes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    tree = how_to.done(tmp_path_factory.mktemp("how-to"), TYPE)
    folder: Path = tmp_path_factory.mktemp("platform")
    with running(Platform(folder, eyes.kubernetes, root=tree)) as started:
        yield started


async def test_what_the_how_to_tries(platform: Platform) -> None:
    environment = {"CMP_PORT": str(platform.port), "CMP_DATA_DIR": str(platform.data_dir), "IMAGE": images.BUSYBOX}
    pasted = how_to.run(platform.root, "bash", "-ec", how_to.requests(TYPE), **environment)
    done, wrong = how_to.answers(pasted)[-2:]
    assert (done["status"], done["reason"]) == ("stopped", "completed")
    assert (wrong["status"], wrong["reason"]) == ("failed", "exited")
    assert "exit code 3" in wrong["message"]
    async with platform.client() as admin:
        again = await admin.post("/instances/done-instance-1/operate", json={"operation": "start"}, params={"wait": 60})
        assert again.status_code == 200, again.text
        await _becomes(admin, "done-instance-1", "stopped", "completed")


async def test_what_is_too_slow(platform: Platform) -> None:
    command = ["sh", "-c", "trap 'exit 1' TERM; sleep 600 & wait"]
    body = {
        "name": "slow", "instance_type": "batch", "cpu_per_instance": "100m", "memory_per_instance": 32,
        "image": images.BUSYBOX, "batch": {"command": command, "deadline_seconds": 2},
    }  # fmt: skip
    async with platform.client() as admin:
        assert (await admin.post("/clusters/", json=body)).status_code == 201
        await _becomes(admin, "slow-instance-1", "failed", "deadline")


async def _becomes(admin: httpx.AsyncClient, name: str, status: str, reason: str) -> None:
    async def is_so() -> bool:
        seen = (await admin.get(f"/instances/{name}")).json()
        return (seen["status"], seen["reason"]) == (status, reason)

    await eventually(is_so, f"{name} is {status}, {reason}")
