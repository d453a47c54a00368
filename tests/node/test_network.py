"""Who reaches whom in the network, by real packets: kube-router enforces the NetworkPolicies that CMP makes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from testbed import Unavailable, packages
from testbed.node import Node, images, policies
from testbed.processes import spawn
from tests.e2e.platform import Platform, eventually, user

pytestmark = pytest.mark.node

SIZE = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 32, "image": images.WEB}
PORTS = {"container": {"ports": [{"port": 80, "name": "http"}]}}
NODES_PORT = 8099


@dataclass(frozen=True)
class Instance:
    namespace: str
    name: str
    address: str


@pytest.fixture(scope="module")
async def bob(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with user(platform, "bob", quota_cpu=8, quota_memory="8Gi") as client:
        yield client


@pytest.fixture
def dns(node: Node) -> Iterator[str]:
    """The address of a Pod in kube-system that listens where a DNS server does, and at 54, where none does."""
    serve = "echo > /etc/index.html; busybox httpd -p 53 -h /etc; exec busybox httpd -f -p 54 -h /etc"
    container = {
        "name": "main",
        "image": images.BUSYBOX,
        "command": ["sh", "-c", serve],
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dns", "namespace": "kube-system"}, "spec": spec}
    plane = node.control_plane
    plane.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    plane.kubectl("wait", "-n", "kube-system", "pod/dns", "--for=condition=Ready", "--timeout=60s")
    yield str(json.loads(plane.kubectl("get", "-n", "kube-system", "pod", "dns", "-o", "json"))["status"]["podIP"])
    plane.kubectl("delete", "-n", "kube-system", "pod", "dns", "--timeout=60s")


@pytest.fixture
def listening_node(node: Node) -> Iterator[str]:
    busybox = packages.unpacked("busybox-static") / "bin/busybox"
    process = spawn("httpd", node.enter(busybox, "httpd", "-f", "-p", str(NODES_PORT), "-h", "/etc"), node.directory)
    yield f"http://{node.address}:{NODES_PORT}/hostname"
    process.kill()


async def test_tenants_do_not_reach_each_other(
    ada: httpx.AsyncClient, bob: httpx.AsyncClient, node: Node, dns: str, listening_node: str
) -> None:
    front = await _made(ada, node, "front", instance_count=2, **PORTS)
    [back] = await _made(ada, node, "back", instance_count=1)
    [other] = await _made(bob, node, "other", instance_count=1, **PORTS)
    reaches = _Reaches(node)
    ways = {
        "same cluster": (front[0], _url(front[1]), True),
        "same owner, declared port": (back, _url(front[0]), True),
        "same owner, port not declared": (front[0], _url(back), False),
        "from another tenant, declared port": (other, _url(front[0]), False),
        "from another tenant, port not declared": (other, _url(back), False),
        "to another tenant": (front[0], _url(other), False),
        "DNS": (front[0], f"http://{dns}:53/", True),
        "DNS of another tenant": (other, f"http://{dns}:53/", True),
        "beside DNS": (front[0], f"http://{dns}:54/", False),
        "the node": (front[0], listening_node, False),
    }
    for what, (source, url, _) in ways.items():
        await eventually(reaches(source, url, True), f"without enforcement: {what}")
    try:
        with policies.enforced(node) as version:
            print(f"kube-router {version}")
            for what, (source, url, allowed) in ways.items():
                await eventually(reaches(source, url, allowed), f"{what}: {'reached' if allowed else 'not reached'}")
            await _what_is_made_meanwhile(ada, bob, node, reaches, front[0])
            for what, (source, url, allowed) in ways.items():
                assert await reaches(source, url, allowed)(), f"{what}, after a while"
    except Unavailable as reason:
        pytest.skip(str(reason))
    for client, name in ((ada, "front"), (ada, "back"), (bob, "other")):
        await _delete(client, name)


async def _what_is_made_meanwhile(
    ada: httpx.AsyncClient, bob: httpx.AsyncClient, node: Node, reaches: "_Reaches", friend: Instance
) -> None:
    """The kubelet's probes come in, so it gets ready; then the same holds for it."""
    health = {"readiness": {"http": {"path": "/", "port": 80}, "interval_seconds": 1}}
    [late] = await _made(ada, node, "late", instance_count=1, container={**PORTS["container"], "health": health})
    [stranger] = await _made(bob, node, "stranger", instance_count=1)
    await eventually(reaches(friend, _url(late), True), "a new cluster of the same owner")
    await eventually(reaches(stranger, _url(late), False), "a new cluster of another tenant")
    await eventually(reaches(late, _url(stranger), False), "to a new cluster of another tenant")
    await _delete(ada, "late")
    await _delete(bob, "stranger")


class _Reaches:
    def __init__(self, node: Node) -> None:
        self._kubectl = node.control_plane.kubectl

    def __call__(self, source: Instance, url: str, wished: bool) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return await asyncio.to_thread(self._answered, source, url) == wished

        return look

    def _answered(self, source: Instance, url: str) -> bool:
        """Whether anything came back; `wget` alone would not tell its absence from that of `kubectl exec`."""
        fetch = f"busybox timeout -s KILL 3 wget -qO /dev/null {url} 2>/dev/null && echo yes || echo no"
        said = self._kubectl("exec", "-n", source.namespace, source.name, "--", "sh", "-c", fetch).strip()
        assert said in ("yes", "no"), said
        return said == "yes"


async def _made(client: httpx.AsyncClient, node: Node, name: str, **more: Any) -> list[Instance]:
    made = await client.post("/clusters/", params={"wait": 60}, json={"name": name, **SIZE, **more})
    assert made.status_code == 201, made.text
    cluster = made.json()
    assert cluster["phase"] == "running", cluster
    found = json.loads(node.control_plane.kubectl("get", "-n", cluster["namespace"], "pods", "-o", "json"))["items"]
    return [Instance(cluster["namespace"], pod["metadata"]["name"], pod["status"]["podIP"]) for pod in found]


async def _delete(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.delete(f"/clusters/{name}")).status_code == 202

    async def gone() -> bool:
        return (await client.get(f"/clusters/{name}")).status_code == 404

    await eventually(gone, f"{name} is gone")


def _url(instance: Instance) -> str:
    return f"http://{instance.address}/"
