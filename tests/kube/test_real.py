"""What only a real API server can say: that our manifests are valid to the last field, and that the verbs do there what
they do against the simulator.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.errors import Unavailable
from app.k8s_service import INSTANCE_TYPES, ForeignNamespace, KubeTarget, Raced
from app.k8s_service.errors import translated
from app.kube.client import KubeClient
from app.kube.errors import Refusal
from app.kube.kinds import KINDS, NAMESPACE, Kind
from app.models import InstanceOperation, InstanceStatus, InstanceType
from app.rules import units
from testbed.kubernetes import ControlPlane
from tests.kube.conftest import again, instance, serviced

GOLDEN = sorted((Path(__file__).parents[1] / "unit" / "instance_types" / "golden").glob("*.json"))

pytestmark = pytest.mark.kubernetes


async def checked(client: KubeClient, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
    """Nothing is created: the server checks every field and refuses what it does not know."""
    params = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "cmp"}
    return await client._call("create", kind, "POST", kind.collection("default"), params=params, body=body)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
async def test_manifests_are_valid(real: KubeTarget, path: Path) -> None:
    client = await KubeClient.connect(real)
    try:
        manifest = json.loads(path.read_text())
        manifest["metadata"]["namespace"] = "default"
        kept = await checked(client, KINDS[manifest["kind"]], manifest)
        part = "spec" if "spec" in manifest else "data"
        _is_within(manifest[part], kept[part])
        (manifest["spec"] if part == "spec" else manifest)["noSuchField"] = True
        with pytest.raises(Refusal, match="noSuchField"):
            await checked(client, KINDS[manifest["kind"]], manifest)
    finally:
        await client.close()


async def test_a_container_from_create_to_delete(real: KubeTarget) -> None:
    async with serviced(real) as rig:
        assert (await rig.service.check()).startswith("v1.")
        assert "context " in rig.service.description
        assert rig.service.has(InstanceType.CONTAINER) is None
        ends = await rig.service.certificates()
        assert "kubernetes_server" in ends
        assert all(end > datetime.now(UTC) for end in ends.values())
        cluster = rig.cluster()
        uid = await rig.service.ensure_namespace(cluster)
        assert await rig.service.ensure_namespace(cluster) == uid
        specs = [instance(cluster, ordinal) for ordinal in range(1, 6)]
        for spec in specs:
            await rig.service.apply(spec)
            await rig.service.apply(spec)
        for spec in specs:
            await rig.status(spec, InstanceStatus.RUNNING)
        spec, observed = specs[0], rig.service.observe(cluster).instances[specs[0].instance_id]
        await rig.service.operate(InstanceOperation.SUSPEND, spec, observed)
        await rig.status(spec, InstanceStatus.SUSPENDING)
        await rig.service.operate(InstanceOperation.RESUME, spec, observed)
        await rig.status(spec, InstanceStatus.RUNNING)
        await rig.service.operate(InstanceOperation.RESTART, again(spec), observed)
        await rig.gone(spec)
        await rig.service.apply(again(spec))
        restarted = await rig.status(spec, InstanceStatus.RUNNING)
        assert (restarted.incarnation, restarted.uid == observed.uid) == (2, False)
        await rig.service.delete(spec, observed)
        assert rig.service.observe(cluster).instances[spec.instance_id].uid == restarted.uid
        await rig.service.delete_namespace(cluster, uid)
        await rig.until(cluster, lambda seen: seen.namespace is None and not seen.instances, seconds=60)
        assert await rig.service.namespace_state(cluster) is None


async def test_a_patch_bound_to_a_uid_reaches_nobody_else(real: KubeTarget) -> None:
    client = await KubeClient.connect(real)
    async with serviced(real) as rig:
        cluster = rig.cluster()
        uid = await rig.service.ensure_namespace(cluster)
        for spec in (instance(cluster), instance(cluster, 2, kind=InstanceType.VM)):
            kind = KINDS[INSTANCE_TYPES[spec.instance_type].kind]
            body = INSTANCE_TYPES[spec.instance_type].manifest(spec)
            body["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
            patch = {"metadata": {"uid": body["metadata"]["uid"], "annotations": {"x": "y"}}}
            for exists in (False, True):
                with pytest.raises(Refusal) as applied:
                    await client.apply(kind, cluster.namespace, spec.name, body, "cmp")
                with pytest.raises(Refusal) as merged:
                    await client.merge(kind, cluster.namespace, spec.name, patch, "cmp")
                assert isinstance(translated(applied.value), Raced), applied.value
                assert isinstance(translated(merged.value), Raced), merged.value
                if not exists:
                    await rig.service.apply(spec)
            after = await client.get(kind, cluster.namespace, spec.name)
            assert "x" not in after["metadata"].get("annotations", {})
        await rig.service.delete_namespace(cluster, uid)
    await client.close()


async def test_no_more_rights_than_these_are_needed(control_plane: ControlPlane) -> None:
    """Nodes and node agents may stay hidden; then nobody can say that a node is silent or that a Pod can be frozen."""
    rules = [
        _rule("", ["namespaces", "pods"], "get list watch create patch delete"),
        _rule("kubevirt.io", ["virtualmachines"], "get list watch create patch delete"),
        _rule("kubevirt.io", ["virtualmachineinstances"], "get list watch"),
        _rule("subresources.kubevirt.io", ["virtualmachines/restart", "virtualmachines/stop"], "update"),
        _rule("subresources.kubevirt.io", [f"virtualmachineinstances/{v}pause" for v in ("", "un")], "update"),
    ]
    restricted = KubeTarget.kubeconfig(control_plane.service_account("cmp-test", rules))
    async with serviced(restricted) as rig:
        cluster = rig.cluster()
        uid = await rig.service.ensure_namespace(cluster)
        spec, machine = instance(cluster), instance(cluster, 2, kind=InstanceType.VM)
        await rig.service.apply(spec)
        await rig.service.apply(machine)
        await rig.service.apply(machine)
        running = await rig.status(spec, InstanceStatus.RUNNING)
        await rig.service.operate(InstanceOperation.SUSPEND, spec, running)
        await rig.status(spec, InstanceStatus.SUSPENDING)
        await rig.service.delete(spec, running)
        await rig.gone(spec)
        await rig.service.delete(machine, rig.service.observe(cluster).instances[machine.instance_id])
        await rig.gone(machine)
        await rig.service.delete_namespace(cluster, uid)
        await rig.until(cluster, lambda seen: seen.namespace is None, seconds=60)


async def test_an_api_server_that_is_killed_and_comes_back(real: KubeTarget, control_plane: ControlPlane) -> None:
    async with serviced(real) as rig:
        cluster = rig.cluster()
        uid = await rig.service.ensure_namespace(cluster)
        spec, late = instance(cluster), instance(cluster, 2)
        await rig.service.apply(spec)
        await rig.status(spec, InstanceStatus.RUNNING)
        control_plane.kill_api_server()
        try:
            with pytest.raises(Unavailable):
                await rig.service.check()
            assert spec.instance_id in rig.service.observe(cluster).instances
        finally:
            await asyncio.to_thread(control_plane.start_api_server)
        control_plane.kubectl("-n", cluster.namespace, "delete", "pod", spec.name, "--wait=false")
        await rig.retried(lambda: rig.service.apply(late), Raced, Unavailable)
        await rig.status(late, InstanceStatus.RUNNING, seconds=40)
        await rig.gone(spec)
        await rig.service.delete_namespace(cluster, uid)
        await rig.until(cluster, lambda seen: seen.namespace is None, seconds=60)


async def test_a_machine_is_applied_halted_and_deleted(real: KubeTarget) -> None:
    async with serviced(real) as rig:
        assert rig.service.has(InstanceType.VM) is None
        cluster = rig.cluster()
        uid = await rig.service.ensure_namespace(cluster)
        spec = instance(cluster, kind=InstanceType.VM)
        await rig.service.apply(spec)
        await rig.service.apply(spec)
        running = await rig.status(spec, InstanceStatus.RUNNING)
        assert running.incarnation == 1
        await rig.service.operate(InstanceOperation.STOP, again(spec), running)
        stopped = await rig.status(spec, InstanceStatus.STOPPED)
        assert (stopped.incarnation, stopped.uid) == (2, running.uid)
        await rig.service.delete(spec, stopped)
        await rig.gone(spec)
        await rig.service.delete_namespace(cluster, uid)
        await rig.until(cluster, lambda seen: seen.namespace is None, seconds=60)


async def test_a_namespace_that_was_there_before_is_untouched(real: KubeTarget) -> None:
    client = await KubeClient.connect(real)
    async with serviced(real) as rig:
        cluster = rig.cluster()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
        made = await client.create(NAMESPACE, None, body, "kubectl")
        with pytest.raises(ForeignNamespace):
            await rig.service.ensure_namespace(cluster)
        await rig.service.delete_namespace(cluster, "00000000-0000-4000-8000-000000000000")
        found = await client.get(NAMESPACE, None, cluster.namespace)
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        assert "deletionTimestamp" not in found["metadata"]
        with pytest.raises(Raced):
            await rig.service.apply(instance(rig.cluster()))
        await client.delete(NAMESPACE, None, cluster.namespace, made["metadata"]["uid"])
    await client.close()


def _rule(group: str, resources: list[str], verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs.split()}


def _is_within(wanted: Any, kept: Any) -> None:
    """Nothing that we asked for was dropped by the server."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert key in kept, key
            _is_within(value, kept[key])
    elif isinstance(wanted, list):
        for mine, theirs in zip(wanted, kept, strict=False):
            _is_within(mine, theirs)
    elif wanted != kept:
        assert units.mebibytes(wanted) == units.mebibytes(kept)
