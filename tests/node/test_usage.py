"""What a real container uses, measured by a real metrics-server, read through CMP's API with the rights of deploy/."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from testbed import Unavailable
from testbed.node import Node, images, metrics
from tests.e2e.platform import Platform, eventually, user

pytestmark = pytest.mark.node

SIZE = {"instance_type": "container", "instance_count": 1, "cpu_per_instance": "500m", "memory_per_instance": 128}


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a container that works as hard as it may, and one that does nothing."""
    async with user(platform, "usage", quota_cpu=8, quota_memory="8Gi") as client:
        busy = {"image": images.BUSYBOX, "container": {"args": ["sh", "-c", "trap 'exit 0' TERM; while :; do :; done"]}}
        for body in ({"name": "busy", **busy}, {"name": "idle", "image": images.WEB}):
            made = await client.post("/clusters/", params={"wait": 60}, json=body | SIZE)
            assert made.json()["phase"] == "running", made.text
        yield client
        for name in ("busy", "idle"):
            await client.delete(f"/clusters/{name}", params={"wait": 60})


async def test_without_a_metrics_api_it_is_said(ada: httpx.AsyncClient) -> None:
    answer = await ada.get("/instances/idle-instance-1/usage")
    assert (answer.status_code, answer.json()["code"]) == (409, "unsupported")
    assert "metrics-server" in answer.json()["detail"]


async def test_it_is_measured(ada: httpx.AsyncClient, node: Node) -> None:
    try:
        with metrics.running(node) as version:

            async def measured(name: str) -> dict[str, Any]:
                async def look() -> dict[str, Any] | None:
                    answer = await ada.get(f"/instances/{name}/usage")
                    if answer.status_code == 200:
                        return dict(answer.json())
                    assert answer.json()["code"] == "wrong_state", answer.text
                    return None

                return dict(await eventually(look, f"{name} is measured", 90))

            busy, idle = await measured("busy-instance-1"), await measured("idle-instance-1")
            print(f"metrics-server {version}: busy {busy}, idle {idle}")
            assert 0.3 < busy["cpu"] < 0.6, "it may use half a core"
            assert idle["cpu"] < 0.1
            assert 0 < idle["memory"] < 128
            for usage in (busy, idle):
                assert usage["source"] == "metrics.k8s.io"
                assert usage["window_seconds"] > 0
                age = datetime.now(UTC) - datetime.fromisoformat(str(usage["timestamp"]))
                assert timedelta(seconds=-5) < age < timedelta(minutes=2)
    except Unavailable as reason:
        pytest.skip(str(reason))
    answer = await ada.get("/instances/idle-instance-1/usage")
    assert answer.status_code == 409
