"""Kubernetes answers badly, answers are lost, we are interrupted: it converges, without duplicates."""

import asyncio
import uuid
from pathlib import Path

import pytest

from app.models import InstanceOperation as Do
from app.rules.quota import Amounts
from tests.reconciler.conftest import settings_for
from tests.reconciler.world import World

CHANGES = ("create", "update", "patch", "delete")


def name(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:6]}"


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset_before", "reset_after", "truncated", "409"])
async def test_faulty_changes_converge(world: World, fault: str) -> None:
    for verb in CHANGES:
        more = {"retry_after": 0} if fault == "429" else {}
        await world.kubernetes.fault(kind=fault, verb=verb, probability=0.3, count=6, seed=7, **more)
    clusters = [await world.create(name("c"), count=4), await world.create(name("v"), kind="vm", count=2)]
    for cluster_id in clusters:
        await world.phase(cluster_id, "running", seconds=60)
        assert (await world.ended(await world.operate(cluster_id, Do.RESTART), seconds=60)).status == "succeeded"
        cluster = await world.phase(cluster_id, "running", seconds=60)
        pods = await world.kubernetes.pods(cluster.namespace)
        assert len(pods) == cluster.instance_count
        await world.delete(cluster_id)
    for cluster_id in clusters:
        await world.gone(cluster_id, seconds=60)
    assert await world.used() == (Amounts(), Amounts())


@pytest.mark.parametrize("fault", ["watch_drop", "watch_410", "watch_duplicate", "watch_reorder", "stale_list"])
async def test_faulty_watches_converge(world: World, fault: str) -> None:
    await world.kubernetes.fault(kind=fault, probability=0.5, count=50, seed=3, after=2)
    cluster_id = await world.create(name("w"), count=6)
    await world.phase(cluster_id, "running", seconds=40)
    for verb in (Do.STOP, Do.START):
        assert (await world.ended(await world.operate(cluster_id, verb), seconds=40)).status == "succeeded"
    await world.delete(cluster_id)
    await world.gone(cluster_id, seconds=40)


async def test_kubernetes_away_is_said_and_nothing_fails(world: World) -> None:
    cluster_id = await world.create(name("k"))
    await world.phase(cluster_id, "running")
    for verb in ("create", "delete", "get"):
        await world.kubernetes.fault(kind="503", verb=verb)
    operation = await world.operate(cluster_id, Do.STOP)

    async def said() -> bool:
        cluster = await world.cluster(cluster_id)
        return cluster is not None and cluster.reason == "kubernetes_unavailable"

    await world.until(said, "the reason", seconds=60, about=cluster_id)
    instance = (await world.instances(cluster_id))[0]
    assert (instance.status, (await world.operation(operation)).status) == ("stopping", "running")
    await world.kubernetes.no_faults()
    assert (await world.ended(operation, seconds=30)).status == "succeeded"
    assert (await world.phase(cluster_id, "running")).reason is None


async def test_interrupted_anywhere_it_converges(still_world: World) -> None:
    """The worker is stopped, again and again, at moments that come to lie on every line of a visit."""
    world = still_world
    made = [await world.create(name("x"), count=3), await world.create(name("y"), kind="vm", count=2)]
    for round_ in range(12):
        async with world.running():
            await asyncio.sleep(0.03 + 0.02 * round_)
    async with world.running():
        for cluster_id in made:
            cluster = await world.phase(cluster_id, "running")
            assert len(await world.kubernetes.pods(cluster.namespace)) == cluster.instance_count
    for cluster_id in made:
        await world.delete(cluster_id)
    for round_ in range(8):
        async with world.running():
            await asyncio.sleep(0.03 + 0.02 * round_)
    async with world.running():
        for cluster_id in made:
            await world.gone(cluster_id)
    assert await world.used() == (Amounts(), Amounts())
    for cluster_id in made:
        assert {op.status for op in await world.operations(cluster_id)} <= {"succeeded", "cancelled"}


async def test_three_hundred_instances(still_world: World, tmp_path: Path) -> None:
    async with still_world.running(settings_for(tmp_path)):
        cluster_id = await still_world.create(name("big"), count=300)
        cluster = await still_world.phase(cluster_id, "running", seconds=120)
        assert cluster.ready_instances == 300
        operation = (await still_world.operations(cluster_id))[0]
        assert (operation.status, operation.done) == ("succeeded", 300)
        assert len(await still_world.kubernetes.pods(cluster.namespace)) == 300
        await still_world.delete(cluster_id)
        await still_world.gone(cluster_id, seconds=120)
    assert await still_world.used() == (Amounts(), Amounts())
