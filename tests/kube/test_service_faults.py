"""The verbs and the caches among faults: nothing is doubled, nothing of others is touched, and what is shown comes true
again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

import simulator
from app.errors import Unavailable
from app.instance_types.values import CLUSTER
from app.k8s_service import INSTANCE_TYPES, InstanceSpec, KubeTarget, Observed, Raced, Refused
from app.kube.client import KubeClient
from app.kube.errors import Refusal
from app.kube.kinds import POD, VIRTUAL_MACHINE
from app.models import InstanceOperation, InstanceStatus, InstanceType
from tests.kube.conftest import LIMITS, TIMING, Rig, again, instance, serviced

ONE = ["429", "500", "502", "503", "504", "reset_before", "reset_after", "truncated", "timeout", "half_open"]
IMPATIENT = replace(LIMITS, read=0.3, total=0.5)
BOTH = pytest.mark.parametrize("instance_type", list(InstanceType))


@pytest.fixture
async def impatient(sim: simulator.Simulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr("tests.kube.conftest.LIMITS", IMPATIENT)
    async with serviced(KubeTarget.url(sim.url)) as made:
        yield made


@pytest.mark.parametrize("fault", ONE)
@BOTH
async def test_one_failure_of_each_change(
    impatient: Rig, sim: simulator.Simulator, instance_type: InstanceType, fault: str
) -> None:
    """Each kind of change fails once in this way; nobody above notices."""
    rig, cluster = impatient, impatient.cluster()
    more = {"retry_after": 0}
    for verb in ("create", "update", "patch", "delete"):
        for resource in ("namespaces", "pods", "virtualmachines", "virtualmachineinstances"):
            sim.faults.add(
                {"kind": fault, "verb": verb, "resource": resource, "count": 1, "user_agent": "cmp/*"} | more
            )
    uid = await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=instance_type)
    await rig.service.apply(spec)
    running = await rig.status(spec, InstanceStatus.RUNNING)
    await rig.service.operate(InstanceOperation.SUSPEND, spec, running)
    suspended = await rig.status(spec, InstanceStatus.SUSPENDED)
    await rig.service.operate(InstanceOperation.RESUME, spec, suspended)
    running = await rig.status(spec, InstanceStatus.RUNNING)
    await rig.service.delete(spec, running)
    await rig.gone(spec)
    await rig.service.delete_namespace(cluster, uid)
    await rig.until(cluster, lambda seen: seen.namespace is None)
    _nothing_wrong(sim, cluster.cluster_id, made=2)


@pytest.mark.parametrize("seed", range(4))
@BOTH
async def test_a_life_among_faults(
    impatient: Rig, sim: simulator.Simulator, instance_type: InstanceType, seed: int
) -> None:
    """Whoever is above tries again after Raced and Unavailable, and arrives."""
    rig, cluster = impatient, impatient.cluster()
    for index, fault in enumerate(
        ["429", "500", "reset_before", "reset_after", "truncated", "watch_drop", "watch_410"]
    ):
        sim.faults.add({"kind": fault, "probability": 0.12, "seed": seed * 100 + index, "retry_after": 0})
    await _retried(lambda: rig.service.ensure_namespace(cluster))
    uid = await _retried(lambda: rig.service.ensure_namespace(cluster))
    spec = instance(cluster, kind=instance_type)
    await _retried(lambda: rig.service.apply(spec))
    await _operated(rig, InstanceOperation.SUSPEND, spec, InstanceStatus.SUSPENDED)
    await _operated(rig, InstanceOperation.RESUME, spec, InstanceStatus.RUNNING)
    seen = await rig.status(spec, InstanceStatus.RUNNING)
    await _retried(lambda: rig.service.operate(InstanceOperation.RESTART, again(spec), seen))
    if instance_type is InstanceType.CONTAINER:
        await rig.gone(spec)
        await _retried(lambda: rig.service.apply(again(spec)))
    await rig.until(cluster, lambda now: now.instances[spec.instance_id].incarnation == 2)
    seen = await rig.status(spec, InstanceStatus.RUNNING)
    await _retried(lambda: rig.service.delete(spec, seen))
    await rig.gone(spec)
    await _retried(lambda: rig.service.delete_namespace(cluster, str(uid)))
    await rig.until(cluster, lambda now: now.namespace is None)
    _nothing_wrong(sim, cluster.cluster_id, made=3 if instance_type is InstanceType.CONTAINER else 2)


@pytest.mark.parametrize(
    "fault",
    ["watch_drop", "watch_reset", "watch_stall", "watch_duplicate", "watch_reorder", "watch_410", "watch_lose"],
)
async def test_the_cache_arrives_at_what_is(sim: simulator.Simulator, fault: str) -> None:
    timing = replace(TIMING, watch=1, stall=1.5, resync=2)
    sim.faults.add({"kind": fault, "verb": "watch", "after": 3, "count": 6})
    async with serviced(KubeTarget.url(sim.url), timing=timing) as rig:
        await _churn_and_compare(rig, sim)


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset_before", "truncated", "410", "stale_list"])
async def test_a_list_that_fails(sim: simulator.Simulator, fault: str) -> None:
    timing = replace(TIMING, page=2)
    sim.faults.add({"kind": fault, "verb": "list", "probability": 0.5, "count": 20, "user_agent": "cmp/dev"})
    sim.faults.add({"kind": "watch_drop", "verb": "watch", "after": 2, "count": 10})
    async with serviced(KubeTarget.url(sim.url), timing=timing) as rig:
        await _churn_and_compare(rig, sim)


async def test_history_forgotten_and_watches_closed(sim: simulator.Simulator) -> None:
    async with serviced(KubeTarget.url(sim.url)) as rig:
        cluster = rig.cluster()
        await rig.service.ensure_namespace(cluster)
        spec = instance(cluster)
        await rig.service.apply(spec)
        await rig.status(spec, InstanceStatus.RUNNING)
        for collection in sim.world.store.collections.values():
            collection.forget()
            collection.floor = sim.world.store.revision
        sim.watches.close_all()
        await rig.service.delete(spec, rig.service.observe(cluster).instances[spec.instance_id])
        await rig.gone(spec)


async def test_what_we_remember_may_belong_to_somebody_else_by_now(rig: Rig, sim: simulator.Simulator) -> None:
    """Our machine was replaced by a namesake, and our cache has not heard of it."""
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=InstanceType.VM)
    await rig.service.apply(spec)
    remembered = await rig.status(spec, InstanceStatus.RUNNING)
    stalled = sim.faults.add({"kind": "watch_stall", "verb": "watch", "resource": "virtualmachines"})
    sim.watches.close_all()
    async with asyncio.timeout(10):
        while not stalled.hits:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.01)
    client = await KubeClient.connect(KubeTarget.url(sim.url))
    try:
        await client.delete(VIRTUAL_MACHINE, cluster.namespace, spec.name, str(remembered.uid))
        body = INSTANCE_TYPES[InstanceType.VM].manifest(spec)
        body["metadata"]["labels"] = {"app": "somebody-else"}
        foreign = await _made(client, cluster.namespace, body)
        assert rig.service.observe(cluster).instances[spec.instance_id].uid == remembered.uid
        with pytest.raises(Raced):
            await rig.service.operate(InstanceOperation.STOP, spec, remembered)
        await rig.service.delete(spec, remembered)
        after = await client.get(VIRTUAL_MACHINE, cluster.namespace, spec.name)
        assert after["metadata"]["uid"] == foreign["metadata"]["uid"]
        assert after["metadata"]["labels"] == {"app": "somebody-else"}
        assert (after["spec"]["runStrategy"], "deletionTimestamp" in after["metadata"]) == ("Always", False)
    finally:
        await client.close()


async def _made(client: KubeClient, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
    """As soon as the name is free."""
    for _ in range(500):
        try:
            return await client.create(VIRTUAL_MACHINE, namespace, body, "kubectl")
        except Refusal:
            await asyncio.sleep(0.02)
    pytest.fail("the name never became free")


async def test_a_server_that_is_away_for_a_while(rig: Rig, sim: simulator.Simulator) -> None:
    """What is shown stays, and its age is told."""
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    await rig.service.apply(instance(cluster))
    sim.faults.add({"kind": "503"})
    sim.watches.close_all()
    await asyncio.sleep(0.5)
    assert rig.service.observe(cluster).instances
    assert rig.service.staleness() >= 0.4
    with pytest.raises(Unavailable):
        await rig.service.check()
    sim.faults.clear()
    await rig.service.check()
    await _heard(rig)


async def _churn_and_compare(rig: Rig, sim: simulator.Simulator) -> None:
    cluster = rig.cluster()
    await _retried(lambda: rig.service.ensure_namespace(cluster))
    specs = [instance(cluster, ordinal) for ordinal in range(1, 9)]
    for spec in specs:
        await _retried(lambda spec=spec: rig.service.apply(spec))  # type: ignore[misc]
    for spec in specs[::2]:
        await rig.until(cluster, lambda seen, spec=spec: spec.instance_id in seen.instances)  # type: ignore[misc]
        observed = rig.service.observe(cluster).instances[spec.instance_id]
        await _retried(lambda spec=spec, observed=observed: rig.service.delete(spec, observed))  # type: ignore[misc]
    kept = {spec.instance_id for spec in specs[1::2]}
    statuses = {InstanceStatus.RUNNING}
    await rig.until(
        cluster,
        lambda seen: set(seen.instances) == kept and {one.status for one in seen.instances.values()} == statuses,
        seconds=40,
    )
    live = await _live(sim, cluster.namespace)
    assert {obj["metadata"]["labels"]["cmp.io/instance"] for obj in live} == kept
    shown = {one.uid for one in rig.service.observe(cluster).instances.values()}
    assert {obj["metadata"]["uid"] for obj in live} == shown


async def _live(sim: simulator.Simulator, namespace: str) -> list[dict[str, Any]]:
    sim.faults.clear()
    client = await KubeClient.connect(KubeTarget.url(sim.url))
    try:
        return list((await client.page(POD, namespace, {}))["items"])
    finally:
        await client.close()


async def _operated(rig: Rig, operation: InstanceOperation, spec: InstanceSpec, status: InstanceStatus) -> None:
    def observed() -> Observed | None:
        return rig.service.observe(spec.cluster).instances.get(spec.instance_id)

    await rig.until(spec.cluster, lambda _: (now := observed()) is not None and now.status not in _MOVING)
    await _retried(lambda: rig.service.operate(operation, spec, observed()))
    await rig.status(spec, status)


_MOVING = (InstanceStatus.PENDING, InstanceStatus.STARTING, InstanceStatus.STOPPING, InstanceStatus.SUSPENDING)


async def _retried(action: Callable[[], Awaitable[object]]) -> object:
    for _ in range(50):
        try:
            return await action()
        except (Raced, Unavailable):
            await asyncio.sleep(0.05)
    return await action()


async def _heard(rig: Rig) -> None:
    async with asyncio.timeout(20):
        while rig.service.staleness() > 0.4:  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.01)


def _nothing_wrong(sim: simulator.Simulator, cluster_id: str, made: int) -> None:
    """Nothing was made twice, and every deletion said which object it meant."""
    entries = [entry for entry in sim.journal.since(0) if entry["user_agent"].startswith("cmp/")]
    created = [entry for entry in entries if entry["verb"] == "create" and entry["applied"]]
    assert len(created) == made, [(entry["resource"], entry["name"], entry["fault"]) for entry in created]
    for entry in entries:
        if entry["verb"] == "delete":
            assert entry["precondition_uid"]
        if entry["applied"] and entry["target_uid"] and entry["resource"] != "virtualmachineinstances":
            assert entry["target_labels"].get(CLUSTER) == cluster_id


def test_refused_is_not_retried() -> None:
    assert not Refused.retryable
    assert Raced.retryable
