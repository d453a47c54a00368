"""CMP on a real node, through its HTTP API only, with the rights that deploy/ gives it: containers really run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from testbed.node import Node, images
from tests.e2e.invariants import broken
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import Platform, eventually

pytestmark = pytest.mark.node

SIZE = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 32}


async def test_a_cluster_lives(eyes: KubeEyes, ada: httpx.AsyncClient, node: Node) -> None:
    body = {"name": "web", "instance_count": 3, "image": images.WEB, **SIZE}
    made = await ada.post("/clusters/", params={"wait": 60}, json=body)
    assert made.status_code == 201, made.text
    cluster = made.json()
    assert cluster["phase"] == "running", cluster
    namespace = cluster["namespace"]
    for instance in cluster["instances"]:
        assert instance["status"] == "running", instance
        said = node.control_plane.kubectl(
            "exec", "-n", namespace, instance["instance_name"], "--", "wget", "-qO-", "http://127.0.0.1/"
        )
        assert said == f"hello from {instance['instance_name']}\n"

    first = _container(eyes, namespace, "web-instance-1")
    await _operate(ada, "web-instance-1", "stop", "stopped")
    assert "web-instance-1" not in {pod["metadata"]["name"] for pod in eyes.pods(namespace)}
    await _operate(ada, "web-instance-1", "start", "running")
    again = _container(eyes, namespace, "web-instance-1")
    assert again not in (None, first)
    await _operate(ada, "web-instance-1", "restart", "running")
    assert _container(eyes, namespace, "web-instance-1") not in (None, again)

    await _delete(ada, eyes, "web", namespace)
    assert _running_containers(node) == []


async def test_what_others_end_comes_back(eyes: KubeEyes, ada: httpx.AsyncClient, node: Node) -> None:
    body = {"name": "heals", "instance_count": 2, "image": images.WEB, **SIZE}
    namespace = (await ada.post("/clusters/", params={"wait": 60}, json=body)).json()["namespace"]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "heals-instance-2"}}
    before = _container(eyes, namespace, "heals-instance-1"), _container(eyes, namespace, "heals-instance-2")
    eyes.delete(f"{pods}/heals-instance-1")
    eyes.create(f"{pods}/heals-instance-2/eviction", eviction)
    await eventually(_healed(ada, eyes, namespace, "heals-instance-1", before[0]), "deleted behind CMP's back")
    await eventually(_healed(ada, eyes, namespace, "heals-instance-2", before[1]), "evicted")

    before = _container(eyes, namespace, "heals-instance-1"), _container(eyes, namespace, "heals-instance-2")
    node.control_plane.kubectl("drain", node.name, "--force", "--timeout=60s")

    async def homeless() -> bool:
        found = (await ada.get("/instances/heals-instance-1")).json()
        return bool(found["reason"] == "unschedulable" and "unschedulable" in found["message"])

    await eventually(homeless, "the only node is drained, and CMP says what is wrong")
    node.control_plane.kubectl("uncordon", node.name)
    for number in (1, 2):
        name = f"heals-instance-{number}"
        await eventually(_healed(ada, eyes, namespace, name, before[number - 1]), "drained")
    await _delete(ada, eyes, "heals", namespace)


async def test_a_process_that_ends_is_counted(ada: httpx.AsyncClient, eyes: KubeEyes, node: Node) -> None:
    body = {"name": "ends", "instance_count": 1, "image": images.WEB, **SIZE}
    namespace = (await ada.post("/clusters/", params={"wait": 60}, json=body)).json()["namespace"]
    pod = eyes.pods(namespace)[0]["metadata"]
    # Not `kill 1` from within: what runs beside process 1 goes with it, and kubectl may hear of that first.
    node.signal(str(_container(eyes, namespace, "ends-instance-1")), "SIGTERM")

    async def restarted() -> bool:
        found = (await ada.get("/instances/ends-instance-1")).json()
        return bool((found["status"], found["restarts"]) == ("running", 1) and "exit code 0" in found["message"])

    await eventually(restarted, "the kubelet started it again, and CMP tells")
    assert eyes.pods(namespace)[0]["metadata"]["uid"] == pod["uid"]
    await _delete(ada, eyes, "ends", namespace)


async def test_what_goes_wrong_is_stated(eyes: KubeEyes, ada: httpx.AsyncClient) -> None:
    await asyncio.gather(
        _ends_in(ada, eyes, "typo", "testbed/web:no-such-tag", "ImagePullBackOff", "image_pull", "not found"),
        _ends_in(ada, eyes, "crash", images.CRASHING, "CrashLoopBackOff", "crash_loop", "exit code 3"),
        _ends_in(ada, eyes, "hungry", images.HUNGRY, "CrashLoopBackOff", "out_of_memory", "OOMKilled"),
        _ends_in(ada, eyes, "broken", images.BROKEN, "CrashLoopBackOff", "configuration", "no such file or directory"),
    )


async def test_the_default_image_runs_under_its_plain_name(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    made = await ada.post("/clusters/", params={"wait": 60}, json={"name": "plain", "instance_count": 1, **SIZE})
    assert made.status_code == 201, made.text
    cluster = made.json()
    assert cluster["phase"] == "running", cluster
    assert eyes.pods(cluster["namespace"])[0]["spec"]["containers"][0]["image"] == images.DEFAULT
    await _delete(ada, eyes, "plain", cluster["namespace"])


async def test_nothing_is_left(ada: httpx.AsyncClient, eyes: KubeEyes, platform: Platform, node: Node) -> None:
    quota = (await ada.get("/users/me/quota")).json()
    assert set(quota["used"].values()) == {0}, quota
    left = eyes.get("/api/v1/namespaces?labelSelector=cmp.io/installation")["items"]
    assert [namespace["metadata"]["name"] for namespace in left] == []
    assert _running_containers(node) == []
    platform.stop()
    assert await broken(f"sqlite:///{platform.data_dir / 'cmp.sqlite3'}", left) == []


async def _ends_in(
    client: httpx.AsyncClient, eyes: KubeEyes, name: str, image: str, kubelets: str, reason: str, words: str
) -> None:
    """While the kubelet again and again waits in the state it calls `kubelets`, CMP says `reason` and `words`."""
    made = await client.post("/clusters/", json={"name": name, "instance_count": 1, "image": image, **SIZE})
    assert made.status_code == 201, made.text
    namespace = made.json()["namespace"]
    seen: list[Any] = []
    waits: list[bool] = []

    async def stated() -> bool:
        instance = (await client.get(f"/instances/{name}-instance-1")).json()
        look = (instance["status"], instance["reason"], instance["message"])
        if look not in seen:
            seen.append(look)
        waits.append(any(kubelets in str(pod["status"]) for pod in await asyncio.to_thread(eyes.pods, namespace)))
        return any(waits) and any(said == reason and words in message for _, said, message in seen)

    try:
        await eventually(stated, f"{kubelets} is told as {reason}")
    finally:
        print(name, *seen, sep="\n  ")
    await _delete(client, eyes, name, namespace)


async def _operate(client: httpx.AsyncClient, name: str, operation: str, becomes: str) -> None:
    answer = await client.post(f"/instances/{name}/operate", params={"wait": 90}, json={"operation": operation})
    assert answer.status_code == 200, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert answer.json()["instance"]["status"] == becomes, answer.text


async def _delete(client: httpx.AsyncClient, eyes: KubeEyes, name: str, namespace: str) -> None:
    answer = await client.delete(f"/clusters/{name}", params={"wait": 120})
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert (await client.get(f"/clusters/{name}")).status_code == 404
    assert eyes.namespace(namespace) is None


def _healed(
    client: httpx.AsyncClient, eyes: KubeEyes, namespace: str, name: str, before: str | None
) -> Callable[[], Awaitable[bool]]:
    """Whether it runs again, for its owner and on the node, in another container than `before`."""

    async def look() -> bool:
        status = (await client.get(f"/instances/{name}")).json()["status"]
        return bool(status == "running" and _container(eyes, namespace, name) not in (None, before))

    return look


def _container(eyes: KubeEyes, namespace: str, name: str) -> str | None:
    """The id of the container that runs as that instance."""
    for pod in eyes.pods(namespace):
        for status in pod["status"].get("containerStatuses", []):
            if pod["metadata"]["name"] == name and "running" in status["state"]:
                return str(status["containerID"])
    return None


def _running_containers(node: Node) -> list[str]:
    """As containerd itself lists them, the pause containers of Pods included."""
    return node.run("ctr", "--address", "/run/containerd/containerd.sock", "-n", "k8s.io", "tasks", "ls", "-q").split()
