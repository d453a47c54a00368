"""What goes wrong with instances and how it is told: refused, without an image, too big, crashing, evicted, cut off."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

import simulator
from app.k8s_service import Raced, Refused
from app.kube.client import KubeClient
from app.kube.kinds import Kind
from app.models import InstanceStatus, InstanceType, Reason
from tests.kube.conftest import Rig, instance, reason_of

BOTH = pytest.mark.parametrize("instance_type", list(InstanceType))


async def test_refused_by_quota(rig: Rig, raw: KubeClient) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    await rig.service.apply(instance(cluster))
    quotas = Kind("ResourceQuota", "", "v1", "resourcequotas")
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.cpu": "300m"}}}
    await raw.create(quotas, cluster.namespace, {"apiVersion": "v1", "kind": "ResourceQuota", **quota}, "kubectl")
    while not (await raw.get(quotas, cluster.namespace, "small")).get("status", {}).get("used"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with pytest.raises(Refused) as caught:
        await rig.service.apply(instance(cluster, 2))
    assert caught.value.reason is Reason.QUOTA
    assert "exceeded quota" in caught.value.message


async def test_refused_as_nonsense(rig: Rig) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    with pytest.raises(Refused) as caught:
        await rig.service.apply(replace(instance(cluster), name="Not_A_Name"))
    assert caught.value.reason is Reason.REJECTED


async def test_without_its_namespace(rig: Rig) -> None:
    with pytest.raises(Raced):
        await rig.service.apply(instance(rig.cluster()))


@BOTH
async def test_an_image_that_does_not_exist(rig: Rig, instance_type: InstanceType) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    await rig.service.apply(instance(cluster, kind=instance_type, image="registry.example/x:does-not-exist"))
    seen = await rig.until(cluster, lambda seen: reason_of(seen) is Reason.IMAGE_PULL)
    (observed,) = seen.instances.values()
    assert observed.status is InstanceStatus.STARTING
    assert observed.message


@BOTH
async def test_too_big_for_any_node(rig: Rig, instance_type: InstanceType) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    await rig.service.apply(replace(instance(cluster, kind=instance_type), cpu=10_000_000))
    seen = await rig.until(cluster, lambda seen: reason_of(seen) is Reason.UNSCHEDULABLE)
    (observed,) = seen.instances.values()
    assert observed.status is InstanceStatus.PENDING
    assert "Insufficient cpu" in str(observed.message)


@pytest.mark.parametrize(("image", "reason"), [("crash", Reason.CRASH_LOOP), ("oom-killed", Reason.OUT_OF_MEMORY)])
async def test_a_process_that_keeps_ending(rig: Rig, image: str, reason: Reason) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    await rig.service.apply(instance(cluster, image=image))
    seen = await rig.until(cluster, lambda seen: reason_of(seen) is reason)
    (observed,) = seen.instances.values()
    assert "exit code" in str(observed.message)


async def test_an_evicted_pod_is_lost(rig: Rig, sim: simulator.Simulator) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster)
    await rig.service.apply(spec)
    await rig.status(spec, InstanceStatus.RUNNING)
    async with aiohttp.ClientSession(sim.url, raise_for_status=True) as session:
        await session.post(f"/__simulator__/pods/{cluster.namespace}/{spec.name}/evict")
    lost = await rig.status(spec, InstanceStatus.FAILED)
    assert (lost.reason, lost.lost) == (Reason.EVICTED, True)
    await rig.service.delete(spec, lost)
    await rig.gone(spec)


async def test_a_node_that_falls_silent(rig: Rig, sim: simulator.Simulator) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster)
    await rig.service.apply(spec)
    running = await rig.status(spec, InstanceStatus.RUNNING)
    assert running.node is not None
    assert sim.nodes.down(running.node)
    seen = await rig.until(cluster, lambda seen: reason_of(seen) is Reason.NODE_LOST)
    assert not seen.instances[spec.instance_id].lost
