"""What a container is told to be, on a real node, through CMP's HTTP API only: every setting is seen from inside."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testbed.node import Node, images
from tests.e2e.disks import provided
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import eventually

pytestmark = pytest.mark.node

SIZE = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 32}


@pytest.fixture
def disks(node: Node) -> Iterator[None]:
    with provided(node, "cmp-test-disk", size="1Gi"):
        yield


async def test_every_setting_reaches_the_process(ada: httpx.AsyncClient, node: Node, disks: None) -> None:
    settings = {
        "command": ["/bin/sh", "-c"],
        "args": ["echo started >> /data/log; exec /web"],
        "env": {"MODE": "live", "QUOTED": "a \"b\" 'c'\n"},
        "secret_env": {"TOKEN": "s3cret"},
        "working_dir": "/tmp",
        "ports": [{"port": 80, "name": "http"}],
        "volumes": [
            {"type": "empty", "name": "scratch", "mount_path": "/scratch", "size": "8Mi", "in_memory": True},
            {"type": "persistent", "name": "data", "mount_path": "/data", "size": "64Mi"},
        ],
        "health": {
            "readiness": {"http": {"path": "/", "port": 80}, "interval_seconds": 1},
            "startup": {"tcp": 80, "interval_seconds": 1},
        },
    }
    cluster = await _made(ada, "full", container=settings)
    inside = Inside(node, cluster["namespace"], "full-instance-1")
    assert "s3cret" not in json.dumps(cluster)
    assert cluster["container"]["secret_env"] == ["TOKEN"]
    environment = inside("cat", "/proc/1/environ").split("\0")
    assert {"MODE=live", "QUOTED=a \"b\" 'c'\n", "TOKEN=s3cret"} <= set(environment)
    assert inside("sh", "-c", "ls -l /proc/1/cwd").rstrip().endswith("/tmp")
    assert "tmpfs /scratch tmpfs" in inside("cat", "/proc/mounts")
    assert inside("cat", "/data/log") == "started\n"
    assert (await ada.get("/users/me/quota")).json()["used"]["storage"] == 64

    await _operate(ada, "full-instance-1", "stop", "stopped")
    await _operate(ada, "full-instance-1", "start", "running")
    assert inside("cat", "/data/log") == "started\n" * 2, "what was written outlived the process"

    other = await _made(ada, "guest")
    address = f"http://{_service(node, cluster['namespace'], 'full')}/"
    neighbour = Inside(node, other["namespace"], "guest-instance-1")

    async def answered() -> bool:
        return "hello from full-instance-1" in await asyncio.to_thread(neighbour, "wget", "-qO-", address)

    await eventually(answered, "the cluster's Service leads to its instance")
    await _delete(ada, "guest")
    await _delete(ada, "full")
    assert (await ada.get("/users/me/quota")).json()["used"]["storage"] == 0


async def test_who_the_process_is(ada: httpx.AsyncClient, node: Node) -> None:
    settings = {
        "user": 1234,
        "group": 2345,
        "volumes": [{"type": "empty", "name": "mine", "mount_path": "/mine"}],
    }
    cluster = await _made(ada, "who", container=settings)
    inside = Inside(node, cluster["namespace"], "who-instance-1")
    assert inside("id", "-u").strip() == "1234"
    assert inside("id", "-g").strip() == "2345"
    inside("touch", "/mine/file")
    await _delete(ada, "who")


async def test_it_is_not_running_before_it_is_ready(ada: httpx.AsyncClient, node: Node) -> None:
    probe = {"command": ["cat", "/tmp/ready"], "interval_seconds": 1}
    settings = {"health": {"readiness": probe}}
    made = await ada.post("/clusters/", json={"name": "slow", "image": images.WEB, "container": settings, **SIZE})
    assert made.status_code == 201, made.text
    inside = Inside(node, made.json()["namespace"], "slow-instance-1")

    async def says_why() -> bool:
        found = (await ada.get("/instances/slow-instance-1")).json()
        return bool(found["status"] == "starting" and "unready" in str(found["message"]))

    await eventually(says_why, "it waits for its readiness probe, and says so")
    inside("touch", "/tmp/ready")

    async def runs() -> bool:
        return bool((await ada.get("/clusters/slow")).json()["phase"] == "running")

    await eventually(runs, "ready by its probe")
    await _delete(ada, "slow")


async def test_a_process_that_is_not_alive_is_started_again(ada: httpx.AsyncClient, node: Node) -> None:
    probe = {"command": ["cat", "/tmp/alive"], "interval_seconds": 1, "failure_threshold": 1}
    settings = {
        "command": ["/bin/sh", "-c", "touch /tmp/alive; exec /web"],
        "health": {"liveness": probe},
        "volumes": [{"type": "empty", "name": "tmp", "mount_path": "/tmp"}],
    }
    cluster = await _made(ada, "alive", container=settings)
    inside = Inside(node, cluster["namespace"], "alive-instance-1")
    inside("/bin/busybox", "rm", "/tmp/alive")

    async def restarted() -> bool:
        return bool((await ada.get("/instances/alive-instance-1")).json()["restarts"] >= 1)

    await eventually(restarted, "the liveness probe failed and the kubelet started it again")
    await _delete(ada, "alive")


async def test_it_may_end(ada: httpx.AsyncClient) -> None:
    cases: dict[str, tuple[list[str], str, tuple[str, str]]] = {
        "done": (["sh", "-c", "exit 0"], "never", ("stopped", "completed")),
        "fails": (["sh", "-c", "exit 3"], "never", ("failed", "exited")),
        "retry": (["sh", "-c", "test -f /tmp/x || { touch /tmp/x; exit 1; }"], "on-failure", ("stopped", "completed")),
    }
    for name, (command, policy, _) in cases.items():
        settings = {
            "command": ["/bin/busybox", *command],
            "restart_policy": policy,
            "volumes": [{"type": "empty", "name": "tmp", "mount_path": "/tmp"}],
        }
        body = {"name": name, "image": images.BUSYBOX, "container": settings, **SIZE}
        assert (await ada.post("/clusters/", json=body)).status_code == 201
    for name, (_, _, expected) in cases.items():

        async def ended(name: str = name, expected: tuple[str, str] = expected) -> bool:
            found = (await ada.get(f"/instances/{name}-instance-1")).json()
            return (found["status"], found["reason"]) == expected

        await eventually(ended, f"{name} ends as {expected}")
    assert (await ada.get("/instances/fails-instance-1")).json()["message"].count("exit code 3") == 1
    assert (await ada.get("/instances/retry-instance-1")).json()["restarts"] == 1
    await asyncio.gather(*(_delete(ada, name) for name in cases))


async def test_a_private_image_is_pulled_with_the_clusters_login(ada: httpx.AsyncClient) -> None:
    username, password = images.LOGIN
    login = {"server": "registry.example", "username": username, "password": password}
    await _made(ada, "private", image=images.PRIVATE, container={"registry": login})
    shown = (await ada.get("/clusters/private")).json()["container"]["registry"]
    assert shown == {"server": "registry.example", "username": username}
    wrong = {"name": "wrong", "image": images.PRIVATE, "container": {"registry": login | {"password": "no"}}, **SIZE}
    # The node keeps what it pulled: only a policy that always asks the registry shows that this login is refused.
    wrong["container"]["pull_policy"] = "always"  # type: ignore[index]
    assert (await ada.post("/clusters/", json=wrong)).status_code == 201

    async def refused() -> bool:
        return bool((await ada.get("/instances/wrong-instance-1")).json()["reason"] == "image_pull")

    await eventually(refused, "a wrong password is an image that cannot be pulled")
    await _delete(ada, "wrong")
    await _delete(ada, "private")


async def test_nothing_is_left(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    quota = (await ada.get("/users/me/quota")).json()
    assert set(quota["used"].values()) == {0}, quota
    left = eyes.get("/api/v1/namespaces?labelSelector=cmp.io/installation")["items"]
    assert [namespace["metadata"]["name"] for namespace in left] == []


class Inside:
    """Runs a command in an instance; answers what it said."""

    def __init__(self, node: Node, namespace: str, name: str) -> None:
        self._node, self._namespace, self._name = node, namespace, name

    def __call__(self, *command: str) -> str:
        return self._node.control_plane.kubectl("exec", "-n", self._namespace, self._name, "--", *command)


async def _made(client: httpx.AsyncClient, name: str, *, image: str = images.WEB, **more: Any) -> dict[str, Any]:
    made = await client.post("/clusters/", params={"wait": 60}, json={"name": name, "image": image, **SIZE, **more})
    assert made.status_code == 201, made.text
    cluster: dict[str, Any] = made.json()
    assert cluster["phase"] == "running", cluster
    return cluster


async def _operate(client: httpx.AsyncClient, name: str, operation: str, becomes: str) -> None:
    answer = await client.post(f"/instances/{name}/operate", params={"wait": 90}, json={"operation": operation})
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["status"] == becomes, answer.text


async def _delete(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.delete(f"/clusters/{name}", params={"wait": 120})
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text


def _service(node: Node, namespace: str, name: str) -> str:
    return node.control_plane.kubectl("get", "service", "-n", namespace, name, "-o", "jsonpath={.spec.clusterIP}")
