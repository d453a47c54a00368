"""What becomes of a guest that ended by itself, and sizes by KubeVirt's names, on a real KubeVirt."""

import contextlib
import json
import uuid
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from testbed.kubevirt import KubeVirt
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import Platform, eventually
from tests.e2e.sockets import Streams
from tests.kubevirt.test_virtual_machines import SIZE, _delete, _made, _operate, _typed

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]

OFF = "poweroff -f"


@pytest.mark.parametrize("strategy", ["once", "rerun-on-failure"])
async def test_a_guest_that_shuts_itself_down_has_completed(
    ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes, strategy: str
) -> None:
    cluster = await _made(ada, "tired", vm={"run_strategy": strategy})
    name = "tired-instance-1"
    await _told(streams, name, OFF)
    await _becomes(ada, name, "stopped", "completed")

    async def put_away() -> bool:
        return not _runs(eyes, cluster["namespace"])

    await eventually(put_away, "the run that ended is put away", 60)
    await _becomes(ada, name, "stopped", "completed")
    await _operate(ada, name, "start", "running")
    await _operate(ada, name, "restart", "running")
    await _delete(ada, eyes, cluster)


async def test_one_that_ended_while_nobody_looked_has_completed(
    ada: httpx.AsyncClient, platform: Platform, streams: Streams, eyes: KubeEyes
) -> None:
    cluster = await _made(ada, "alone", vm={"run_strategy": "once"})
    name = "alone-instance-1"
    await _told(streams, name, f"{{ (sleep 5; {OFF}) & }}")
    platform.kill("api")

    async def over() -> bool:
        return [run["status"]["phase"] for run in _runs(eyes, cluster["namespace"])] == ["Succeeded"]

    try:
        await eventually(over, "the guest has ended", 120)
    finally:
        platform.start_api()
    await _becomes(ada, name, "stopped", "completed")
    await _delete(ada, eyes, cluster)


@pytest.mark.parametrize(("strategy", "again"), [("once", False), ("rerun-on-failure", True)])
async def test_a_guest_that_fails(ada: httpx.AsyncClient, eyes: KubeEyes, strategy: str, again: bool) -> None:
    """Its machine is killed, as the node's kernel does when memory runs out."""
    cluster = await _made(ada, "frail", vm={"run_strategy": strategy})
    name, namespace = "frail-instance-1", cluster["namespace"]
    (before,) = _runs(eyes, namespace)
    await _killed(eyes, namespace)
    if again:

        async def anew() -> bool:
            runs = _runs(eyes, namespace)
            return bool(runs) and runs[0]["metadata"]["uid"] != before["metadata"]["uid"]

        await eventually(anew, "the next run", 120)
        await _becomes(ada, name, "running", None)
    else:
        await _becomes(ada, name, "failed", "exited")
        await _operate(ada, name, "restart", "running")
    await _delete(ada, eyes, cluster)


async def test_a_size_by_kubevirts_name_must_be_the_one_that_is_charged(
    ada: httpx.AsyncClient, platform: Platform, eyes: KubeEyes, virtual: KubeVirt
) -> None:
    kubectl = virtual.node.control_plane.kubectl
    name = f"size-{uuid.uuid4().hex[:6]}"
    size = {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": "VirtualMachineClusterInstancetype",
        "metadata": {"name": name},
        "spec": {"cpu": {"guest": 1}, "memory": {"guest": "160Mi"}},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(size))
    async with platform.client() as admin:
        for flavour, memory in (("true", 160), ("false", 128)):
            body = {"name": flavour, "instance_type": "vm", "cpu": 1, "memory": memory, "instancetype": name}
            assert (await admin.post("/flavours/", json=body)).status_code == 201
    right = await _made(ada, "right", **_flavoured("true"))
    (vmi,) = _runs(eyes, right["namespace"])
    assert vmi["spec"]["domain"]["memory"]["guest"] == "160Mi"
    body = {"name": "wrong", **SIZE, **_flavoured("false")}
    body = {key: value for key, value in body.items() if value is not None}
    wrong = (await ada.post("/clusters/", json=body)).json()
    await _becomes(ada, "wrong-instance-1", None, "configuration")
    said = (await ada.get("/instances/wrong-instance-1")).json()["message"]
    assert "has 1 CPUs and 160Mi of memory, its flavour 1 and 128Mi" in said
    assert eyes.virtual_machines(wrong["namespace"]) == []
    await _delete(ada, eyes, right)
    await _delete(ada, eyes, wrong)
    kubectl("delete", "virtualmachineclusterinstancetypes", name)


def _flavoured(name: str) -> dict[str, Any]:
    return {"flavour": name, "cpu_per_instance": None, "memory_per_instance": None}


async def _told(streams: Streams, name: str, command: str) -> None:
    with contextlib.suppress(ConnectionClosed, AssertionError, TimeoutError):
        await _typed(streams, name, command)


async def _becomes(client: httpx.AsyncClient, name: str, status: str | None, reason: str | None) -> None:
    seen: list[Any] = []

    async def there() -> bool:
        found = (await client.get(f"/instances/{name}")).json()
        seen.append((found["status"], found["reason"], found["message"]))
        return found["reason"] == reason and status in (None, found["status"])

    try:
        await eventually(there, f"{status} {reason}", 120)
    except AssertionError:
        raise AssertionError(f"never {status} {reason}: {seen[-1]}") from None


async def _killed(eyes: KubeEyes, namespace: str) -> None:
    assert eyes.kubectl is not None
    (pod,) = eyes.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    argv = ("exec", "-n", namespace, pod["metadata"]["name"], "-c", "compute", "--")
    eyes.kubectl(*argv, "sh", "-c", "kill -9 $(pgrep -f qemu-system | head -1)")


def _runs(eyes: KubeEyes, namespace: str) -> list[dict[str, Any]]:
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances"
    return list(eyes.get(path)["items"])
