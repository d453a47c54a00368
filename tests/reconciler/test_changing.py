"""Changing a cluster: what is replaced when, how many at a time, and the quota through all of it."""

import uuid
from typing import Any

import pytest

from app.errors import QuotaExceeded, Unsupported
from app.models import InstanceOperation
from app.rules.quota import Amounts
from app.schemas import ContainerSettings, VmSettings
from app.services import changing, scaling
from app.services.catalogue import ChosenImage, Size
from app.services.changing import Change
from tests.reconciler.world import World


def name() -> str:
    return f"n{uuid.uuid4().hex[:6]}"


async def change(world: World, cluster_id: uuid.UUID, wish: Change) -> uuid.UUID:
    async with world.database.transaction() as session:
        view = await scaling.hold(session, world.viewer, cluster_id)
        operation = await changing.change(session, world.viewer, view, wish, "test")
    assert operation is not None
    world.nudge(cluster_id)
    return operation.id


async def images(world: World, cluster_id: uuid.UUID) -> list[str]:
    cluster = await world.cluster(cluster_id)
    assert cluster is not None
    pods = await world.kubernetes.pods(cluster.namespace)
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods)


async def pod_sizes(world: World, cluster_id: uuid.UUID) -> list[tuple[str, str, str]]:
    cluster = await world.cluster(cluster_id)
    assert cluster is not None
    found = []
    for pod in await world.kubernetes.pods(cluster.namespace):
        limits = pod["status"]["containerStatuses"][0]["resources"]["limits"]
        found.append((pod["metadata"]["uid"], limits["cpu"], limits["memory"]))
    return sorted(found)


async def test_another_image_goes_round_one_at_a_time(world: World) -> None:
    cluster_id = await world.create(name(), count=4)
    await world.phase(cluster_id, "running")
    least = 4
    operation_id = await change(world, cluster_id, Change(image=ChosenImage("nginx:2")))

    async def ended() -> Any:
        nonlocal least
        cluster = await world.cluster(cluster_id)
        assert cluster is not None
        pods = await world.kubernetes.pods(cluster.namespace)
        up = [p for p in pods if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"]]
        least = min(least, len(up))
        operation = await world.operation(operation_id)
        return operation if operation.finished_at is not None else None

    operation = await world.until(ended, "the change", 30)
    assert (operation.status, operation.done, operation.total) == ("succeeded", 4, 4)
    assert least >= 3, "never more than one is down"
    assert await images(world, cluster_id) == ["nginx:2"] * 4
    assert all(i.revision == 2 and not i.restart_required for i in await world.instances(cluster_id))
    messages = {event.message for event in await world.events(cluster_id) if event.kind == "instance.status"}
    assert not any("not by CMP" in (message or "") for message in messages), messages


async def test_the_first_that_fails_ends_it_and_the_others_go_on(world: World) -> None:
    cluster_id = await world.create(name(), count=3)
    await world.phase(cluster_id, "running")
    broken = await change(world, cluster_id, Change(image=ChosenImage("nginx:does-not-exist")))

    async def stuck() -> Any:
        return (await world.instances(cluster_id))[0].reason == "image_pull" or None

    await world.until(stuck, "the first to be stuck")
    assert await images(world, cluster_id) == ["nginx:1", "nginx:1", "nginx:does-not-exist"]
    back = await change(world, cluster_id, Change(image=ChosenImage("nginx:1")))
    assert (await world.operation(broken)).status == "cancelled"
    assert (await world.ended(back)).status == "succeeded"
    assert await images(world, cluster_id) == ["nginx:1"] * 3
    await world.phase(cluster_id, "running")


async def test_stopped_and_suspended_ones_are_left_alone(world: World) -> None:
    cluster_id = await world.create(name(), count=3)
    await world.phase(cluster_id, "running")
    await world.ended(await world.operate(cluster_id, InstanceOperation.STOP, 1))
    await world.ended(await world.operate(cluster_id, InstanceOperation.SUSPEND, 2))
    done = await world.ended(await change(world, cluster_id, Change(image=ChosenImage("nginx:2"))))
    assert done.status == "succeeded"
    assert done.message == "1 of 3 instances take it up at their next restart."
    assert await images(world, cluster_id) == ["nginx:1", "nginx:2"]
    assert [i.restart_required for i in await world.instances(cluster_id)] == [False, True, False]
    await world.ended(await world.operate(cluster_id, InstanceOperation.START, 1))
    await world.ended(await world.operate(cluster_id, InstanceOperation.RESUME, 2))
    assert await images(world, cluster_id) == ["nginx:1", "nginx:2", "nginx:2"], "what it holds is not thrown away"
    await world.ended(await world.operate(cluster_id, InstanceOperation.RESTART, 2))
    assert await images(world, cluster_id) == ["nginx:2"] * 3


async def test_a_size_is_changed_where_it_runs_and_charged_exactly(world: World) -> None:
    cluster_id = await world.create(name(), count=2, cpu=200)
    await world.phase(cluster_id, "running")
    before = [uid for uid, _, _ in await pod_sizes(world, cluster_id)]
    wish = Change(size=Size(cpu=300, memory=32))
    operation_id = await change(world, cluster_id, wish)
    used, held = await world.used()
    assert used == held == Amounts(cpu=600, memory=128, instances=2, clusters=1), "the larger of both, at once"
    done = await world.ended(operation_id)
    assert (done.status, done.done) == ("succeeded", 2)
    assert await pod_sizes(world, cluster_id) == [(uid, "300m", "32Mi") for uid in before], "the same Pods"
    used, held = await world.used()
    assert used == held == Amounts(cpu=600, memory=64, instances=2, clusters=1), "what was given up is given back"
    assert [(i.cpu, i.memory) for i in await world.instances(cluster_id)] == [(300, 32)] * 2


async def test_what_does_not_fit_the_quota_changes_nothing(world: World) -> None:
    cluster_id = await world.create(name(), count=2)
    await world.phase(cluster_id, "running")
    with pytest.raises(QuotaExceeded):
        await change(world, cluster_id, Change(size=Size(cpu=9_000_000, memory=64)))
    cluster = await world.cluster(cluster_id)
    assert cluster is not None
    assert (cluster.cpu_per_inst, cluster.revision) == (100, 1)
    used, held = await world.used()
    assert used == held == Amounts(cpu=200, memory=128, instances=2, clusters=1)


async def test_no_node_has_so_much(world: World) -> None:
    cluster_id = await world.create(name())
    await world.phase(cluster_id, "running")
    done = await world.ended(await change(world, cluster_id, Change(size=Size(cpu=5_000_000, memory=64))))
    assert (done.status, done.reason) == ("failed", "unschedulable")
    assert done.message is not None
    assert "node didn't have enough allocatable resources" in done.message
    assert "Restart it" in done.message
    assert (await world.instances(cluster_id))[0].status == "running", "it runs on as it was"
    assert (await world.instances(cluster_id))[0].restart_required
    used, held = await world.used()
    assert used.cpu == held.cpu == 5_000_000
    back = await world.ended(await change(world, cluster_id, Change(size=Size(cpu=100, memory=64))))
    assert back.status == "succeeded"
    used, held = await world.used()
    assert used.cpu == held.cpu == 100


async def test_a_stopped_one_has_its_new_size_at_once(world: World) -> None:
    for kind in ("container", "vm"):
        cluster_id = await world.create(name(), kind=kind, cpu=200)
        await world.phase(cluster_id, "running")
        await world.ended(await world.operate(cluster_id, InstanceOperation.STOP))
        assert (await world.ended(await change(world, cluster_id, Change(size=Size(50, 64))))).status == "succeeded"

        async def lowered() -> Any:
            used, held = await world.used()
            assert used == held
            return used.cpu == 50 or None

        await world.until(lowered, "what it no longer takes to be given back")
        await world.ended(await world.operate(cluster_id, InstanceOperation.START))
        await world.delete(cluster_id)
        await world.gone(cluster_id)


async def test_vms_take_it_up_at_their_next_start(world: World) -> None:
    cluster_id = await world.create(name(), kind="vm", count=2)
    await world.phase(cluster_id, "running")
    wish = Change(size=Size(cpu=50, memory=128), image=ChosenImage("disks/guest:2"))
    done = await world.ended(await change(world, cluster_id, wish))
    assert (done.status, done.done) == ("succeeded", 2)
    assert done.message == "2 of 2 instances take it up at their next restart."

    async def told() -> Any:
        return all(i.restart_required for i in await world.instances(cluster_id)) or None

    await world.until(told, "both to say that they wait")
    used, held = await world.used()
    assert used == held == Amounts(cpu=200, memory=256, instances=2, clusters=1)
    for ordinal in (1, 2):
        await world.ended(await world.operate(cluster_id, InstanceOperation.RESTART, ordinal))

    async def lowered() -> Any:
        used, held = await world.used()
        assert used == held
        return used.cpu == 100 or None

    await world.until(lowered, "what they no longer take to be given back")
    assert not any(i.restart_required for i in await world.instances(cluster_id))


async def test_settings_change_but_disks_do_not(world: World) -> None:
    own = ContainerSettings.model_validate(
        {"volumes": [{"type": "persistent", "name": "data", "mount_path": "/data", "size": 64}], "env": {"A": "1"}}
    )
    cluster_id = await world.create(name(), own=own)
    await world.phase(cluster_id, "running")
    larger = own.stored()
    larger["volumes"] = [larger["volumes"][0] | {"size": 128}]
    with pytest.raises(Unsupported):
        await change(world, cluster_id, Change(spec=larger))
    other = own.model_copy(update={"env": {"A": "2"}}).stored()
    assert (await world.ended(await change(world, cluster_id, Change(spec=other)))).status == "succeeded"
    cluster = await world.cluster(cluster_id)
    assert cluster is not None
    pod = (await world.kubernetes.pods(cluster.namespace))[0]
    assert pod["spec"]["containers"][0]["env"] == [{"name": "A", "value": "2"}]


@pytest.mark.parametrize("kind", ["container", "vm"])
async def test_replaced_it_begins_with_empty_disks(world: World, kind: str) -> None:
    volume = {"type": "persistent", "name": "data", "size": 64}
    mounted = volume if kind == "vm" else volume | {"mount_path": "/data"}
    model = VmSettings if kind == "vm" else ContainerSettings
    cluster_id = await world.create(web := name(), kind=kind, own=model.model_validate({"volumes": [mounted]}))
    cluster = await world.phase(cluster_id, "running")
    path = f"/api/v1/namespaces/{cluster.namespace}/persistentvolumeclaims/{web}-instance-1-data"
    first = await world.kubernetes.request("GET", path)
    used, _ = await world.used()
    done = await world.ended(await world.operate(cluster_id, InstanceOperation.REPLACE))
    assert done.status == "succeeded"
    second = await world.kubernetes.request("GET", path)
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    again, held = await world.used()
    assert again == held == used
    assert (await world.instances(cluster_id))[0].status == "running"


async def test_who_takes_over_halfway_goes_on(world: World) -> None:
    cluster_id = await world.create(name(), count=4)
    await world.phase(cluster_id, "running")
    operation_id = await change(world, cluster_id, Change(image=ChosenImage("nginx:2"), max_unavailable=2))

    async def begun() -> Any:
        return (await world.operation(operation_id)).done or None

    await world.until(begun, "some progress")
    async with world.running():
        assert (await world.ended(operation_id)).status == "succeeded"
    assert await images(world, cluster_id) == ["nginx:2"] * 4


async def test_one_that_is_let_go_while_it_is_replaced_is_not_made_again(still_world: World) -> None:
    cluster_id = await still_world.create(web := name(), count=2)
    async with still_world.running():
        await still_world.phase(cluster_id, "running")
    replacing = await still_world.operate(cluster_id, InstanceOperation.REPLACE, 2)
    namespace = f"{web}-ns"
    await still_world.kubernetes.delete_pod(namespace, f"{web}-instance-2")
    async with still_world.database.transaction() as session:
        view = await scaling.hold(session, still_world.viewer, cluster_id)
        await scaling.scale(session, still_world.viewer, view, 1, [], "test")
    seen: set[str] = set()
    async with still_world.running():

        async def let_go() -> Any:
            seen.update(pod["metadata"]["name"] for pod in await still_world.kubernetes.pods(namespace))
            return len(await still_world.instances(cluster_id)) == 1 or None

        await still_world.until(let_go, "one instance")
    assert (await still_world.operation(replacing)).status == "cancelled"
    assert seen == {f"{web}-instance-1"}
