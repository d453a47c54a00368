"""What an instance is made of beyond size and image: objects that go with it, and how it may come to its own end."""

import base64
import uuid
from typing import Any

from app.models import InstanceOperation as Do
from app.rules.sealing import Sealer
from app.schemas import ContainerSettings
from tests.reconciler.world import World


def own(**settings: Any) -> ContainerSettings:
    return ContainerSettings.model_validate(settings)


def disk(size: int = 512, name: str = "data") -> dict[str, Any]:
    return {"type": "persistent", "name": name, "mount_path": f"/{name}", "size": size}


def name() -> str:
    return f"s{uuid.uuid4().hex[:6]}"


async def objects(world: World, namespace: str, plural: str) -> dict[str, Any]:
    found = await world.kubernetes.request("GET", f"/api/v1/namespaces/{namespace}/{plural}")
    return {item["metadata"]["name"]: item for item in found["items"]}


async def test_what_goes_with_the_instances_is_made_before_them_and_leaves_with_them(world: World) -> None:
    settings = own(
        secret_env={"TOKEN": "s3cret"}, env={"MODE": "live"}, ports=[{"port": 8080}], volumes=[disk(), disk(64, "log")]
    )
    cluster_id = await world.create(web := name(), count=2, own=settings)
    cluster = await world.phase(cluster_id, "running")
    secrets = await objects(world, cluster.namespace, "secrets")
    assert base64.b64decode(secrets[f"{web}-env"]["data"]["TOKEN"]) == b"s3cret"
    claims = await objects(world, cluster.namespace, "persistentvolumeclaims")
    assert sorted(claims) == [f"{web}-instance-{n}-{volume}" for n in (1, 2) for volume in ("data", "log")]
    assert (await objects(world, cluster.namespace, "services"))[web]["spec"]["ports"][0]["port"] == 8080
    used, held = await world.used()
    assert used == held
    assert used.storage == 2 * (512 + 64)
    assert "s3cret" not in str(cluster.secrets) + str(cluster.spec)

    await world.ended(await world.operate(cluster_id, Do.STOP))
    await world.ended(await world.operate(cluster_id, Do.START))
    after = await objects(world, cluster.namespace, "persistentvolumeclaims")
    assert {n: c["metadata"]["uid"] for n, c in after.items()} == {n: c["metadata"]["uid"] for n, c in claims.items()}

    assert (await world.ended(await world.delete(cluster_id))).status == "succeeded"
    assert await world.kubernetes.namespace(cluster.namespace) is None
    used, held = await world.used()
    assert not used
    assert not held


async def test_what_completes_is_stopped_and_runs_again_when_started(world: World) -> None:
    settings = own(command=["sh", "-c", "exit 0"], restart_policy="on-failure")
    cluster_id = await world.create(name(), own=settings)
    instance = await world.status(cluster_id, "stopped")
    assert (instance.reason, instance.wanted) == ("completed", "stopped")
    assert "exit code 0" in str(instance.message)
    assert (await world.operations(cluster_id))[0].status == "succeeded"
    cluster = await world.phase(cluster_id, "running")
    assert cluster.ready_instances == 1
    [pod] = await world.kubernetes.pods(cluster.namespace)
    world.nudge(cluster_id)
    started = await world.ended(await world.operate(cluster_id, Do.START))
    assert started.status == "succeeded"
    again = await world.status(cluster_id, "stopped")
    assert (again.incarnation, again.reason) == (instance.incarnation + 1, "completed")
    [newer] = await world.kubernetes.pods(cluster.namespace)
    assert newer["metadata"]["uid"] != pod["metadata"]["uid"]


async def test_what_fails_and_may_not_run_again_stays_and_says_how_it_ended(world: World) -> None:
    cluster_id = await world.create(name(), own=own(command=["sh", "-c", "exit 3"], restart_policy="never"))
    instance = await world.status(cluster_id, "failed")
    assert instance.reason == "exited"
    assert "exit code 3" in str(instance.message)
    cluster = await world.phase(cluster_id, "failed")
    [pod] = await world.kubernetes.pods(cluster.namespace)
    await world.ended(await world.operate(cluster_id, Do.RESTART))
    again = await world.status(cluster_id, "failed")
    assert (again.incarnation, again.reason) == (2, "exited")
    [newer] = await world.kubernetes.pods(cluster.namespace)
    assert newer["metadata"]["uid"] != pod["metadata"]["uid"]
    stopped = await world.ended(await world.operate(cluster_id, Do.STOP))
    assert stopped.status == "succeeded"
    assert await world.kubernetes.pods(cluster.namespace) == []


async def test_a_worker_without_the_key_says_so(still_world: World) -> None:
    world = still_world
    async with world.running(sealer=Sealer([b"another key, also 32 bytes long."])):
        cluster_id = await world.create(name(), own=own(secret_env={"TOKEN": "s3cret"}))

        async def told() -> bool:
            return (await world.instances(cluster_id))[0].reason == "configuration"

        await world.until(told, "the reason", about=cluster_id)
        [instance] = await world.instances(cluster_id)
        assert "CMP_SECRET_KEY" in str(instance.message)
    async with world.running():
        world.nudge(cluster_id)
        await world.phase(cluster_id, "running")
