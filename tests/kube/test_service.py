"""The verbs against the simulator: whole lives, and what is not ours."""

import asyncio
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import simulator
from app.errors import Unavailable
from app.k8s_service import (
    ClusterObservation,
    ForeignNamespace,
    ForeignObject,
    KubernetesService,
    KubeTarget,
    Limits,
    NamespaceTerminating,
    Observed,
    Raced,
)
from app.kube.client import KubeClient
from app.kube.errors import Refusal
from app.kube.kinds import NAMESPACE, POD, VIRTUAL_MACHINE, Kind
from app.models import InstanceOperation, InstanceStatus, InstanceType, Reason
from tests.kube.conftest import Rig, again, instance, reason_of, serviced

BOTH = pytest.mark.parametrize("instance_type", list(InstanceType))
MAIN: dict[InstanceType, Kind] = {InstanceType.CONTAINER: POD, InstanceType.VM: VIRTUAL_MACHINE}


async def test_a_container_from_create_to_delete(rig: Rig) -> None:
    cluster = rig.cluster()
    uid = await rig.service.ensure_namespace(cluster)
    spec = instance(cluster)
    await rig.service.apply(spec)
    assert rig.service.observe(cluster).instances, "our own write is seen at once"
    running = await rig.status(spec, InstanceStatus.RUNNING)
    assert (running.incarnation, running.lost, running.deleting) == (1, False, False)
    assert running.ip
    assert running.node
    await rig.until(cluster, lambda seen: seen.instances[spec.instance_id].suspend == "freeze")
    assert cluster.cluster_id in rig.told

    await rig.service.operate(InstanceOperation.SUSPEND, spec, running)
    suspended = await rig.status(spec, InstanceStatus.SUSPENDED)
    assert suspended.uid == running.uid
    await rig.service.operate(InstanceOperation.RESUME, spec, suspended)
    resumed = await rig.status(spec, InstanceStatus.RUNNING)
    assert (resumed.uid, resumed.restarts) == (running.uid, 0)

    await rig.service.operate(InstanceOperation.RESTART, again(spec), resumed)
    await rig.gone(spec)
    await rig.service.apply(again(spec))
    restarted = await rig.status(spec, InstanceStatus.RUNNING)
    assert restarted.incarnation == 2
    assert restarted.uid != running.uid

    await rig.service.operate(InstanceOperation.STOP, spec, restarted)
    await rig.gone(spec)
    await rig.service.operate(InstanceOperation.START, again(spec), None)
    started = await rig.status(spec, InstanceStatus.RUNNING)
    await rig.service.delete(spec, started)
    await rig.service.delete(spec, started)
    await rig.gone(spec)
    await _delete_namespace(rig, cluster, uid)


async def test_a_machine_from_create_to_delete(rig: Rig) -> None:
    cluster = rig.cluster()
    uid = await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=InstanceType.VM)
    await rig.service.apply(spec)
    assert rig.service.observe(cluster).instances[spec.instance_id].status is InstanceStatus.PENDING
    running = await rig.status(spec, InstanceStatus.RUNNING)
    assert (running.incarnation, running.suspend) == (1, "vm-pause")
    assert running.ip
    assert running.node

    await rig.service.operate(InstanceOperation.SUSPEND, spec, running)
    await rig.status(spec, InstanceStatus.SUSPENDED)
    await rig.service.operate(InstanceOperation.SUSPEND, spec, running)
    await rig.service.operate(InstanceOperation.RESUME, spec, running)
    await rig.status(spec, InstanceStatus.RUNNING)
    await rig.service.operate(InstanceOperation.RESUME, spec, running)

    await rig.service.operate(InstanceOperation.RESTART, again(spec), running)
    seen = await rig.until(cluster, lambda seen: _is(seen, InstanceStatus.RUNNING, 2))
    assert seen.instances[spec.instance_id].uid == running.uid

    spec = again(spec)
    await rig.service.operate(InstanceOperation.STOP, spec, seen.instances[spec.instance_id])
    stopped = await rig.status(spec, InstanceStatus.STOPPED)
    assert stopped.ip is None
    spec = again(spec)
    await rig.service.operate(InstanceOperation.START, spec, stopped)
    await rig.until(cluster, lambda seen: _is(seen, InstanceStatus.RUNNING, 3))

    seen_now = rig.service.observe(cluster).instances[spec.instance_id]
    await rig.service.delete(spec, seen_now)
    await rig.service.delete(spec, seen_now)
    await rig.gone(spec)
    await _delete_namespace(rig, cluster, uid)


@BOTH
async def test_a_suspended_instance_can_go_at_once(rig: Rig, instance_type: InstanceType) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=instance_type)
    await rig.service.apply(spec)
    await rig.service.operate(InstanceOperation.SUSPEND, spec, await rig.status(spec, InstanceStatus.RUNNING))
    await rig.service.delete(spec, await rig.status(spec, InstanceStatus.SUSPENDED))
    await rig.gone(spec)


async def test_a_restart_of_a_halted_machine_starts_nothing_twice(rig: Rig) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=InstanceType.VM, image="x:does-not-exist")
    await rig.service.apply(spec)
    failing = (await rig.until(cluster, lambda seen: reason_of(seen) is Reason.IMAGE_PULL)).instances[spec.instance_id]
    await rig.service.operate(InstanceOperation.RESTART, again(spec), failing)
    await rig.until(cluster, lambda seen: seen.instances[spec.instance_id].incarnation == 2)


async def test_a_namespace_is_made_once(rig: Rig, raw: KubeClient) -> None:
    cluster = rig.cluster()
    uids = await asyncio.gather(*(rig.service.ensure_namespace(cluster) for _ in range(5)))
    assert len(set(uids)) == 1
    obj = await raw.get(NAMESPACE, None, cluster.namespace)
    labels = obj["metadata"]["labels"]
    assert labels["managed-by"] == labels["app.kubernetes.io/managed-by"] == "cmp"
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"
    assert labels["cmp.io/tenant"] == "true"
    assert obj["metadata"]["annotations"]["cmp.io/cluster-name"] == cluster.cluster_name
    (owned,) = rig.service.owned_namespaces()
    assert (owned.cluster_id, owned.name, owned.uid) == (cluster.cluster_id, cluster.namespace, uids[0])


async def test_a_namespace_of_somebody_else_is_left_alone(rig: Rig, raw: KubeClient, sim: simulator.Simulator) -> None:
    cluster = rig.cluster()
    for labels in ({}, {"cmp.io/installation": rig.installation_id}, {"cmp.io/cluster": cluster.cluster_id}):
        made = await raw.create(NAMESPACE, None, _namespace(cluster.namespace, labels), "kubectl")
        before = sim.journal.since(0)[-1]["number"]
        with pytest.raises(ForeignNamespace):
            await rig.service.ensure_namespace(cluster)
        assert await rig.service.namespace_state(cluster) is None
        assert not [entry for entry in sim.journal.since(before) if entry["applied"]]
        await raw.delete(NAMESPACE, None, cluster.namespace, made["metadata"]["uid"])
        await _vanished(raw, cluster.namespace)


async def test_a_namespace_of_another_cluster_of_ours_is_foreign(rig: Rig) -> None:
    first, second = rig.cluster("same"), rig.cluster("same")
    await rig.service.ensure_namespace(first)
    with pytest.raises(ForeignNamespace):
        await rig.service.ensure_namespace(second)
    seen = rig.service.observe(second).namespace
    assert seen is not None
    assert seen.foreign


async def test_labels_taken_off_our_namespace_come_back(rig: Rig, raw: KubeClient) -> None:
    cluster = rig.cluster()
    uid = await rig.service.ensure_namespace(cluster)
    known = replace(cluster, namespace_uid=uid)
    labels: dict[str, Any] = dict.fromkeys(("app.kubernetes.io/managed-by", "cmp.io/cluster"))
    await raw.merge(NAMESPACE, None, cluster.namespace, {"metadata": {"labels": labels}}, "kubectl")
    await rig.until(known, lambda seen: seen.namespace is None)
    assert await rig.service.ensure_namespace(known) == uid
    await rig.until(known, lambda seen: seen.namespace is not None and not seen.namespace.foreign)


async def test_a_terminating_namespace_is_not_used(rig: Rig, raw: KubeClient) -> None:
    cluster = rig.cluster()
    uid = await rig.service.ensure_namespace(cluster)
    held = {"metadata": {"finalizers": ["somebody.example/holds"]}}
    await rig.service.apply(instance(cluster))
    await raw.merge(POD, cluster.namespace, f"{cluster.cluster_name}-instance-1", held, "kubectl")
    await rig.service.delete_namespace(cluster, uid)
    await rig.service.delete_namespace(cluster, uid)
    state = await rig.service.namespace_state(cluster)
    assert state is not None
    assert (state.uid, state.terminating) == (uid, True)
    with pytest.raises(NamespaceTerminating):
        await rig.service.ensure_namespace(cluster)
    with pytest.raises((NamespaceTerminating, Raced)):
        await rig.service.apply(instance(cluster, 2))


async def test_deleting_a_namespace_means_that_one(rig: Rig, raw: KubeClient) -> None:
    cluster = rig.cluster()
    uid = await rig.service.ensure_namespace(cluster)
    await rig.service.delete_namespace(cluster, str(uuid.uuid4()))
    obj = await raw.get(NAMESPACE, None, cluster.namespace)
    assert obj["metadata"]["uid"] == uid
    assert "deletionTimestamp" not in obj["metadata"]


@BOTH
async def test_an_object_of_somebody_else_is_left_alone(
    rig: Rig, raw: KubeClient, sim: simulator.Simulator, instance_type: InstanceType
) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=instance_type)
    other = rig.service
    stranger = replace(spec, instance_id=str(uuid.uuid4()))
    await other.apply(stranger)
    before = await raw.get(MAIN[instance_type], cluster.namespace, spec.name)
    number = sim.journal.since(0)[-1]["number"]
    with pytest.raises(ForeignObject):
        await rig.service.apply(spec)
    after = await raw.get(MAIN[instance_type], cluster.namespace, spec.name)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    ours = [entry for entry in sim.journal.since(number) if entry["user_agent"].startswith("cmp/") and entry["applied"]]
    assert not ours


@BOTH
async def test_what_is_being_deleted_is_not_taken_up_again(
    rig: Rig, raw: KubeClient, instance_type: InstanceType
) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=instance_type)
    await rig.service.apply(spec)
    held = {"metadata": {"finalizers": ["somebody.example/holds"]}}
    await raw.merge(MAIN[instance_type], cluster.namespace, spec.name, held, "kubectl")
    await rig.service.delete(spec, rig.service.observe(cluster).instances[spec.instance_id])
    with pytest.raises(Raced):
        await rig.service.apply(spec)
    await rig.until(cluster, lambda seen: seen.instances[spec.instance_id].deleting)
    with pytest.raises(Raced):
        await rig.service.apply(spec)


@BOTH
async def test_a_delete_means_the_object_that_was_seen(rig: Rig, raw: KubeClient, instance_type: InstanceType) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec = instance(cluster, kind=instance_type)
    await rig.service.apply(spec)
    seen = await rig.status(spec, InstanceStatus.RUNNING)
    await rig.service.delete(spec, replace(seen, uid=str(uuid.uuid4())))
    obj = await raw.get(MAIN[instance_type], cluster.namespace, spec.name)
    assert obj["metadata"]["uid"] == seen.uid
    assert "deletionTimestamp" not in obj["metadata"]


@BOTH
async def test_strangers_with_our_labels(rig: Rig, instance_type: InstanceType) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    spec, orphan = instance(cluster, kind=instance_type), instance(cluster, 2, kind=instance_type)
    copy = replace(spec, name="copy")
    for one in (spec, orphan, copy):
        await rig.service.apply(one)
    names = {spec.instance_id: spec.name}
    await rig.status(orphan, InstanceStatus.RUNNING)
    seen = rig.service.observe(cluster, names)
    assert set(seen.instances) == {spec.instance_id}
    assert {owned.name for owned in seen.strangers} == {"copy", orphan.name}
    assert {owned.kind for owned in seen.strangers} == {MAIN[instance_type].name}
    for owned in seen.strangers:
        await rig.service.delete_stranger(owned)
    await rig.until(cluster, lambda _: not rig.service.observe(cluster, names).strangers)
    assert set(rig.service.observe(cluster, names).instances) == {spec.instance_id}


async def test_many_at_once(rig: Rig) -> None:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    specs = [instance(cluster, ordinal) for ordinal in range(1, 301)]
    await asyncio.gather(*(rig.service.apply(spec) for spec in specs))
    await rig.until(cluster, lambda seen: _count(seen)[InstanceStatus.RUNNING] == 300, seconds=60)


async def test_nobody_there(sim: simulator.Simulator) -> None:
    async with simulator.serve() as other:
        url = other.url
    limits = Limits(connect=1, attempts=2, backoff=0.01)
    target = KubeTarget.url(url)
    service = await KubernetesService.connect(target, installation_id="i", concurrency=1, limits=limits)
    async with service:
        assert "version not known yet" in service.description
        with pytest.raises(Unavailable):
            await service.check()
        with pytest.raises(Unavailable) as caught:
            await service.namespace_state(Rig(service, "i").cluster())
        assert caught.value.details["retry_after"] > 0
        assert not service.synced()
        assert service.has(InstanceType.CONTAINER) == "Kubernetes has not been read yet"


async def test_who_answers(rig: Rig, sim: simulator.Simulator) -> None:
    version = await rig.service.check()
    assert version.startswith("v1.")
    assert rig.service.description == f"simulator at {sim.url}, {version}"
    assert all(rig.service.has(kind) is None for kind in InstanceType)
    assert rig.service.staleness() < 60


async def test_two_installations_do_not_see_each_other(rig: Rig, sim: simulator.Simulator) -> None:
    async with serviced(KubeTarget.url(sim.url)) as other:
        cluster = rig.cluster()
        await rig.service.ensure_namespace(cluster)
        with pytest.raises(ForeignNamespace):
            await other.service.ensure_namespace(replace(cluster, installation_id=other.installation_id))
        assert other.service.owned_namespaces() == []


async def _delete_namespace(rig: Rig, cluster: Any, uid: str) -> None:
    await rig.service.delete_namespace(cluster, uid)
    await rig.until(cluster, lambda seen: seen.namespace is None)
    assert await rig.service.namespace_state(cluster) is None
    await rig.service.delete_namespace(cluster, uid)
    assert rig.service.owned_namespaces() == []


def _namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


async def _vanished(raw: KubeClient, name: str) -> None:
    for _ in range(500):
        try:
            await raw.get(NAMESPACE, None, name)
        except Refusal:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the namespace stays")


def _is(seen: ClusterObservation, status: InstanceStatus, incarnation: int) -> bool:
    return any((one.status, one.incarnation) == (status, incarnation) for one in _all(seen))


def _count(seen: ClusterObservation) -> Counter[InstanceStatus]:
    return Counter(observed.status for observed in _all(seen))


def _all(seen: ClusterObservation) -> list[Observed]:
    return list(seen.instances.values())
