"""Containers are suspended on a real node by the real node agent, as deploy/ installs it, through CMP's HTTP API only.

The tests stand in the order of one story: before the agent is there, with it, and while everything restarts.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from testbed.node import Node, images
from tests.e2e.disks import path, provided
from tests.e2e.platform import eventually
from tests.node.agent import Agent

pytestmark = pytest.mark.node

SIZE = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 32}
NAME = "kept-instance-1"
DISK = "cmp-test-suspend"
# Counts in memory, is always busy, and leaves word when it is asked to end.
BUSY = "trap 'echo asked to end >> /data/log; exit 0' TERM; (while :; do :; done) & /web & wait"
KEPT: dict[str, Any] = {
    "command": ["/bin/sh", "-c", BUSY],
    "ports": [{"port": 80}],
    "volumes": [{"type": "persistent", "name": "data", "mount_path": "/data", "size": "64Mi"}],
}


@pytest.fixture(scope="module")
async def kept(ada: httpx.AsyncClient, node: Node, agent: Agent) -> AsyncIterator["Kept"]:
    with provided(node, DISK, size="1Gi"):
        yield Kept(node, (await _made(ada, "kept", container=KEPT))["namespace"])
        await _delete(ada, "kept")


async def test_without_an_agent_it_is_refused(ada: httpx.AsyncClient, node: Node) -> None:
    cluster = await _made(ada, "early")
    assert _pod(node, cluster["namespace"], "early-instance-1")["spec"].get("readinessGates") is None
    found = (await ada.get("/instances/early-instance-1")).json()
    assert found["capabilities"]["suspend"] is None
    assert "suspend" not in found["allowed_operations"]
    refused = await ada.post("/instances/early-instance-1/operate", json={"operation": "suspend"})
    assert refused.status_code == 409
    assert "node agent" in refused.json()["detail"]


async def test_what_was_there_before_the_agent_is_suspended_too(ada: httpx.AsyncClient, agent: Agent) -> None:
    await eventually(_can_suspend(ada, "early-instance-1"), "CMP sees that the agent has come")
    await _operate(ada, "early-instance-1", "suspend", "suspended")
    await _operate(ada, "early-instance-1", "resume", "running")
    await _delete(ada, "early")


async def test_memory_is_kept_and_no_time_is_used(ada: httpx.AsyncClient, kept: "Kept") -> None:
    counted = [kept.count() for _ in range(3)]
    assert counted == [1, 2, 3]
    container = kept.container()
    assert await kept.grows(), "it is always busy"
    await _operate(ada, NAME, "suspend", "suspended")
    used = kept.cpu_time()
    await asyncio.sleep(30)
    assert kept.cpu_time() == used, "while suspended it uses no time at all"
    assert (await ada.get(f"/instances/{NAME}")).json()["status"] == "suspended"
    await _operate(ada, NAME, "resume", "running")
    assert kept.count() == 4
    assert kept.container() == container
    assert await kept.grows()


async def test_services_leave_out_what_is_suspended(ada: httpx.AsyncClient, kept: "Kept") -> None:
    async def offered() -> bool:
        return await asyncio.to_thread(kept.offered)

    async def left_out() -> bool:
        return not await offered()

    await eventually(offered, "its Service leads to it")
    await _operate(ada, NAME, "suspend", "suspended")
    await eventually(left_out, "its Service leads there no more")
    await _operate(ada, NAME, "resume", "running")
    await eventually(offered, "its Service leads to it again")


async def test_it_outlives_whatever_restarts(ada: httpx.AsyncClient, kept: "Kept", agent: Agent, node: Node) -> None:
    before = kept.count()
    container = kept.container()
    await _operate(ada, NAME, "suspend", "suspended")
    used = kept.cpu_time()

    killed = agent.status()["restartCount"]
    agent.signal("SIGKILL")

    async def back() -> bool:
        status = await asyncio.to_thread(agent.status)
        return bool(status["restartCount"] > killed and status["ready"])

    await eventually(back, "the agent was killed and is started again")
    for daemon in ("containerd", "kubelet"):
        node.kill(daemon)
        node.restart(daemon)
    await asyncio.sleep(15)
    assert kept.cpu_time() == used
    assert (await ada.get(f"/instances/{NAME}")).json()["status"] == "suspended"

    await _operate(ada, NAME, "resume", "running")
    assert kept.count() == before + 1
    assert kept.container() == container
    assert (await ada.get(f"/instances/{NAME}")).json()["restarts"] == 0


async def test_what_is_frozen_ends_in_order(ada: httpx.AsyncClient, kept: "Kept", node: Node) -> None:
    """Only a process that runs can handle SIGTERM: the word that it leaves proves that it was thawed in time."""
    await _operate(ada, NAME, "suspend", "suspended")
    await _operate(ada, NAME, "stop", "stopped")
    assert kept.log() == ["asked to end"]
    await _operate(ada, NAME, "start", "running")
    await _operate(ada, NAME, "suspend", "suspended")
    node.control_plane.kubectl("delete", "pod", "-n", kept.namespace, NAME, "--timeout=60s")
    assert kept.log() == ["asked to end"] * 2

    async def told() -> bool:
        found = (await ada.get(f"/instances/{NAME}")).json()
        return (found["status"], found["reason"]) == ("stopped", "suspend_lost")

    await eventually(told, "whoever deletes it behind CMP's back loses what it held, and CMP says so")
    await _operate(ada, NAME, "start", "running")


async def test_where_the_agent_is_missing_it_is_said(
    ada: httpx.AsyncClient, kept: "Kept", agent: Agent, node: Node
) -> None:
    """Whoever runs goes on; whoever comes while CMP still believed in the agent waits for it, and is told for whom."""
    agent.remove()
    body = {"name": "late", "image": images.WEB, **SIZE}
    assert (await ada.post("/clusters/", json=body)).status_code == 201

    async def said() -> bool:
        found = (await ada.get("/instances/late-instance-1")).json()
        return found["status"] == "starting" and "node agent on node" in str(found["message"])

    async def refused() -> bool:
        return (await ada.get(f"/instances/{NAME}")).json()["capabilities"]["suspend"] is None

    await eventually(said, "it waits for the agent")
    await eventually(refused, "and nobody is offered to suspend")
    found = (await ada.get(f"/instances/{NAME}")).json()
    assert found["status"] == "running"
    answer = await ada.post(f"/instances/{NAME}/operate", json={"operation": "suspend"})
    assert answer.status_code == 409
    assert "node agent" in answer.json()["detail"]
    without = await _made(ada, "without")
    assert _pod(node, without["namespace"], "without-instance-1")["spec"].get("readinessGates") is None

    agent.install()
    await eventually(_can_suspend(ada, NAME), "the agent is back")
    await eventually(_can_suspend(ada, "late-instance-1"), "and has opened the gate")
    await _delete(ada, "late")
    await _delete(ada, "without")


async def test_probes(ada: httpx.AsyncClient, node: Node, agent: Agent) -> None:
    """A readiness probe goes unanswered, and is answered again. A liveness probe would be its end, so it is refused."""
    probe = {"command": ["/bin/busybox", "true"], "interval_seconds": 1}
    asked = await _made(ada, "asked", container={"health": {"readiness": probe}})
    await _made(ada, "alive", container={"health": {"liveness": probe}})
    before = _main(node, asked["namespace"], "asked-instance-1")
    await eventually(_can_suspend(ada, "asked-instance-1"), "a readiness probe does not stand in the way")
    await _operate(ada, "asked-instance-1", "suspend", "suspended")
    await asyncio.sleep(20)
    assert (await ada.get("/instances/asked-instance-1")).json()["status"] == "suspended"
    await _operate(ada, "asked-instance-1", "resume", "running")
    after = _main(node, asked["namespace"], "asked-instance-1")
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)

    found = (await ada.get("/instances/alive-instance-1")).json()
    assert found["capabilities"]["suspend"] is None
    refused = await ada.post("/instances/alive-instance-1/operate", json={"operation": "suspend"})
    assert refused.status_code == 409
    assert "liveness probe" in refused.json()["detail"]
    await _delete(ada, "asked")
    await _delete(ada, "alive")


class Kept:
    """The instance whose memory is watched."""

    def __init__(self, node: Node, namespace: str) -> None:
        self._node, self.namespace = node, namespace

    def count(self) -> int:
        kubectl = self._node.control_plane.kubectl
        said = kubectl("exec", "-n", self.namespace, NAME, "--", "wget", "-qO-", "http://127.0.0.1/counter")
        return int(said)

    def container(self) -> str:
        return str(_main(self._node, self.namespace, NAME)["containerID"])

    def cpu_time(self) -> int:
        """Of all that is in the Pod, in nanoseconds, as the kernel counts it."""
        uid = _pod(self._node, self.namespace, NAME)["metadata"]["uid"]
        v1 = f"/sys/fs/cgroup/cpuacct/kubepods/pod{uid}/cpuacct.usage"
        v2 = f"/sys/fs/cgroup/kubepods/pod{uid}/cpu.stat"
        text = self._node.run("sh", "-c", f"cat {v1} 2>/dev/null || cat {v2}")
        return int(text.split()[1]) * 1000 if text.startswith("usage_usec") else int(text)

    async def grows(self) -> bool:
        before = self.cpu_time()
        await asyncio.sleep(1)
        return self.cpu_time() > before

    def offered(self) -> bool:
        """Whether the Service of its cluster leads to it."""
        selector = "kubernetes.io/service-name=kept"
        said = self._node.control_plane.kubectl(
            "get", "endpointslices", "-n", self.namespace, "-l", selector, "-o", "json"
        )
        endpoints = [each for item in json.loads(said)["items"] for each in item.get("endpoints") or ()]
        return [each["conditions"]["ready"] for each in endpoints] == [True]

    def log(self) -> list[str]:
        return self._node.run("cat", f"{path(DISK)}/log").splitlines()


def _pod(node: Node, namespace: str, name: str) -> Any:
    return json.loads(node.control_plane.kubectl("get", "pod", "-n", namespace, name, "-o", "json"))


def _main(node: Node, namespace: str, name: str) -> Any:
    return _pod(node, namespace, name)["status"]["containerStatuses"][0]


def _can_suspend(client: httpx.AsyncClient, name: str) -> Any:
    async def look() -> bool:
        return bool((await client.get(f"/instances/{name}")).json()["capabilities"]["suspend"] == "freeze")

    return look


async def _made(client: httpx.AsyncClient, name: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "image": images.WEB, **SIZE, **more}
    made = await client.post("/clusters/", params={"wait": 60}, json=body)
    assert made.status_code == 201, made.text
    cluster: dict[str, Any] = made.json()
    assert cluster["phase"] == "running", cluster
    return cluster


async def _operate(client: httpx.AsyncClient, name: str, operation: str, becomes: str) -> None:
    began = time.monotonic()
    answer = await client.post(f"/instances/{name}/operate", params={"wait": 90}, json={"operation": operation})
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["status"] == becomes, answer.text
    print(f"{name}: {operation} took {time.monotonic() - began:.2f} s")


async def _delete(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.delete(f"/clusters/{name}", params={"wait": 120})
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
