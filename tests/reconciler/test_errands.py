"""Reboots and moves to another node on the simulator."""

import asyncio
import uuid
from typing import Any

import pytest

from app.errors import WrongState
from app.models import InstanceOperation as Do
from app.schemas import VmSettings
from tests.reconciler.world import World

KUBEVIRT = "/apis/kubevirt.io/v1/namespaces"


def name(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:6]}"


async def machine(world: World, **more: Any) -> tuple[uuid.UUID, str]:
    cluster_id = await world.create(name("m"), kind="vm", **more)
    cluster = await world.phase(cluster_id, "running")

    async def known() -> bool:
        one = (await world.instances(cluster_id))[0]
        return one.migratable or one.unmigratable is not None

    await world.until(known, "whether it can move")
    return cluster_id, cluster.namespace


async def migrations(world: World, namespace: str) -> list[dict[str, Any]]:
    path = f"{KUBEVIRT}/{namespace}/virtualmachineinstancemigrations"
    return (await world.kubernetes.request("GET", path))["items"]  # type: ignore[no-any-return]


async def reboots(world: World) -> int:
    sent = (await world.kubernetes.admin("GET", "journal"))["items"]
    return len([each for each in sent if each["subresource"] == "softreboot"])


async def none_left(world: World, namespace: str) -> None:
    async def gone() -> bool:
        return not await migrations(world, namespace)

    await world.until(gone, "the migration's end")


async def vmi(world: World, namespace: str) -> dict[str, Any]:
    found = await world.kubernetes.request("GET", f"{KUBEVIRT}/{namespace}/virtualmachineinstances")
    return found["items"][0]  # type: ignore[no-any-return]


async def cordon(world: World, *, but: str = "", away: bool) -> None:
    nodes = (await world.kubernetes.request("GET", "/api/v1/nodes"))["items"]
    for node in nodes:
        if node["metadata"]["name"] != but:
            path = f"/api/v1/nodes/{node['metadata']['name']}"
            body = {"spec": {"unschedulable": away or None}}
            await world.kubernetes.request("PATCH", path, body, "application/merge-patch+json")


async def test_a_reboot_is_asked_for_once(world: World) -> None:
    cluster_id, namespace = await machine(world)
    before = await vmi(world, namespace)
    await world.kubernetes.admin("DELETE", "journal")
    operation = await world.ended(await world.operate(cluster_id, Do.REBOOT))
    assert (operation.kind, operation.status) == ("instance.reboot", "succeeded"), operation.message
    assert await reboots(world) == 1
    assert (await vmi(world, namespace))["metadata"]["uid"] == before["metadata"]["uid"]
    one = (await world.instances(cluster_id))[0]
    assert (one.status, one.wanted, one.incarnation) == ("running", "running", 1)
    await world.delete(cluster_id)


async def test_a_visit_that_may_not_write_what_it_did_does_not_do_it_again(world: World) -> None:
    """While the reboot is being sent, the API changes the cluster: that visit's findings are thrown away."""
    cluster_id, _ = await machine(world, count=2)
    await world.kubernetes.admin("DELETE", "journal")
    await world.kubernetes.fault(kind="slow", seconds=1, subresource="softreboot")
    reboot = await world.operate(cluster_id, Do.REBOOT)
    await asyncio.sleep(0.5)
    stop = await world.operate(cluster_id, Do.STOP, ordinal=2)
    assert (await world.ended(reboot)).status == "succeeded"
    assert (await world.ended(stop)).status == "succeeded"
    assert await reboots(world) == 1
    await world.delete(cluster_id)


async def test_what_kubevirt_refuses_fails_with_its_words(world: World) -> None:
    cluster_id, _ = await machine(world)
    await world.kubernetes.fault(kind="409", subresource="softreboot")
    operation = await world.ended(await world.operate(cluster_id, Do.REBOOT))
    assert (operation.status, operation.reason) == ("failed", "rejected")
    assert str(operation.message).startswith("Kubernetes says: Operation cannot be fulfilled")
    assert (await world.instances(cluster_id))[0].status == "running"
    assert (await world.cluster(cluster_id)).phase == "running"  # type: ignore[union-attr]
    await world.delete(cluster_id)


async def test_it_moves_to_another_node_and_runs_on(world: World) -> None:
    cluster_id, namespace = await machine(world)
    before = await vmi(world, namespace)
    operation = await world.ended(await world.operate(cluster_id, Do.MIGRATE))
    assert (operation.kind, operation.status) == ("instance.migrate", "succeeded"), operation.message
    after = await vmi(world, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["nodeName"] != before["status"]["nodeName"]
    await none_left(world, namespace)

    async def followed() -> bool:
        return bool((await world.instances(cluster_id))[0].node == after["status"]["nodeName"])

    await world.until(followed, "its new node")
    assert {e.status for e in await world.events(cluster_id) if e.kind == "instance.status"} <= {"starting", "running"}
    again = await world.ended(await world.operate(cluster_id, Do.MIGRATE))
    assert again.status == "succeeded", again.message
    await world.delete(cluster_id)
    await world.gone(cluster_id)


async def test_without_another_node_it_says_so_and_a_stop_ends_the_waiting(world: World) -> None:
    cluster_id, namespace = await machine(world)
    await cordon(world, but=(await vmi(world, namespace))["status"]["nodeName"], away=True)
    try:
        move = await world.operate(cluster_id, Do.MIGRATE)

        async def told() -> bool:
            return (await world.operation(move)).reason == "unschedulable"

        await world.until(told, "the cause")
        assert "anti-affinity" in str((await world.operation(move)).message)
        assert (await migrations(world, namespace))[0]["metadata"]["name"] == str(move)
        assert (await world.instances(cluster_id))[0].status == "running"
        with pytest.raises(WrongState, match="under way"):
            await world.operate(cluster_id, Do.REBOOT)
        stop = await world.ended(await world.operate(cluster_id, Do.STOP))
        assert stop.status == "succeeded"
        assert (await world.operation(move)).status == "cancelled"
        await none_left(world, namespace)
    finally:
        await cordon(world, away=False)
    assert (await world.ended(await world.operate(cluster_id, Do.START))).status == "succeeded"
    await world.delete(cluster_id)
    await world.gone(cluster_id)


async def test_it_is_deleted_while_it_moves(world: World) -> None:
    cluster_id, namespace = await machine(world)
    await cordon(world, but=(await vmi(world, namespace))["status"]["nodeName"], away=True)
    try:
        await world.operate(cluster_id, Do.MIGRATE)

        async def begun() -> bool:
            return bool(await migrations(world, namespace))

        await world.until(begun, "the migration")
        deletion = await world.delete(cluster_id)
        await world.gone(cluster_id)
        assert (await world.operation(deletion)).status == "succeeded"
    finally:
        await cordon(world, away=False)


async def test_why_it_cannot_move_is_said_in_kubevirts_words(world: World) -> None:
    disk = VmSettings.model_validate({"root_disk": {"type": "blank", "size": "1Gi"}})
    cluster_id, _ = await machine(world, own=disk)
    with pytest.raises(WrongState, match=r"KubeVirt says: cannot migrate VMI: PVC .* is not shared"):
        await world.operate(cluster_id, Do.MIGRATE)
    await world.delete(cluster_id)


async def test_a_worker_that_died_before_writing_is_followed_by_one_that_asks_again(still_world: World) -> None:
    """What was sent and not written is sent once more: a migration has its operation's name, so it is made once."""
    world = still_world
    async with world.running():
        cluster_id, namespace = await machine(world)
    move = await world.operate(cluster_id, Do.MIGRATE)
    await cordon(world, but=(await vmi(world, namespace))["status"]["nodeName"], away=True)
    try:
        for _ in range(2):
            async with world.running():
                world.nudge(cluster_id)

                async def told() -> bool:
                    return (await world.operation(move)).reason == "unschedulable"

                await world.until(told, "the cause")
                assert [each["metadata"]["name"] for each in await migrations(world, namespace)] == [str(move)]
    finally:
        await cordon(world, away=False)
    async with world.running():
        world.nudge(cluster_id)
        assert (await world.ended(move)).status == "succeeded"
        await none_left(world, namespace)
        await world.delete(cluster_id)
        await world.gone(cluster_id)


@pytest.mark.parametrize(("operation", "words"), [(Do.REBOOT, "no system to reboot"), (Do.MIGRATE, "does not move")])
async def test_containers_have_neither(world: World, operation: Do, words: str) -> None:
    cluster_id = await world.create(name("c"))
    await world.phase(cluster_id, "running")
    with pytest.raises(WrongState, match=words):
        await world.operate(cluster_id, operation)
    await world.delete(cluster_id)
