"""What happens behind CMP's back, and what cannot be made: healed, or said in words; what is not ours is left alone."""

import uuid

import pytest

from app.models import InstanceOperation as Do
from app.rules.quota import Amounts
from tests.reconciler.world import World

MISSING = "registry.example/thing:does-not-exist"


def name(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:6]}"


async def test_a_deleted_pod_comes_back(world: World) -> None:
    cluster_id = await world.create(name("p"), count=2)
    cluster = await world.phase(cluster_id, "running")
    first = (await world.kubernetes.pods(cluster.namespace))[0]
    await world.kubernetes.delete_pod(cluster.namespace, first["metadata"]["name"])

    async def replaced() -> bool:
        pods = await world.kubernetes.pods(cluster.namespace)
        return len(pods) == 2 and first["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in pods}

    async def told() -> bool:
        events = [e for e in await world.events(cluster_id) if e.kind == "instance.status"]
        return any(e.status == "starting" and "deleted in Kubernetes" in str(e.message) for e in events)

    await world.until(replaced, "the new pod")
    await world.until(told, "the event")
    await world.phase(cluster_id, "running")


async def test_an_evicted_pod_is_replaced_and_told(world: World) -> None:
    cluster_id = await world.create(name("e"))
    cluster = await world.phase(cluster_id, "running")
    pod = (await world.kubernetes.pods(cluster.namespace))[0]["metadata"]
    await world.kubernetes.admin("POST", f"pods/{cluster.namespace}/{pod['name']}/evict", {})

    async def replaced() -> bool:
        pods = await world.kubernetes.pods(cluster.namespace)
        return bool(pods) and pods[0]["metadata"]["uid"] != pod["uid"]

    await world.until(replaced, "the replacement")
    await world.phase(cluster_id, "running")
    assert "evicted" in {e.reason for e in await world.events(cluster_id) if e.kind == "instance.status"}


async def test_a_deleted_vm_comes_back_stopped_if_it_was(world: World) -> None:
    cluster_id = await world.create(name("v"), kind="vm")
    cluster = await world.phase(cluster_id, "running")
    await world.ended(await world.operate(cluster_id, Do.STOP))
    path = f"/apis/kubevirt.io/v1/namespaces/{cluster.namespace}/virtualmachines"
    before = (await world.kubernetes.request("GET", path))["items"][0]["metadata"]
    await world.kubernetes.request("DELETE", f"{path}/{before['name']}")

    async def back() -> bool:
        found = (await world.kubernetes.request("GET", path))["items"]
        return bool(found) and found[0]["metadata"]["uid"] != before["uid"]

    await world.until(back, "the VM")
    await world.status(cluster_id, "stopped")


async def test_a_namespace_deleted_behind_our_back_is_made_again(world: World) -> None:
    cluster_id = await world.create(name("n"), count=2)
    cluster = await world.phase(cluster_id, "running")
    await world.kubernetes.request("DELETE", f"/api/v1/namespaces/{cluster.namespace}")

    async def again() -> bool:
        now = await world.cluster(cluster_id)
        assert now is not None
        return now.namespace_uid != cluster.namespace_uid and now.phase == "running"

    await world.until(again, "the new namespace", about=cluster_id)
    assert len(await world.kubernetes.pods(cluster.namespace)) == 2


async def test_an_image_that_is_not_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _impatient(monkeypatch, 1)
    cluster_id = await world.create(name("i"), count=2, image=MISSING)
    cluster = await world.phase(cluster_id, "failed")
    assert cluster.reason == "image_pull"
    assert cluster.message is not None
    assert cluster.message.startswith("2 of 2 instances: The image cannot be pulled")
    operation = (await world.operations(cluster_id))[0]
    assert (operation.status, operation.reason) == ("failed", "image_pull")
    assert "-instance-1, " in str(operation.message)
    await world.operate(cluster_id, Do.STOP)
    await world.status(cluster_id, "stopped")
    await world.phase(cluster_id, "degraded")
    await world.operate(cluster_id, Do.STOP, ordinal=2)
    await world.phase(cluster_id, "running")
    assert (await world.operation(operation.id)).status == "failed"


async def test_no_room_and_then_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _impatient(monkeypatch, 1)
    nodes = [node["metadata"]["name"] for node in (await world.kubernetes.request("GET", "/api/v1/nodes"))["items"]]
    try:
        for node in nodes:
            await world.kubernetes.admin("PATCH", f"nodes/{node}", {"cpu": "256"})
        cluster_id = await world.create(name("r"), cpu=512_000)
        assert (await world.status(cluster_id, "failed")).reason == "unschedulable"
        await world.kubernetes.admin("PATCH", f"nodes/{nodes[0]}", {"cpu": "1024"})
        # It recovers by itself when Kubernetes does; what has ended stays ended.
        await world.phase(cluster_id, "running")
        assert [op.status for op in await world.operations(cluster_id)] == ["failed"]
    finally:
        for node in nodes:
            await world.kubernetes.admin("PATCH", f"nodes/{node}", {"cpu": "1024"})


async def test_a_foreign_namespace_is_left_alone(still_world: World) -> None:
    world, called = still_world, name("f")
    await _make_namespace(world, f"{called}-ns", {"team": "a"})
    before = await world.kubernetes.namespace(f"{called}-ns")
    async with world.running():
        cluster_id = await world.create(called)
        cluster = await world.phase(cluster_id, "running")
        assert cluster.namespace.startswith(f"{called}-")
        assert cluster.namespace != f"{called}-ns"
        await world.delete(cluster_id)
        await world.gone(cluster_id)
    assert await world.kubernetes.namespace(f"{called}-ns") == before


async def test_deleting_what_never_got_its_namespace_leaves_a_foreign_one(still_world: World) -> None:
    world, called = still_world, name("g")
    await _make_namespace(world, f"{called}-ns", {})
    before = await world.kubernetes.namespace(f"{called}-ns")
    cluster_id = await world.create(called)
    await world.delete(cluster_id)
    async with world.running():
        await world.gone(cluster_id)
    assert await world.kubernetes.namespace(f"{called}-ns") == before
    assert await world.used() == (Amounts(), Amounts())


async def test_a_pod_of_our_name_that_is_not_ours(still_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = still_world
    _impatient(monkeypatch, 1)
    async with world.running():
        cluster_id = await world.create(name("h"))
        cluster = await world.phase(cluster_id, "running")
        await world.ended(await world.operate(cluster_id, Do.STOP))
        pod = {
            "metadata": {"name": (await world.instances(cluster_id))[0].instance_name, "labels": {"mine": "no"}},
            "spec": {"containers": [{"name": "x", "image": "x"}]},
        }
        await world.kubernetes.request("POST", f"/api/v1/namespaces/{cluster.namespace}/pods", pod)
        before = (await world.kubernetes.pods(cluster.namespace))[0]["metadata"]["uid"]
        operation = await world.ended(await world.operate(cluster_id, Do.START))
        assert (operation.status, operation.reason) == ("failed", "foreign_object")
        assert (await world.kubernetes.pods(cluster.namespace))[0]["metadata"]["uid"] == before


@pytest.mark.parametrize("instance_type", ["container", "vm"])
async def test_what_dies_while_suspended_is_stopped_and_told(world: World, instance_type: str) -> None:
    cluster_id = await world.create(name("s"), kind=instance_type)
    cluster = await world.phase(cluster_id, "running")
    await world.ended(await world.operate(cluster_id, Do.SUSPEND))
    noun = "v1/namespaces/{}/pods" if instance_type == "container" else "kubevirt.io/v1/namespaces/{}/virtualmachines"
    path = ("/api/" if instance_type == "container" else "/apis/") + noun.format(cluster.namespace)
    found = (await world.kubernetes.request("GET", path))["items"][0]["metadata"]["name"]
    await world.kubernetes.request("DELETE", f"{path}/{found}", {"gracePeriodSeconds": 0})
    instance = await world.status(cluster_id, "stopped")
    assert (instance.wanted, instance.reason) == ("stopped", "suspend_lost")
    assert (await world.ended(await world.operate(cluster_id, Do.START))).status == "succeeded"
    assert (await world.instances(cluster_id))[0].reason is None


async def test_a_namespace_that_hangs_holds_its_quota_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_id = await world.create(name("t"))
    cluster = await world.phase(cluster_id, "running")
    before = await world.used()
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    await world.kubernetes.request("POST", path, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    _impatient(monkeypatch, 1)
    operation = await world.delete(cluster_id)

    async def stuck() -> bool:
        now = await world.cluster(cluster_id)
        return now is not None and now.reason == "termination_stuck"

    await world.until(stuck, "the reason", about=cluster_id)
    assert await world.kubernetes.pods(cluster.namespace) == []
    assert await world.used() == before
    assert (await world.operation(operation)).status == "running"
    await world.kubernetes.request(
        "PATCH", f"{path}/held", {"metadata": {"finalizers": None}}, "application/merge-patch+json"
    )
    await world.gone(cluster_id)
    assert await world.used() == (Amounts(), Amounts())


async def _make_namespace(world: World, called: str, labels: dict[str, str]) -> None:
    await world.kubernetes.request("POST", "/api/v1/namespaces", {"metadata": {"name": called, "labels": labels}})


def _impatient(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Patience of `seconds` with everything."""
    from dataclasses import replace

    from app.rules import reasons

    for reason, explanation in list(reasons.EXPLANATIONS.items()):
        monkeypatch.setitem(reasons.EXPLANATIONS, reason, replace(explanation, patience=seconds))
