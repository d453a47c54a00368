"""What is asked of a running virtual machine once: that its guest reboots, that it moves to another node."""

from typing import Any

import httpx
import pytest

from testbed.kubevirt import KubeVirt, guest
from tests.e2e.disks import provided
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import eventually
from tests.e2e.sockets import Streams
from tests.kubevirt.test_virtual_machines import KERNEL, _delete, _made, _operate, _typed

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]

AGENT = {"kernel_boot": KERNEL | {"initrd_path": f"/{guest.AGENT}"}}


async def test_a_guest_tells_of_itself_and_reboots(ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes) -> None:
    """Through its agent; the memory of the machine goes on, what the guest held in it is new."""
    cluster = await _made(ada, "agent", vm=AGENT)
    name = "agent-instance-1"

    async def told() -> bool:
        return bool((await ada.get(f"/instances/{name}")).json()["guest"])

    await eventually(told, "the agent is heard", 120)
    said = (await ada.get(f"/instances/{name}")).json()["guest"]
    assert (said["name"], said["version"], said["architecture"]) == (guest.NAME, "1", "x86_64")
    assert "cloud-amd64" in said["kernel"]
    await _reboots(ada, streams, eyes, cluster["namespace"], name)
    await _delete(ada, eyes, cluster)


async def test_a_guest_without_an_agent_reboots_by_its_power_button(
    ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes
) -> None:
    cluster = await _made(ada, "button")
    await _reboots(ada, streams, eyes, cluster["namespace"], "button-instance-1")
    assert (await ada.get("/instances/button-instance-1")).json()["guest"] is None
    await _delete(ada, eyes, cluster)


async def test_on_a_single_node_a_move_fails_with_the_cause_and_the_guest_runs_on(
    ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes
) -> None:
    cluster = await _made(ada, "alone")
    namespace, name = cluster["namespace"], "alone-instance-1"
    await _migratable(ada, name)
    before = _machine(eyes, namespace)
    await _typed(streams, name, "touch /run/mark")
    asked = await ada.post(f"/instances/{name}/operate", json={"operation": "migrate"})
    assert asked.status_code == 200, asked.text
    operation = asked.json()["operation"]["id"]

    async def waits() -> bool:
        found = (await ada.get(f"/operations/{operation}")).json()
        return bool(found["reason"] == "unschedulable" and found["status"] == "running")

    await eventually(waits, "the move finds no node", 60)
    assert [each["metadata"]["name"] for each in _migrations(eyes, namespace)] == [operation]
    again = await ada.post(f"/instances/{name}/operate", json={"operation": "reboot"})
    assert (again.status_code, "under way" in again.json()["detail"]) == (409, True), again.text

    async def given_up() -> bool:
        return bool((await ada.get(f"/operations/{operation}")).json()["status"] == "failed")

    await eventually(given_up, "the move is given up", 180)
    found = (await ada.get(f"/operations/{operation}")).json()
    assert found["reason"] == "unschedulable"
    assert "anti-affinity" in found["message"], found
    await _nothing_left(eyes, namespace)
    assert _machine(eyes, namespace)["metadata"]["uid"] == before["metadata"]["uid"]
    assert (await ada.get(f"/instances/{name}")).json()["status"] == "running"
    assert "mark-is-there" in await _typed(streams, name, "[ -e /run/mark ] && echo mark-is''-there")
    await _delete(ada, eyes, cluster)


async def test_a_stop_ends_a_move_that_waits(ada: httpx.AsyncClient, eyes: KubeEyes) -> None:
    cluster = await _made(ada, "halts")
    namespace, name = cluster["namespace"], "halts-instance-1"
    await _migratable(ada, name)
    asked = await ada.post(f"/instances/{name}/operate", json={"operation": "migrate"})
    operation = asked.json()["operation"]["id"]

    async def begun() -> bool:
        return bool(_migrations(eyes, namespace))

    await eventually(begun, "the move has begun", 30)
    await _operate(ada, name, "stop", "stopped")
    assert (await ada.get(f"/operations/{operation}")).json()["status"] == "cancelled"
    await _nothing_left(eyes, namespace, launchers=0)
    await _operate(ada, name, "start", "running")
    await _migratable(ada, name)
    await ada.post(f"/instances/{name}/operate", json={"operation": "migrate"})
    await eventually(begun, "the next move has begun", 30)
    await _delete(ada, eyes, cluster)


async def test_what_cannot_move_says_why(ada: httpx.AsyncClient, eyes: KubeEyes, virtual: KubeVirt) -> None:
    with provided(virtual.node, "unshared"):
        volumes = [{"type": "persistent", "name": "data", "size": "64Mi"}]
        cluster = await _made(ada, "tied", vm={"kernel_boot": KERNEL, "volumes": volumes})
        refused: list[dict[str, Any]] = []

        async def said() -> bool:
            answer = await ada.post("/instances/tied-instance-1/operate", json={"operation": "migrate"})
            assert answer.status_code == 409, answer.text
            refused.append(answer.json())
            return "is not shared" in refused[-1]["detail"]

        await eventually(said, "KubeVirt says why", 60)
        assert refused[-1]["capabilities"]["migrate"] is False
        assert "migrate" not in refused[-1]["allowed_operations"]
        await _delete(ada, eyes, cluster)


async def _reboots(client: httpx.AsyncClient, streams: Streams, eyes: KubeEyes, namespace: str, name: str) -> None:
    before = _machine(eyes, namespace)
    assert "mark-is-there" in await _typed(streams, name, "touch /run/mark; [ -e /run/mark ] && echo mark-is''-there")
    await _operate(client, name, "reboot", "running")
    booted: list[str] = []

    async def anew() -> bool:
        booted.append(await _typed(streams, name, "[ -e /run/mark ] || echo booted''-anew"))
        return "booted-anew" in booted[-1]

    await eventually(anew, "the guest has booted anew", 150)
    after = _machine(eyes, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"], "it is the same run of the machine"
    assert (await client.get(f"/instances/{name}")).json()["restarts"] == 0


async def _migratable(client: httpx.AsyncClient, name: str) -> None:
    async def able() -> bool:
        return bool((await client.get(f"/instances/{name}")).json()["capabilities"]["migrate"])

    await eventually(able, "KubeVirt says that it can move", 60)


def _machine(eyes: KubeEyes, namespace: str) -> dict[str, Any]:
    (found,) = eyes.get(f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances")["items"]
    return dict(found)


def _migrations(eyes: KubeEyes, namespace: str) -> list[dict[str, Any]]:
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstancemigrations"
    return list(eyes.get(path)["items"])


async def _nothing_left(eyes: KubeEyes, namespace: str, launchers: int = 1) -> None:
    async def gone() -> bool:
        pods = eyes.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        return not _migrations(eyes, namespace) and len(pods) == launchers

    await eventually(gone, "nothing is left of the move", 60)
