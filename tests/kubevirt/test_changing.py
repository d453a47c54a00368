"""Changing a cluster of virtual machines on real KubeVirt, through CMP's HTTP API only."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testbed.kubevirt import KubeVirt, guest, images
from tests.e2e.disks import provided
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import eventually

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]

SIZE = {"instance_type": "vm", "cpu_per_instance": "200m", "memory_per_instance": 128, "image": images.GUEST_DISK}


@pytest.fixture
def disks(virtual: KubeVirt) -> Iterator[None]:
    """Two for one claim: whoever is replaced gets the second one."""
    with provided(virtual.node, "first-vm-disk", "second-vm-disk"):
        yield


async def test_vms_take_it_up_at_their_next_start(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    cluster = await _made(ada, "resized", instance_count=2)
    namespace = cluster["namespace"]
    before = {name: _uid(eyes, namespace, name) for name in ("resized-instance-1", "resized-instance-2")}
    patch = {"cpu_per_instance": "100m", "memory_per_instance": 192, "vm": {"ssh_keys": []}, "labels": {"a": "b"}}
    answer = await ada.patch("/clusters/resized", params={"wait": 60}, json=patch, timeout=80)
    assert answer.status_code == 200, answer.text
    operation = answer.json()["operation"]
    assert (operation["status"], operation["message"]) == (
        "succeeded",
        "2 of 2 instances take it up at their next restart.",
    ), operation

    async def waiting() -> bool:
        shown = (await ada.get("/clusters/resized")).json()
        return all(i["restart_required"] and i["status"] == "running" for i in shown["instances"])

    await eventually(waiting, "both wait for their restart")
    assert {name: _uid(eyes, namespace, name) for name in before} == before, "nothing was restarted"
    assert await _used(ada) == (0.4, 384), "the larger of both"
    for name in before:
        await _operated(ada, name, "restart")
        assert _size(eyes, namespace, name) == ("100m", "192Mi")

    async def given_back() -> bool:
        shown = (await ada.get("/clusters/resized")).json()
        return await _used(ada) == (0.2, 384) and not any(i["restart_required"] for i in shown["instances"])

    await eventually(given_back, "what was given up is given back")
    await _delete(ada, eyes, cluster)


async def test_replaced_it_is_another_machine_with_another_disk(
    ada: httpx.AsyncClient, eyes: KubeEyes, disks: None
) -> None:
    kernel = {
        "image": images.GUEST_KERNEL,
        "kernel_path": f"/{guest.KERNEL}",
        "initrd_path": f"/{guest.INITRD}",
        "kernel_args": guest.CONSOLE,
    }
    volumes = [{"type": "persistent", "name": "data", "size": "64Mi"}]
    cluster = await _made(ada, "anew", vm={"kernel_boot": kernel, "volumes": volumes})
    namespace, name = cluster["namespace"], "anew-instance-1"
    machine, claim = _machine(eyes, namespace, name), _claim(eyes, namespace, f"{name}-data")
    await _operated(ada, name, "replace")
    assert _machine(eyes, namespace, name) != machine
    assert _claim(eyes, namespace, f"{name}-data") != claim
    assert (await ada.get("/users/me/quota")).json()["used"]["storage"] == 64
    await _delete(ada, eyes, cluster)


async def _made(client: httpx.AsyncClient, name: str, **more: Any) -> dict[str, Any]:
    made = await client.post("/clusters/", params={"wait": 180}, json={"name": name, **SIZE, **more}, timeout=200)
    assert made.status_code == 201, made.text
    cluster: dict[str, Any] = made.json()
    assert cluster["phase"] == "running", cluster
    return cluster


async def _operated(client: httpx.AsyncClient, name: str, operation: str) -> None:
    path = f"/instances/{name}/operate"
    answer = await client.post(path, params={"wait": 150}, json={"operation": operation}, timeout=170)
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["status"] == "running", answer.text


async def _delete(client: httpx.AsyncClient, eyes: KubeEyes, cluster: dict[str, Any]) -> None:
    answer = await client.delete(f"/clusters/{cluster['id']}", params={"wait": 150}, timeout=170)
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert eyes.namespace(cluster["namespace"]) is None


async def _used(client: httpx.AsyncClient) -> tuple[float, int]:
    used = (await client.get("/users/me/quota")).json()["used"]
    return used["cpu"], used["memory"]


def _running(eyes: KubeEyes, namespace: str, name: str) -> dict[str, Any]:
    found = eyes.get(f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}")
    assert found is not None
    return dict(found)


def _uid(eyes: KubeEyes, namespace: str, name: str) -> str:
    return str(_running(eyes, namespace, name)["metadata"]["uid"])


def _size(eyes: KubeEyes, namespace: str, name: str) -> tuple[str, str]:
    domain = _running(eyes, namespace, name)["spec"]["domain"]
    return domain["resources"]["requests"]["cpu"], domain["memory"]["guest"]


def _machine(eyes: KubeEyes, namespace: str, name: str) -> str:
    found = eyes.get(f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}")
    assert found is not None
    return str(found["metadata"]["uid"])


def _claim(eyes: KubeEyes, namespace: str, name: str) -> str:
    found = eyes.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    assert found is not None
    return str(found["metadata"]["uid"])
