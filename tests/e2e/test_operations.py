"""The table of operations on the simulator, for both kinds; tests/node and tests/kubevirt try it on real engines."""

from pathlib import Path

import pytest

from tests.e2e.operations import LEADS_TO, tried
from tests.e2e.platform import Platform, running, simulator, user


@pytest.mark.parametrize("kind", ["container", "vm"])
async def test_every_operation_in_every_state(kind: str, tmp_path: Path) -> None:
    body = {"name": "each", "instance_type": kind, "cpu_per_instance": 0.1, "memory_per_instance": 64}
    with simulator("--speed", "4") as kubernetes, running(Platform(tmp_path / "data", kubernetes)) as platform:
        async with user(platform, "ada") as ada:
            made = await ada.post("/clusters/", params={"wait": 60}, json=body)
            assert made.json()["phase"] == "running", made.text
            assert await tried(ada, "each-instance-1", kind) == LEADS_TO[kind]
            deleting = await ada.delete("/clusters/each", params={"wait": 60})
            assert deleting.json()["operation"]["status"] == "succeeded"
