"""The main job on the simulator: create, operate, delete, for both kinds."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from app.models import InstanceOperation as Do
from app.rules.quota import Amounts
from tests.reconciler.world import World

BOTH = pytest.mark.parametrize("instance_type", ["container", "vm"])


@BOTH
async def test_create_runs_and_delete_leaves_nothing(world: World, instance_type: str) -> None:
    cluster_id = await world.create(f"a{uuid.uuid4().hex[:6]}", kind=instance_type, count=3)
    cluster = await world.phase(cluster_id, "running")
    assert (cluster.ready_instances, cluster.reason, cluster.message) == (3, None, None)
    assert cluster.namespace_uid is not None
    assert [i.status for i in await world.instances(cluster_id)] == ["running"] * 3
    created = (await world.operations(cluster_id))[0]
    assert (created.kind, created.status, created.done, created.total) == ("cluster.create", "succeeded", 3, 3)
    pods = await world.kubernetes.pods(cluster.namespace)
    assert len(pods) == 3
    labels = pods[0]["metadata"]["labels"]
    assert (labels["managed-by"], labels["instance-type"]) == ("cmp", instance_type)

    operation = await world.ended(await world.delete(cluster_id))
    assert (operation.status, operation.done) == ("succeeded", operation.total)
    assert await world.cluster(cluster_id) is None
    assert await world.instances(cluster_id) == []
    assert await world.kubernetes.namespace(cluster.namespace) is None
    assert await world.used() == (Amounts(), Amounts())
    kinds = [event.kind for event in await world.events(cluster_id)]
    assert kinds[0] == "cluster.created"
    assert kinds.count("cluster.deleted") == 1
    assert kinds.count("operation.finished") == 2
    assert world.commits > 0


@BOTH
async def test_operations(world: World, instance_type: str) -> None:
    cluster_id = await world.create(f"o{uuid.uuid4().hex[:6]}", kind=instance_type, count=2)
    await world.phase(cluster_id, "running")
    for verb, status in (
        (Do.STOP, "stopped"),
        (Do.START, "running"),
        (Do.SUSPEND, "suspended"),
        (Do.RESUME, "running"),
        (Do.RESTART, "running"),
        (Do.SUSPEND, "suspended"),
        (Do.STOP, "stopped"),
        (Do.START, "running"),
        (Do.SUSPEND, "suspended"),
        (Do.RESTART, "running"),
    ):
        before = (await world.instances(cluster_id))[0]
        operation = await world.ended(await world.operate(cluster_id, verb))
        assert operation.status == "succeeded", (verb, operation.reason, operation.message)
        after = (await world.instances(cluster_id))[0]
        assert (after.status, after.reason) == (status, None)
        assert (after.incarnation > before.incarnation) is (verb is Do.RESTART)
    assert (await world.instances(cluster_id))[1].version < 12
    assert (await world.phase(cluster_id, "running")).ready_instances == 2
    await world.delete(cluster_id)
    await world.gone(cluster_id)


async def test_a_newer_wish_overtakes(world: World) -> None:
    cluster_id = await world.create(f"n{uuid.uuid4().hex[:6]}", count=1)
    await world.phase(cluster_id, "running")
    first = await world.operate(cluster_id, Do.STOP)
    second = await world.operate(cluster_id, Do.START)
    assert (await world.ended(second)).status == "succeeded"
    assert (await world.ended(first)).status in ("cancelled", "succeeded")
    assert (await world.instances(cluster_id))[0].status == "running"


async def test_deleted_while_it_is_made(world: World) -> None:
    for _ in range(3):
        cluster_id = await world.create(f"d{uuid.uuid4().hex[:6]}", count=5)
        await asyncio.sleep(0.05)
        await world.delete(cluster_id)
        await world.gone(cluster_id)
        assert {op.status for op in await world.operations(cluster_id)} <= {"succeeded", "cancelled"}
    assert await world.used() == (Amounts(), Amounts())


async def test_stopped_is_said_only_of_what_kubernetes_no_longer_has(
    still_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that lags behind another worker shows nothing; Kubernetes itself is asked before that is believed."""
    async with still_world.running() as reconciler:
        cluster_id = await still_world.create(f"l{uuid.uuid4().hex[:6]}", kind="container", count=1)
        cluster = await still_world.phase(cluster_id, "running")
        service = reconciler._service
        observe = service.observe

        def lagging(*arguments: object) -> object:
            return replace(observe(*arguments), instances={})  # type: ignore[arg-type]

        monkeypatch.setattr(service, "observe", lagging)
        await still_world.operate(cluster_id, Do.STOP)
        reconciler.nudge(cluster_id)
        await asyncio.sleep(1)
        assert len(await still_world.kubernetes.pods(cluster.namespace)) == 1
        assert (await still_world.instances(cluster_id))[0].status == "stopping"
        monkeypatch.undo()
        reconciler.nudge(cluster_id)
        await still_world.status(cluster_id, "stopped")
