"""More instances and fewer: which numbers come, which ones go, and the quota through all of it."""

import uuid
from typing import Any

from app.rules.quota import Amounts
from app.services import scaling
from tests.reconciler.world import World


def name() -> str:
    return f"n{uuid.uuid4().hex[:6]}"


async def scale(world: World, cluster_id: uuid.UUID, count: int | None = None, *remove: str) -> Any:
    async with world.database.transaction() as session:
        view = await scaling.hold(session, world.viewer, cluster_id)
        operation = await scaling.scale(session, world.viewer, view, count, remove, "test")
    world.nudge(cluster_id)
    return operation.id


async def numbers(world: World, cluster_id: uuid.UUID) -> list[int]:
    return [instance.ordinal for instance in await world.instances(cluster_id)]


async def test_up_and_down(world: World) -> None:
    cluster_id = await world.create(web := name(), count=3)
    await world.phase(cluster_id, "running")
    grown = await world.ended(await scale(world, cluster_id, 6))
    assert (grown.status, grown.done, grown.total) == ("succeeded", 3, 3)
    assert await numbers(world, cluster_id) == [1, 2, 3, 4, 5, 6]
    chosen = await world.ended(await scale(world, cluster_id, None, f"{web}-instance-2", f"{web}-instance-5"))
    assert (chosen.status, chosen.done, chosen.total) == ("succeeded", 2, 2)
    assert await numbers(world, cluster_id) == [1, 3, 4, 6]
    again = await world.ended(await scale(world, cluster_id, 5))
    assert again.status == "succeeded"
    assert await numbers(world, cluster_id) == [1, 2, 3, 4, 6], "the lowest free number"
    fewer = await world.ended(await scale(world, cluster_id, 2))
    assert fewer.status == "succeeded"
    assert await numbers(world, cluster_id) == [1, 2], "the highest numbers went"
    cluster = await world.phase(cluster_id, "running")
    assert (cluster.instance_count, cluster.ready_instances) == (2, 2)
    assert len(await world.kubernetes.pods(cluster.namespace)) == 2
    used, held = await world.used()
    assert used == held == Amounts(cpu=200, memory=128, instances=2, clusters=1)


async def test_a_newer_wish_begins_from_the_present_one(world: World) -> None:
    cluster_id = await world.create(name(), count=2)
    first = await scale(world, cluster_id, 8)
    second = await scale(world, cluster_id, 3)
    assert (await world.ended(second)).status == "succeeded"
    assert (await world.ended(first)).status == "cancelled"
    assert await numbers(world, cluster_id) == [1, 2, 3]
    used, held = await world.used()
    assert used == held
    assert used.instances == 3
