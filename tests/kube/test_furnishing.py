"""What stands in a tenant namespace, and that it comes back whatever others do to it; on the real API server too."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

import simulator
from app.k8s_service import ClusterRef, KubeTarget, Raced, Room
from app.kube.client import KubeClient
from app.kube.kinds import ACCOUNT, KINDS, LIMIT_RANGE, NAMESPACE, NETWORK_POLICY, QUOTA, Kind
from app.models import InstanceStatus, InstanceType
from tests.kube.conftest import Rig, instance, serviced
from tests.kube.rights import with_our_rights

CONTAINER = InstanceType.CONTAINER
ROOM = Room(count=2, cpu=250, memory=64, settings={"ports": [{"port": 80, "protocol": "TCP", "name": None}]})
NAMES = {
    NETWORK_POLICY: ("cmp-deny", "cmp-dns", "cmp-cluster", "cmp-owner", "cmp-internet", "cmp-ports"),
    QUOTA: ("cmp",),
    LIMIT_RANGE: ("cmp",),
    ACCOUNT: ("default",),
}


@pytest.fixture(params=["simulator", pytest.param("control-plane", marks=pytest.mark.kubernetes)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Rig, KubeClient]]:
    """CMP with the rights that deploy/ gives it, and an administrator beside it."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "simulator":
            running = await stack.enter_async_context(simulator.serve(simulator.Settings(bookmark_interval=1, speed=5)))
            ours = theirs = KubeTarget.url(running.url)
        else:
            plane = request.getfixturevalue("control_plane")
            ours, theirs = with_our_rights(plane), KubeTarget.kubeconfig(plane.kubeconfig)
        admin = await KubeClient.connect(theirs)
        stack.push_async_callback(admin.close)
        yield await stack.enter_async_context(serviced(ours)), admin


async def furnished(rig: Rig, room: Room = ROOM) -> ClusterRef:
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    await rig.retried(lambda: rig.service.furnish(cluster, CONTAINER, room), Raced)
    assert rig.service.furnished(cluster, CONTAINER, room)
    return cluster


async def noticed(rig: Rig, cluster: ClusterRef, room: Room = ROOM) -> None:
    async with asyncio.timeout(10):
        while rig.service.furnished(cluster, CONTAINER, room):  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0.01)


async def test_all_of_it_stands_and_comes_back(place: tuple[Rig, KubeClient]) -> None:
    rig, admin = place
    cluster = await furnished(rig)
    for kind, names in NAMES.items():
        for name in names:
            found = await admin.get(kind, cluster.namespace, name)
            await admin.delete(kind, cluster.namespace, name, found["metadata"]["uid"])
            await noticed(rig, cluster)
            assert cluster.cluster_id in rig.told, "and the reconciler hears of it"
            await rig.retried(lambda: rig.service.furnish(cluster, CONTAINER, ROOM), Raced)
            again = await admin.get(kind, cluster.namespace, name)
            assert again["metadata"]["uid"] != found["metadata"]["uid"]


@pytest.mark.parametrize(
    ("kind", "name", "patch"),
    [
        (NETWORK_POLICY, "cmp-deny", {"spec": {"ingress": [{}], "egress": [{}]}}),
        (NETWORK_POLICY, "cmp-owner", {"spec": {"podSelector": {"matchLabels": {"no": "body"}}}}),
        (NETWORK_POLICY, "cmp-internet", {"spec": {"egress": [{}]}}),
        (QUOTA, "cmp", {"spec": {"hard": {"pods": "1000", "count/jobs.batch": "5"}}}),
        (LIMIT_RANGE, "cmp", {"spec": {"limits": []}}),
        (ACCOUNT, "default", {"automountServiceAccountToken": True}),
        (NAMESPACE, "", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}),
        (NAMESPACE, "", {"metadata": {"labels": {"cmp.io/tenant": None}}}),
    ],
)
async def test_what_others_change_is_changed_back(
    place: tuple[Rig, KubeClient], kind: Kind, name: str, patch: dict[str, Any]
) -> None:
    rig, admin = place
    cluster = await furnished(rig)
    space, name = (cluster.namespace, name) if kind.namespaced else (None, cluster.namespace)
    before = await admin.get(kind, space, name)
    await admin.merge(kind, space, name, patch, "somebody")
    await noticed(rig, cluster)
    await rig.service.ensure_namespace(cluster)
    await rig.retried(lambda: rig.service.furnish(cluster, CONTAINER, ROOM), Raced)
    assert rig.service.furnished(cluster, CONTAINER, ROOM)
    after = await admin.get(kind, space, name)
    for part in ("spec", "automountServiceAccountToken"):
        assert after.get(part) == before.get(part)
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


async def test_a_policy_that_is_not_needed_any_more_goes(place: tuple[Rig, KubeClient]) -> None:
    rig, admin = place
    cluster = await furnished(rig)
    without = replace(ROOM, settings={})
    assert not rig.service.furnished(cluster, CONTAINER, without)
    await rig.service.furnish(cluster, CONTAINER, without)
    left = await admin.page(NETWORK_POLICY, cluster.namespace, {})
    assert {item["metadata"]["name"] for item in left["items"]} == set(NAMES[NETWORK_POLICY]) - {"cmp-ports"}


async def test_the_quota_is_in_force_before_it_is_needed(place: tuple[Rig, KubeClient]) -> None:
    """And it is a wall: what the cluster's size leaves no room for, an administrator's Pod, is refused."""
    rig, admin = place
    cluster = await furnished(rig)
    specs = [instance(cluster, ordinal) for ordinal in range(1, 9)]
    for spec in specs[:2]:
        await rig.service.apply(spec)
    foreign = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one-too-many"}}
    foreign["spec"] = {"containers": [{"name": "a", "image": "nginx"}]}
    with pytest.raises(Exception, match="exceeded quota"):
        await admin.create(KINDS["Pod"], cluster.namespace, foreign, "somebody")
    wider = replace(ROOM, count=8)
    assert not rig.service.furnished(cluster, CONTAINER, wider)
    await rig.service.furnish(cluster, CONTAINER, wider)
    await asyncio.gather(*(rig.service.apply(spec) for spec in specs[2:]))
    for spec in specs:
        await rig.status(spec, InstanceStatus.RUNNING)
    smaller = replace(ROOM, cpu=100, count=8)
    await rig.service.furnish(cluster, CONTAINER, replace(smaller, settled=False))
    held = await admin.get(QUOTA, cluster.namespace, "cmp")
    assert held["spec"]["hard"]["requests.cpu"] == "2", "not lowered while what runs is larger"
    await rig.service.furnish(cluster, CONTAINER, smaller)
    held = await admin.get(QUOTA, cluster.namespace, "cmp")
    assert held["spec"]["hard"]["requests.cpu"] == "800m"


async def test_a_runtime_that_kubernetes_does_not_have(place: tuple[Rig, KubeClient]) -> None:
    rig, _ = place
    cluster = rig.cluster()
    await rig.service.ensure_namespace(cluster)
    with pytest.raises(Exception, match="Kubernetes has no RuntimeClass gvisor"):
        await rig.service.furnish(cluster, CONTAINER, replace(ROOM, settings={"runtime_class": "gvisor"}))
