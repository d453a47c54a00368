"""The main job through the HTTP API: create, run, operate, heal, delete; on the simulator and on a real API server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.e2e.invariants import broken
from tests.e2e.kube_eyes import KubeEyes, on_control_plane, on_simulator
from tests.e2e.platform import Platform, eventually, simulator, user

CONTAINERS = {"instance_type": "container", "cpu_per_instance": "500m", "memory_per_instance": 256}
MACHINES = {"instance_type": "vm", "cpu_per_instance": 1, "memory_per_instance": "1Gi"}


@pytest.fixture(scope="module", params=["simulator", pytest.param("control-plane", marks=pytest.mark.kubernetes)])
def eyes(request: pytest.FixtureRequest) -> Iterator[KubeEyes]:
    if request.param == "simulator":
        with simulator() as url:
            yield on_simulator(url)
        return
    yield on_control_plane(request.getfixturevalue("control_plane"))


@pytest.fixture(scope="module")
async def tenants(platform: Platform) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        ada = await stack.enter_async_context(user(platform, "ada", quota_cpu=16, quota_memory="32Gi"))
        bob = await stack.enter_async_context(user(platform, "bob", quota_cpu=4, quota_memory="8Gi"))
        yield ada, bob


async def test_containers(eyes: KubeEyes, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    ada, _ = tenants
    made = await _create(ada, name="web", instance_count=3, image="nginx:latest", **CONTAINERS)
    namespace = made["namespace"]
    assert namespace == "web-ns"
    pods = {pod["metadata"]["name"]: pod for pod in eyes.pods(namespace)}
    assert sorted(pods) == ["web-instance-1", "web-instance-2", "web-instance-3"]
    pod = pods["web-instance-1"]
    assert pod["metadata"]["labels"]["managed-by"] == "cmp"
    assert pod["metadata"]["labels"]["instance-type"] == "container"
    container = pod["spec"]["containers"][0]
    assert (container["name"], container["image"]) == ("main", "nginx:latest")
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"] == "256Mi"
    if eyes.kubectl is not None:
        print(eyes.kubectl("get", "pods", "-A", "-l", "managed-by=cmp", "-o", "wide"))

    await _operate(ada, "web-instance-1", "stop", "stopped")
    assert "web-instance-1" not in {pod["metadata"]["name"] for pod in eyes.pods(namespace)}
    refused = await ada.post("/instances/web-instance-1/operate", json={"operation": "stop"})
    assert (refused.status_code, refused.json()["allowed_operations"]) == (409, ["start", "replace"])
    await _operate(ada, "web-instance-1", "start", "running")

    before = _uid(eyes, namespace, "web-instance-2")
    await _operate(ada, "web-instance-2", "restart", "running")
    assert _uid(eyes, namespace, "web-instance-2") not in (None, before)

    before = _uid(eyes, namespace, "web-instance-3")
    eyes.delete(f"/api/v1/namespaces/{namespace}/pods/web-instance-3")

    async def healed() -> bool:
        status = (await ada.get("/instances/web-instance-3")).json()["status"]
        return _uid(eyes, namespace, "web-instance-3") not in (None, before) and status == "running"

    await eventually(healed, "a Pod deleted behind our back comes back")
    await _suspend_or_say_why(ada, "web-instance-1")
    await _delete(ada, eyes, "web", namespace)


async def test_virtual_machines(eyes: KubeEyes, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    ada, _ = tenants
    made = await _create(ada, name="lab", instance_count=2, **MACHINES)
    machines = {vm["metadata"]["name"]: vm for vm in eyes.virtual_machines(made["namespace"])}
    assert sorted(machines) == ["lab-instance-1", "lab-instance-2"]
    machine = machines["lab-instance-1"]
    assert machine["metadata"]["labels"]["managed-by"] == "cmp"
    assert machine["metadata"]["labels"]["instance-type"] == "vm"
    assert machine["spec"]["runStrategy"] == "Always"
    assert machine["spec"]["template"]["spec"]["domain"]["memory"]["guest"] == "1024Mi"
    await _operate(ada, "lab-instance-1", "stop", "stopped")
    await _operate(ada, "lab-instance-1", "start", "running")
    if eyes.kubectl is None:
        # Pausing is KubeVirt's own API server's business; the bare control plane has only its definitions.
        await _operate(ada, "lab-instance-2", "suspend", "suspended")
        await _operate(ada, "lab-instance-2", "resume", "running")
        await _operate(ada, "lab-instance-2", "restart", "running")
    await _delete(ada, eyes, "lab", made["namespace"])


async def test_a_namespace_that_was_there_before_is_left_alone(
    eyes: KubeEyes, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    ada, _ = tenants
    eyes.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine-ns"}})
    before = eyes.namespace("mine-ns")
    assert before is not None
    made = await _create(ada, name="mine", instance_count=1, **CONTAINERS)
    now = (await ada.get("/clusters/mine")).json()
    assert now["namespace"] != "mine-ns"
    assert made["phase"] == "running"
    await _delete(ada, eyes, "mine", now["namespace"])
    after = eyes.namespace("mine-ns")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"].get("labels") == before["metadata"].get("labels")


async def test_two_tenants_one_name(eyes: KubeEyes, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    ada, bob = tenants
    one, other = await asyncio.gather(
        _create(ada, name="twin", instance_count=1, **CONTAINERS),
        _create(bob, name="twin", instance_count=1, **CONTAINERS),
    )
    assert one["namespace"] != other["namespace"]
    for path in (f"/clusters/{one['id']}", f"/instances/{one['instances'][0]['id']}"):
        foreign = await bob.get(path, headers={"X-Request-ID": "same"})
        missing = await bob.get(path[:-4] + "0000", headers={"X-Request-ID": "same"})
        assert foreign.status_code == 404
        assert foreign.content == missing.content
    await _delete(bob, eyes, "twin", other["namespace"])
    assert (await ada.get("/clusters/twin")).json()["phase"] == "running"
    assert eyes.pods(one["namespace"]) != []
    await _delete(ada, eyes, "twin", one["namespace"])


async def test_an_image_that_does_not_exist(
    eyes: KubeEyes, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    ada, _ = tenants
    made = await ada.post(
        "/clusters/", json={"name": "typo", "instance_count": 1, "image": "nginx:does-not-exist", **CONTAINERS}
    )
    assert made.status_code == 201, made.text

    async def said() -> Any:
        instance = (await ada.get("/instances/typo-instance-1")).json()
        return instance["reason"] == "image_pull" and instance

    instance = await eventually(said, "the reason is named")
    assert "image" in instance["message"]
    await _delete(ada, eyes, "typo", made.json()["namespace"])


async def test_nothing_is_left(eyes: KubeEyes, platform: Platform, tenants: Any) -> None:
    for tenant in tenants:
        quota = (await tenant.get("/users/me/quota")).json()
        assert set(quota["used"].values()) == {0}, quota
    left = eyes.get("/api/v1/namespaces?labelSelector=cmp.io/installation")["items"]
    assert [namespace["metadata"]["name"] for namespace in left] == []
    platform.stop()
    assert await broken(f"sqlite:///{platform.data_dir / 'cmp.sqlite3'}", left) == []


async def _create(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    made = await client.post("/clusters/", params={"wait": 60}, json=body)
    assert made.status_code == 201, made.text
    cluster: dict[str, Any] = made.json()
    assert cluster["phase"] == "running", cluster
    assert {instance["status"] for instance in cluster["instances"]} == {"running"}
    return cluster


async def _operate(client: httpx.AsyncClient, name: str, operation: str, becomes: str) -> None:
    answer = await client.post(f"/instances/{name}/operate", params={"wait": 60}, json={"operation": operation})
    assert answer.status_code == 200, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert answer.json()["instance"]["status"] == becomes, answer.text


async def _suspend_or_say_why(client: httpx.AsyncClient, name: str) -> None:
    """With the node agent it is frozen and thawed; without, CMP says so before and after one tries."""
    capability = (await client.get(f"/instances/{name}")).json()["capabilities"]["suspend"]
    if capability is None:
        refused = await client.post(f"/instances/{name}/operate", json={"operation": "suspend"})
        assert refused.status_code == 409
        assert "node agent" in refused.json()["detail"]
        return
    assert capability == "freeze"
    await _operate(client, name, "suspend", "suspended")
    await _operate(client, name, "resume", "running")


async def _delete(client: httpx.AsyncClient, eyes: KubeEyes, name: str, namespace: str) -> None:
    answer = await client.delete(f"/clusters/{name}", params={"wait": 90})
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert (await client.get(f"/clusters/{name}")).status_code == 404
    assert eyes.namespace(namespace) is None


def _uid(eyes: KubeEyes, namespace: str, name: str) -> str | None:
    for pod in eyes.pods(namespace):
        if pod["metadata"]["name"] == name:
            return str(pod["metadata"]["uid"])
    return None
