"""What is entered is what is there now: the look before every opening, on the simulator."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

import simulator
from app.errors import CmpError, Unavailable, Unsupported, WrongState
from app.k8s_service import InstanceSpec, KubernetesReach, KubeTarget
from app.kube.client import KubeClient
from app.kube.kinds import POD
from app.models import InstanceStatus, InstanceType
from app.rules.reach import Console, Ending, Exec, Logs, PortForward, Target, Way
from tests.kube.conftest import Rig, instance

ECHO = Exec(("echo", "hello"))


@pytest.fixture
async def reach(sim: simulator.Simulator, rig: Rig) -> AsyncIterator[KubernetesReach]:
    made = await KubernetesReach.connect(KubeTarget.url(sim.url), installation_id=rig.installation_id)
    yield made
    await made.close()


@pytest.fixture
async def container(rig: Rig) -> InstanceSpec:
    return await _running(rig, InstanceType.CONTAINER)


async def _running(rig: Rig, kind: InstanceType) -> InstanceSpec:
    spec = instance(rig.cluster(), kind=kind)
    await rig.service.ensure_namespace(spec.cluster)
    await rig.retried(lambda: rig.service.apply(spec), CmpError)
    await rig.status(spec, InstanceStatus.RUNNING)
    return spec


def target(spec: InstanceSpec, **other: str) -> Target:
    made = Target(spec.instance_type, spec.cluster.cluster_id, spec.instance_id, spec.cluster.namespace, spec.name)
    return replace(made, **other)  # type: ignore[arg-type]


async def said(reach: KubernetesReach, where: Target, way: Way) -> tuple[bytes, Ending]:
    conversation = await reach.open(where, way)
    heard = b""
    try:
        while isinstance(message := await conversation.receive(), bytes):
            heard += message
        return heard, message
    finally:
        await conversation.close()


async def test_what_is_ours_is_entered(reach: KubernetesReach, container: InstanceSpec) -> None:
    heard, ending = await said(reach, target(container), ECHO)
    assert b"\1hello\n" in heard
    assert (ending.code, ending.outcome) == (1000, "exit 0")


@pytest.mark.parametrize("proof", ["cluster_id", "instance_id", "name"])
async def test_what_only_has_the_name_or_only_the_labels_is_not(
    reach: KubernetesReach, container: InstanceSpec, proof: str
) -> None:
    other = "another-instance-1" if proof == "name" else str(uuid.uuid4())
    for opening in (
        reach.open(target(container, **{proof: other}), ECHO),
        reach.logs(target(container, **{proof: other}), Logs()),
        reach.usage(target(container, **{proof: other})),
    ):
        with pytest.raises(WrongState):
            await opening


async def test_what_another_installation_made_is_not(sim: simulator.Simulator, container: InstanceSpec) -> None:
    other = await KubernetesReach.connect(KubeTarget.url(sim.url), installation_id=str(uuid.uuid4()))
    with pytest.raises(WrongState):
        await other.open(target(container), ECHO)
    await other.close()


async def test_a_frozen_pod_is_not_entered_whatever_is_believed(
    reach: KubernetesReach, container: InstanceSpec, raw: KubeClient
) -> None:
    frozen = {"metadata": {"annotations": {"cmp.io/frozen": "true"}}}
    await raw.merge(POD, container.cluster.namespace, container.name, frozen, "test")
    for way in (ECHO, PortForward(80)):
        with pytest.raises(WrongState, match="resume it first"):
            await reach.open(target(container), way)
    log = await reach.logs(target(container), Logs())
    assert b"line 1" in b"".join([chunk async for chunk in log])
    await log.aclose()


async def test_a_pod_that_is_being_deleted_is_not_entered(
    reach: KubernetesReach, container: InstanceSpec, raw: KubeClient, sim: simulator.Simulator
) -> None:
    sim.world.clock.speed = 0
    uid = (await raw.get(POD, container.cluster.namespace, container.name))["metadata"]["uid"]
    await raw.delete(POD, container.cluster.namespace, container.name, uid)
    with pytest.raises(WrongState, match="stopping"):
        await reach.open(target(container), ECHO)


async def test_a_machine_and_its_launcher(reach: KubernetesReach, rig: Rig) -> None:
    spec = await _running(rig, InstanceType.VM)
    conversation = await reach.open(target(spec), Console())
    await conversation.send(b"\n")
    assert b"login: " in await conversation.receive()  # type: ignore[operator]
    await conversation.close()
    log = await reach.logs(target(spec), Logs())
    assert b"guest-console-log: line 1" in b"".join([chunk async for chunk in log])
    with pytest.raises(Unsupported, match="metrics"):
        await reach.usage(target(spec))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"kind": "403", "subresource": "exec"}, Unsupported, "may not do this"),
        ({"kind": "403", "verb": "list", "resource": "pods"}, Unsupported, "may not do this"),
        ({"kind": "500", "subresource": "exec"}, Unavailable, "does not answer"),
        ({"kind": "503", "verb": "list", "resource": "pods"}, Unavailable, "does not answer"),
        ({"kind": "404", "subresource": "exec"}, WrongState, "Kubernetes says"),
        ({"kind": "reset_before", "verb": "list", "resource": "pods"}, Unavailable, "does not answer"),
    ],
)
async def test_how_kubernetes_refuses(
    reach: KubernetesReach,
    container: InstanceSpec,
    sim: simulator.Simulator,
    fault: dict[str, Any],
    error: type[CmpError],
    words: str,
) -> None:
    sim.faults.add(fault)
    with pytest.raises(error, match=words):
        await reach.open(target(container), ECHO)


async def test_a_port_says_why_it_is_refused(reach: KubernetesReach, container: InstanceSpec) -> None:
    _, ending = await said(reach, target(container), PortForward(81))
    assert (ending.code, ending.words) == (4006, "Nothing listens on port 81 of the instance.")
