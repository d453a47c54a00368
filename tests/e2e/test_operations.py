"""The table of operations on the simulator, for both kinds; tests/node and tests/kubevirt try it on real engines."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.models import InstanceStatus as Is
from tests.e2e.kube_eyes import on_simulator
from tests.e2e.operations import LIMITS, Engine, differences, refusals
from tests.e2e.platform import Platform, running, simulator, user

SIZE = {"cpu_per_instance": 0.1, "memory_per_instance": 64}
FOR_EVER = 1e6


@pytest.mark.timeout(600)
async def test_every_operation_in_every_state(tmp_path: Path) -> None:
    """Both kinds at once, each on its own: both wait out how long CMP has patience with an image."""
    found = await asyncio.gather(*(_differences(tmp_path / kind, kind) for kind in ("container", "vm")))
    assert found == [[], []]


async def test_without_a_node_agent_nothing_is_suspended(tmp_path: Path) -> None:
    body = {"name": "each", "instance_type": "container", **SIZE}
    with simulator("--no-node-agent") as kubernetes, running(Platform(tmp_path / "data", kubernetes)) as platform:
        async with user(platform, "ada") as ada:
            made = await ada.post("/clusters/", params={"wait": 60}, json=body)
            assert made.json()["phase"] == "running", made.text
            assert await refusals(ada, "each-instance-1", "running", ["stop", "restart", "replace"]) == []
            refused = await ada.post("/instances/each-instance-1/operate", json={"operation": "suspend"})
            assert "node agent" in refused.json()["detail"]


async def _differences(folder: Path, kind: str) -> list[str]:
    # As on a real node under load: a VM is seen to start before anybody knows whether there is a place for it.
    slow = ("--set", "schedule_delay=2", "--speed", "4", "--node-memory", "64Gi")
    with simulator(*slow) as url, running(Platform(folder, url)) as platform:
        async with user(platform, "ada", **LIMITS) as ada:
            return await differences(ada, _engine(url, kind))


def _engine(kubernetes: str, kind: str) -> Engine:
    body = {"instance_type": kind, **SIZE}
    deaf = _set(kubernetes, {"guest_stop_delay" if kind == "vm" else "stop_delay": FOR_EVER})
    hung = _unpausable(kubernetes) if kind == "vm" else _set(kubernetes, {"node_agent": False})
    holds = {Is.STOPPING: deaf, Is.DELETING: deaf, Is.SUSPENDING: hung}
    return Engine(on_simulator(kubernetes), body, body, holds)


def _set(kubernetes: str, wanted: Mapping[str, Any]) -> Callable[[], AbstractContextManager[None]]:
    @contextlib.contextmanager
    def held() -> Iterator[None]:
        settings = f"{kubernetes}/__simulator__/settings"
        before = httpx.get(settings).raise_for_status().json()
        httpx.patch(settings, json=dict(wanted)).raise_for_status()
        try:
            yield
        finally:
            httpx.patch(settings, json={name: before[name] for name in wanted}).raise_for_status()

    return held


def _unpausable(kubernetes: str) -> Callable[[], AbstractContextManager[None]]:
    """As where virt-handler hangs: virt-api waits for it, then answers 500."""

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        faults = f"{kubernetes}/__simulator__/faults"
        httpx.post(faults, json={"kind": "500", "subresource": "pause"}).raise_for_status()
        try:
            yield
        finally:
            httpx.delete(faults).raise_for_status()

    return held
