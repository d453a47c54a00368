"""Virtual machines that really boot, through CMP's HTTP API only, with the rights that deploy/ gives it."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testbed.kubevirt import KubeVirt, guest, images
from tests.e2e.disks import provided
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.sockets import Streams, until

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]

SIZE = {"instance_type": "vm", "cpu_per_instance": "200m", "memory_per_instance": 128, "image": images.GUEST_DISK}
KERNEL = {
    "image": images.GUEST_KERNEL,
    "kernel_path": f"/{guest.KERNEL}",
    "initrd_path": f"/{guest.INITRD}",
    "kernel_args": guest.CONSOLE,
}
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVuZCBvZiB0aGUga2V5IGVuZCBvZiB0aGUga2V5ISE= ada"


@pytest.fixture
def disk(virtual: KubeVirt) -> Iterator[None]:
    with provided(virtual.node, "vm-disk"):
        yield


async def test_two_boot_and_answer_on_their_consoles(ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes) -> None:
    settings = {"cloud_init": {"user_data": "#cloud-config\n# greetings from ada\n"}, "ssh_keys": [SSH_KEY]}
    cluster = await _made(ada, "pair", instance_count=2, vm=settings)
    assert "greetings" not in json.dumps(cluster)
    for name in ("pair-instance-1", "pair-instance-2"):
        said = await _typed(streams, name, "cat /run/user-data /run/meta-data; hostname")
        assert "greetings from ada" in said, "its cloud-init data arrived"
        assert SSH_KEY.split()[1] in said, "and its owner's key"
        assert name in said
    await _delete(ada, eyes, cluster)


async def test_a_pause_keeps_the_guests_memory(ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes) -> None:
    cluster = await _made(ada, "pause")
    await _operate(ada, "pause-instance-1", "suspend", "suspended")
    await asyncio.sleep(10)
    await _operate(ada, "pause-instance-1", "resume", "running")
    said = await _typed(streams, "pause-instance-1", "echo count=$(cat /run/counter) up=$(cut -d. -f1 /proc/uptime)")
    count = int(said.rpartition("count=")[2].split()[0])
    assert count > 0, said
    node = (await ada.get("/instances/pause-instance-1")).json()
    assert node["restarts"] == 0
    await _delete(ada, eyes, cluster)


async def test_a_disk_keeps_what_was_written(
    ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes, disk: None
) -> None:
    volumes = [{"type": "persistent", "name": "data", "size": "64Mi"}]
    cluster = await _made(ada, "keeps", vm={"kernel_boot": KERNEL, "volumes": volumes})
    assert (await ada.get("/users/me/quota")).json()["used"]["storage"] == 64
    name = "keeps-instance-1"
    await _typed(streams, name, "echo kept-for-good | dd of=/dev/vdb conv=sync 2>/dev/null; sync")
    await _operate(ada, name, "stop", "stopped")
    await _operate(ada, name, "start", "running")
    assert "kept-for-good" in await _typed(streams, name, "dd if=/dev/vdb bs=32 count=1 2>/dev/null | strings")
    await _delete(ada, eyes, cluster)
    assert (await ada.get("/users/me/quota")).json()["used"]["storage"] == 0


async def test_a_guest_that_does_not_listen_is_stopped_by_force(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    kernel = KERNEL | {"kernel_args": f"{guest.CONSOLE} {guest.DEAF}"}
    cluster = await _made(ada, "deaf", vm={"kernel_boot": kernel})
    name = "deaf-instance-1"
    asked = await ada.post(f"/instances/{name}/operate", params={"wait": 8}, json={"operation": "stop"})
    assert asked.json()["instance"]["status"] == "stopping", "it ignores the power button"
    forced = await ada.post(
        f"/instances/{name}/operate", params={"wait": 60}, json={"operation": "stop", "grace_seconds": 0}
    )
    assert forced.status_code == 200, forced.text
    assert forced.json()["instance"]["status"] == "stopped", forced.text
    await _operate(ada, name, "start", "running")
    await _operate(ada, name, "restart", "running")
    await _delete(ada, eyes, cluster)


async def test_nothing_is_left(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    quota = (await ada.get("/users/me/quota")).json()
    assert set(quota["used"].values()) == {0}, quota
    left = eyes.get("/api/v1/namespaces?labelSelector=cmp.io/installation")["items"]
    assert [namespace["metadata"]["name"] for namespace in left] == []


async def _made(client: httpx.AsyncClient, name: str, **more: Any) -> dict[str, Any]:
    made = await client.post("/clusters/", params={"wait": 180}, json={"name": name, **SIZE, **more}, timeout=200)
    assert made.status_code == 201, made.text
    cluster: dict[str, Any] = made.json()
    assert cluster["phase"] == "running", cluster
    return cluster


async def _operate(client: httpx.AsyncClient, name: str, operation: str, becomes: str) -> None:
    path = f"/instances/{name}/operate"
    answer = await client.post(path, params={"wait": 150}, json={"operation": operation}, timeout=170)
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["status"] == becomes, answer.text


async def _typed(streams: Streams, name: str, command: str) -> str:
    """What the guest's shell says to a command, typed on its serial console through CMP once there is a prompt."""
    async with streams.open(f"{name}/console") as socket, asyncio.timeout(120):
        while True:
            # What is typed before the guest has booted is lost, or only half of it arrives.
            await socket.send(b"\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    await until(socket, b"/ # ")
                    break
        await socket.send(f"{command}; echo said-all-of''-it\n".encode())
        return (await until(socket, b"said-all-of-it")).decode(errors="replace")


async def _delete(client: httpx.AsyncClient, eyes: KubeEyes, cluster: dict[str, Any]) -> None:
    answer = await client.delete(f"/clusters/{cluster['id']}", params={"wait": 150}, timeout=170)
    assert answer.status_code == 202, answer.text
    assert answer.json()["operation"]["status"] == "succeeded", answer.text
    assert eyes.namespace(cluster["namespace"]) is None
