"""A size by KubeVirt's name, on the simulator: made only where it is the size that is charged."""

import uuid

import pytest

from app.models import InstanceOperation as Do
from app.services import clusters
from app.services.clusters import ClusterWish
from tests.reconciler.world import World

PATH = "/apis/instancetype.kubevirt.io/v1beta1/virtualmachineclusterinstancetypes"


async def offered(world: World, cpu: int, memory: str) -> str:
    name = f"size-{uuid.uuid4().hex[:6]}"
    body = {"metadata": {"name": name}, "spec": {"cpu": {"guest": cpu}, "memory": {"guest": memory}}}
    made = await world.kubernetes.request("POST", PATH, body)
    assert made["metadata"]["name"] == name, made
    return name


async def wished(world: World, instancetype: str) -> uuid.UUID:
    wish = ClusterWish(
        name=f"t{uuid.uuid4().hex[:6]}", instance_type="vm", cpu=2000, memory=4096, count=1, image="disk:1", labels={},
        spec={"instancetype": instancetype},
    )  # fmt: skip
    async with world.database.transaction() as session:
        made = await clusters.create(session, world.viewer, wish, "test")
    world.nudge(made.cluster.id)
    return made.cluster.id


async def test_the_same_size_is_made(world: World) -> None:
    cluster_id = await wished(world, await offered(world, 2, "4Gi"))
    await world.phase(cluster_id, "running")
    assert (await world.ended(await world.operate(cluster_id, Do.RESTART))).status == "succeeded"
    await world.delete(cluster_id)
    await world.gone(cluster_id)


@pytest.mark.parametrize(
    ("cpu", "memory", "said"),
    [(4, "4Gi", "4 CPUs and 4Gi of memory, its flavour 2 and 4096Mi"), (2, "8Gi", "2 CPUs and 8Gi of memory")],
)
async def test_another_size_is_refused(world: World, cpu: int, memory: str, said: str) -> None:
    cluster_id = await wished(world, await offered(world, cpu, memory))

    async def told() -> bool:
        one = (await world.instances(cluster_id))[0]
        return one.reason == "configuration" and said in str(one.message)

    await world.until(told, "both sizes", 20, cluster_id)
    cluster = await world.cluster(cluster_id)
    assert cluster is not None
    machines = f"/apis/kubevirt.io/v1/namespaces/{cluster.namespace}/virtualmachines"
    assert (await world.kubernetes.request("GET", machines))["items"] == []
    await world.delete(cluster_id)
    await world.gone(cluster_id)


async def test_one_that_is_not_there_is_refused(world: World) -> None:
    cluster_id = await wished(world, "nowhere")

    async def told() -> bool:
        one = (await world.instances(cluster_id))[0]
        return one.reason == "configuration" and "no VirtualMachineClusterInstancetype nowhere" in str(one.message)

    await world.until(told, "that it is missing", 20, cluster_id)
    await world.delete(cluster_id)
    await world.gone(cluster_id)
