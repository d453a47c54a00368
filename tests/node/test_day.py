"""A whole day of a container cluster on a real node, through CMP's HTTP API only: twenty web servers to nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import yaml

from testbed.node import Node, images
from tests.e2e.kube_eyes import KubeEyes, on_control_plane
from tests.e2e.operations import LEADS_TO, tried
from tests.e2e.platform import ROOT, Platform, eventually, running, user
from tests.e2e.sockets import Streams, until
from tests.node.test_suspend import Agent

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]

BODY = {
    "name": "day",
    "instance_type": "container",
    "instance_count": 20,
    "cpu_per_instance": "10m",
    "memory_per_instance": 24,
    "image": images.WEB,
}
NAME = "day-instance-1"


@pytest.fixture(scope="module")
def eyes(node: Node) -> KubeEyes:
    rules = yaml.safe_load((ROOT / "deploy/kubernetes/rbac.yaml").read_text())["rules"]
    return on_control_plane(node.control_plane, str(node.control_plane.service_account("cmp-day", rules)))


@pytest.fixture(scope="module")
def agent(node: Node) -> Iterator[Agent]:
    agent = Agent(node)
    agent.install()
    yield agent
    node.control_plane.kubectl("delete", "-f", "-", "--timeout=60s", stdin=agent.manifest)


@pytest.fixture(scope="module")
def platform(eyes: KubeEyes, agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(Platform(tmp_path_factory.mktemp("platform"), eyes.kubernetes)) as started:
        yield started


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with user(platform, "day", quota_cpu=8, quota_memory="8Gi") as client:
        yield client


async def test_a_day(ada: httpx.AsyncClient, platform: Platform, eyes: KubeEyes, node: Node) -> None:
    streams = Streams(platform.url, ada.headers["Authorization"].removeprefix("Bearer "))
    made = await ada.post("/clusters/", params={"wait": 200}, json=BODY, timeout=220)
    assert made.status_code == 201, made.text
    cluster = made.json()
    assert (cluster["phase"], cluster["ready_instances"]) == ("running", 20)
    counts = [await _count(streams, NAME) for _ in range(3)]
    assert counts == [1, 2, 3]

    assert (await _scaled(ada, 30))["ready_instances"] == 30
    shown = await _scaled(ada, 10)
    assert [i["instance_name"] for i in shown["instances"]] == [f"day-instance-{n}" for n in range(1, 11)]
    assert len(eyes.pods(cluster["namespace"])) == 10
    assert (await ada.get("/users/me/quota")).json()["used"]["instances"] == 10

    await _operated(ada, "suspend", "suspended")
    await asyncio.sleep(60)
    await _operated(ada, "resume", "running")
    assert await _count(streams, NAME) == 4, "it goes on where it stood"

    uids = _uids(eyes, cluster["namespace"])
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "day-instance-2"}}
    eyes.create(f"/api/v1/namespaces/{cluster['namespace']}/pods/day-instance-2/eviction", eviction)
    await eventually(lambda: _replaced(ada, eyes, cluster["namespace"], uids, ["day-instance-2"]), "evicted and healed")

    uids = _uids(eyes, cluster["namespace"])
    node.control_plane.kubectl("drain", node.name, "--force", "--ignore-daemonsets", "--timeout=120s")
    node.control_plane.kubectl("uncordon", node.name)
    await eventually(lambda: _replaced(ada, eyes, cluster["namespace"], uids, list(uids)), "drained and healed", 180)

    gone = await ada.delete("/clusters/day", params={"wait": 200}, timeout=220)
    assert gone.json()["operation"]["status"] == "succeeded", gone.text
    assert eyes.namespace(cluster["namespace"]) is None
    assert set((await ada.get("/users/me/quota")).json()["used"].values()) == {0}


async def test_every_operation_in_every_state(ada: httpx.AsyncClient) -> None:
    made = await ada.post("/clusters/", params={"wait": 60}, json=BODY | {"name": "each", "instance_count": 1})
    assert made.json()["phase"] == "running", made.text
    assert await tried(ada, "each-instance-1", "container") == LEADS_TO["container"]
    await ada.delete("/clusters/each", params={"wait": 60})


async def _scaled(client: httpx.AsyncClient, count: int) -> dict[str, Any]:
    answer = await client.post("/clusters/day/scale", params={"wait": 200}, json={"instance_count": count}, timeout=220)
    assert answer.status_code == 200, answer.text
    cluster: dict[str, Any] = answer.json()
    assert cluster["operation"]["status"] == "succeeded", cluster["operation"]
    return cluster


async def _operated(client: httpx.AsyncClient, operation: str, becomes: str) -> None:
    answer = await client.post(f"/instances/{NAME}/operate", params={"wait": 60}, json={"operation": operation})
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["status"] == becomes, answer.text


async def _count(streams: Streams, name: str) -> int:
    """What its web server counted so far, asked through port-forward."""
    async with streams.open(f"{name}/port-forward/80") as connection:
        await connection.send(b"GET /counter HTTP/1.0\r\n\r\n")
        answer = await until(connection, b"\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200"), answer
        return int(body or bytes(await connection.recv(decode=False)))


def _uids(eyes: KubeEyes, namespace: str) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in eyes.pods(namespace)}


async def _replaced(
    client: httpx.AsyncClient, eyes: KubeEyes, namespace: str, before: dict[str, str], names: list[str]
) -> bool:
    now = await asyncio.to_thread(_uids, eyes, namespace)
    cluster = (await client.get("/clusters/day")).json()
    return cluster["ready_instances"] == 10 and all(now.get(name) not in (None, before[name]) for name in names)
