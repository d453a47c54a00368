"""What becomes of a VM whose guest ended by itself, on the simulator."""

import asyncio
import uuid
from typing import Any

import pytest

from app.models import InstanceOperation as Do
from app.schemas import VmSettings
from tests.reconciler.world import World

MERGE = "application/merge-patch+json"


async def machine(world: World, strategy: str) -> tuple[uuid.UUID, str]:
    own = VmSettings.model_validate({"run_strategy": strategy})
    cluster_id = await world.create(f"r{uuid.uuid4().hex[:6]}", kind="vm", own=own)
    cluster = await world.phase(cluster_id, "running")
    return cluster_id, cluster.namespace


async def ends(world: World, namespace: str, how: str) -> str:
    """The guest shuts itself down, or fails; answers the uid of the run that ended."""
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances"
    (vmi,) = (await world.kubernetes.request("GET", path))["items"]
    body = {"metadata": {"annotations": {f"simulator/{how}": "true"}}}
    await world.kubernetes.request("PATCH", f"{path}/{vmi['metadata']['name']}", body, MERGE)
    return str(vmi["metadata"]["uid"])


async def run(world: World, namespace: str) -> dict[str, Any] | None:
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances"
    found = (await world.kubernetes.request("GET", path))["items"]
    return found[0] if found else None


async def another_run(world: World, cluster_id: uuid.UUID, namespace: str, old: str) -> None:
    async def anew() -> bool:
        now = await run(world, namespace)
        return now is not None and now["metadata"]["uid"] != old and now["status"].get("phase") == "Running"

    await world.until(anew, "the next run", 30, cluster_id)
    await world.phase(cluster_id, "running")


@pytest.mark.parametrize("strategy", ["once", "rerun-on-failure"])
async def test_a_guest_that_shuts_itself_down_has_completed(world: World, strategy: str) -> None:
    cluster_id, namespace = await machine(world, strategy)
    old = await ends(world, namespace, "shutdown")
    await world.status(cluster_id, "stopped")

    async def put_away() -> bool:
        one = (await world.instances(cluster_id))[0]
        return await run(world, namespace) is None and one.status == "stopped"

    await world.until(put_away, "its end", 20, cluster_id)
    one = (await world.instances(cluster_id))[0]
    assert (one.wanted, one.status, one.reason) == ("stopped", "stopped", "completed")
    start = await world.ended(await world.operate(cluster_id, Do.START))
    assert start.status == "succeeded", start.message
    await another_run(world, cluster_id, namespace, old)
    await world.delete(cluster_id)
    await world.gone(cluster_id)


async def test_nobody_needs_to_look_when_it_happens(still_world: World) -> None:
    """It ended while no worker was there; started again at once, before the next worker saw that it ended."""
    world = still_world
    async with world.running():
        cluster_id, namespace = await machine(world, "once")
    await ends(world, namespace, "shutdown")

    async def over() -> bool:
        now = await run(world, namespace)
        return now is not None and now["status"].get("phase") == "Succeeded"

    await world.until(over, "its end")
    await asyncio.sleep(0.5)
    async with world.running():
        one = await world.status(cluster_id, "stopped")
        assert one.reason == "completed"
        await world.delete(cluster_id)
        await world.gone(cluster_id)


@pytest.mark.parametrize(("strategy", "again"), [("once", False), ("rerun-on-failure", True), ("always", True)])
async def test_a_guest_that_fails(world: World, strategy: str, again: bool) -> None:
    cluster_id, namespace = await machine(world, strategy)
    old = await ends(world, namespace, "crash")
    if again:
        await another_run(world, cluster_id, namespace, old)
    else:
        one = await world.status(cluster_id, "failed")
        assert (one.wanted, one.reason) == ("running", "exited")
        restart = await world.ended(await world.operate(cluster_id, Do.RESTART))
        assert restart.status == "succeeded", restart.message
        await another_run(world, cluster_id, namespace, old)
    await world.delete(cluster_id)
    await world.gone(cluster_id)


@pytest.mark.parametrize("strategy", ["once", "rerun-on-failure"])
async def test_it_is_operated_like_any_other(world: World, strategy: str) -> None:
    cluster_id, namespace = await machine(world, strategy)
    old = str((await run(world, namespace) or {})["metadata"]["uid"])
    for verb, status in (
        (Do.RESTART, "running"),
        (Do.STOP, "stopped"),
        (Do.START, "running"),
        (Do.SUSPEND, "suspended"),
        (Do.RESTART, "running"),
        (Do.REBOOT, "running"),
    ):
        operation = await world.ended(await world.operate(cluster_id, verb))
        assert operation.status == "succeeded", (verb, operation.reason, operation.message)
        one = (await world.instances(cluster_id))[0]
        assert (one.status, one.reason) == (status, None)
    assert str((await run(world, namespace) or {})["metadata"]["uid"]) != old
    await world.delete(cluster_id)
    await world.gone(cluster_id)
