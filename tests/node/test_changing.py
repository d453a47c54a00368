"""Changing a container cluster on a real node, through CMP's HTTP API only: seen from inside the containers."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testbed.node import Node, images
from tests.e2e.disks import provided
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import eventually

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]

SIZE = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 32}


@pytest.fixture
def disks(node: Node) -> Iterator[None]:
    """Two for one claim: whoever is replaced gets the second one."""
    with provided(node, "first-disk", "second-disk"):
        yield


async def test_a_size_is_changed_under_a_running_process(ada: httpx.AsyncClient, eyes: KubeEyes, node: Node) -> None:
    cluster = await _made(ada, "grows", instance_count=2, image=images.WEB)
    namespace = cluster["namespace"]
    before = {pod["metadata"]["name"]: _container(pod) for pod in eyes.pods(namespace)}
    grown = await _changed(ada, "grows", {"cpu_per_instance": "300m", "memory_per_instance": 64})
    assert grown["operation"]["status"] == "succeeded", grown["operation"]
    assert {pod["metadata"]["name"]: _container(pod) for pod in eyes.pods(namespace)} == before, "nothing was restarted"
    for name in before:
        assert _cgroup(node, namespace, name) == (30_000, 64 * 2**20), name
    assert await _used(ada) == (0.6, 128)
    shrunk = await _changed(ada, "grows", {"cpu_per_instance": "50m", "memory_per_instance": 32})
    assert shrunk["operation"]["status"] == "succeeded", shrunk["operation"]
    assert {pod["metadata"]["name"]: _container(pod) for pod in eyes.pods(namespace)} == before
    await eventually(lambda: _uses(ada, (0.1, 64)), "what was given up is given back")
    await _delete(ada, eyes, cluster)


async def test_a_node_that_has_not_so_much_says_so(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    cluster = await _made(ada, "huge", image=images.WEB)
    failed = await _changed(ada, "huge", {"cpu_per_instance": 7})
    assert failed["operation"]["status"] == "failed", failed["operation"]
    assert failed["operation"]["reason"] == "unschedulable", failed["operation"]
    assert failed["instances"][0]["status"] == "running", "it runs on as it was"
    assert failed["instances"][0]["restart_required"] is True
    back = await _changed(ada, "huge", {"cpu_per_instance": "100m"})
    assert back["operation"]["status"] == "succeeded", back["operation"]
    await eventually(lambda: _uses(ada, (0.1, 32)), "what was asked for is given back")
    await _delete(ada, eyes, cluster)


async def test_other_settings_go_round_one_at_a_time(ada: httpx.AsyncClient, eyes: KubeEyes, node: Node) -> None:
    container = {"env": {"COLOUR": "red"}, "secret_env": {"TOKEN": "first"}}
    cluster = await _made(ada, "round", instance_count=3, image=images.WEB, container=container)
    namespace = cluster["namespace"]
    least = 3
    patch = {"container": {"env": {"COLOUR": "blue"}, "secret_env": {"TOKEN": "second"}}}
    task = asyncio.create_task(_changed(ada, "round", patch))
    while not task.done():
        least = min(least, sum(_ready(pod) for pod in eyes.pods(namespace)))
        await asyncio.sleep(0.1)
    changed = await task
    assert changed["operation"]["status"] == "succeeded", changed["operation"]
    assert least == 2, "one was down, and never two"
    for number in (1, 2, 3):
        said = node.control_plane.kubectl("exec", "-n", namespace, f"round-instance-{number}", "--", "env")
        assert {"COLOUR=blue", "TOKEN=second"} <= set(said.splitlines()), said
    broken = await _changed(ada, "round", {"image": "testbed/web:does-not-exist"}, wait=160)
    assert (broken["operation"]["status"], broken["operation"]["reason"]) == ("failed", "image_pull"), broken
    assert sum(_ready(pod) for pod in eyes.pods(namespace)) == 2, "the others run on"
    back = await _changed(ada, "round", {"image": images.WEB})
    assert back["operation"]["status"] == "succeeded", back["operation"]
    assert back["phase"] == "running"
    await _delete(ada, eyes, cluster)


async def test_replaced_it_begins_with_empty_disks(
    ada: httpx.AsyncClient, eyes: KubeEyes, node: Node, disks: None
) -> None:
    volume = {"type": "persistent", "name": "data", "mount_path": "/data", "size": "64Mi"}
    cluster = await _made(ada, "anew", image=images.WEB, container={"volumes": [volume]})
    namespace, name = cluster["namespace"], "anew-instance-1"
    inside = ("exec", "-n", namespace, name, "--", "sh", "-c")
    node.control_plane.kubectl(*inside, "echo kept > /data/file")
    await _operated(ada, name, "restart")
    assert node.control_plane.kubectl(*inside, "cat /data/file") == "kept\n"
    await _operated(ada, name, "replace")
    assert node.control_plane.kubectl(*inside, "ls /data") == ""
    assert (await ada.get("/users/me/quota")).json()["used"]["storage"] == 64
    await _delete(ada, eyes, cluster)


async def test_one_less(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    cluster = await _made(ada, "less", instance_count=3, image=images.WEB)
    gone = await ada.delete("/instances/less-instance-2", params={"wait": 60})
    assert gone.json()["operation"]["status"] == "succeeded", gone.text
    assert sorted(pod["metadata"]["name"] for pod in eyes.pods(cluster["namespace"])) == [
        "less-instance-1",
        "less-instance-3",
    ]
    assert (await ada.get("/users/me/quota")).json()["used"]["instances"] == 2
    await _delete(ada, eyes, cluster)


async def _made(client: httpx.AsyncClient, name: str, **more: Any) -> dict[str, Any]:
    made = await client.post("/clusters/", params={"wait": 60}, json={"name": name, **SIZE, **more}, timeout=80)
    assert made.status_code == 201, made.text
    cluster: dict[str, Any] = made.json()
    assert cluster["phase"] == "running", cluster
    return cluster


async def _changed(client: httpx.AsyncClient, name: str, patch: dict[str, Any], wait: int = 100) -> dict[str, Any]:
    answer = await client.patch(f"/clusters/{name}", params={"wait": wait}, json=patch, timeout=wait + 20)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _operated(client: httpx.AsyncClient, name: str, operation: str) -> None:
    answer = await client.post(f"/instances/{name}/operate", params={"wait": 90}, json={"operation": operation})
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert answer.json()["instance"]["status"] == "running", answer.text


async def _delete(client: httpx.AsyncClient, eyes: KubeEyes, cluster: dict[str, Any]) -> None:
    answer = await client.delete(f"/clusters/{cluster['id']}", params={"wait": 90}, timeout=100)
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert eyes.namespace(cluster["namespace"]) is None


async def _used(client: httpx.AsyncClient) -> tuple[float, int]:
    used = (await client.get("/users/me/quota")).json()["used"]
    return used["cpu"], used["memory"]


async def _uses(client: httpx.AsyncClient, wanted: tuple[float, int]) -> bool:
    return await _used(client) == wanted


def _container(pod: dict[str, Any]) -> str:
    return str(pod["status"]["containerStatuses"][0]["containerID"])


def _ready(pod: dict[str, Any]) -> bool:
    going = "deletionTimestamp" in pod["metadata"]
    return not going and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())
    )


def _cgroup(node: Node, namespace: str, name: str) -> tuple[int, int]:
    """CPU quota in microseconds of 100,000 and memory limit in bytes, as the kernel has them."""
    files = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes"
    two = f"cat {files} 2>/dev/null || (cut -d' ' -f1 /sys/fs/cgroup/cpu.max; cat /sys/fs/cgroup/memory.max)"
    said = node.control_plane.kubectl("exec", "-n", namespace, name, "--", "sh", "-c", two)
    cpu, memory = said.split()[:2]
    return int(cpu), int(memory)
