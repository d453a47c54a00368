"""What happens by itself: Pods that crash, nodes that are lost, room that runs out, owners that go."""

import asyncio

import pytest

import simulator
from tests.simulator.rig import PODS, Rig, condition, pod, ready, restarts, running, state, waiting

QUICK = {"crash_after": 0.02, "crash_backoff": 0.05, "crash_backoff_limit": 0.1}


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (pod("a", "example/crash:1"), 1, "Error"),
        (pod("a", "oom-killed"), 137, "OOMKilled"),
        ({**pod("a"), "metadata": {"name": "a", "annotations": {"simulator/crash": "exit 3"}}}, 3, "Error"),
        ({**pod("a"), "metadata": {"name": "a", "annotations": {"simulator/crash": "oom"}}}, 137, "OOMKilled"),
    ],
    ids=["image", "image out of memory", "annotation", "annotation out of memory"],
)
async def test_a_crash_loop(rig: Rig, body: dict[str, object], code: int, reason: str) -> None:
    await rig.admin("PATCH", "/settings", QUICK)
    await rig.ok("POST", PODS, body)
    found = await rig.until(f"{PODS}/a", lambda obj: restarts(obj) >= 2 and waiting(obj) == "CrashLoopBackOff")
    assert found["status"]["phase"] == "Running"
    assert not ready(found)
    last = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (code, reason)
    assert "restarting failed container=main pod=a_default" in state(found)["waiting"]["message"]


async def test_a_crash_told_later_and_taken_back(rig: Rig) -> None:
    await rig.admin("PATCH", "/settings", QUICK)
    await rig.ok("POST", PODS, pod("a"))
    await rig.until(f"{PODS}/a", ready)
    await rig.ok("PATCH", f"{PODS}/a", {"metadata": {"annotations": {"simulator/crash": "exit 1"}}})
    await rig.until(f"{PODS}/a", lambda obj: waiting(obj) == "CrashLoopBackOff")
    await rig.ok("PATCH", f"{PODS}/a", {"metadata": {"annotations": {"simulator/crash": None}}})
    healed = await rig.until(f"{PODS}/a", ready)
    assert restarts(healed) >= 2


@pytest.mark.parametrize(
    ("policy", "command", "phase"),
    [("Never", "exit 0", "Succeeded"), ("Never", "exit 2", "Failed"), ("OnFailure", "exit 0", "Succeeded")],
)
async def test_a_pod_that_ends(rig: Rig, policy: str, command: str, phase: str) -> None:
    body = pod("a", restartPolicy=policy)
    body["spec"]["containers"][0]["command"] = ["sh", "-c", command]
    await rig.ok("POST", PODS, body)
    found = await rig.until(f"{PODS}/a", lambda obj: obj["status"]["phase"] == phase)
    assert state(found)["terminated"]["exitCode"] == int(command[-1])
    assert (await rig.ok("DELETE", f"{PODS}/a"))["metadata"]["deletionGracePeriodSeconds"] == 0
    assert (await rig.call("GET", f"{PODS}/a")).status_code == 404


async def test_an_image_can_be_mended(rig: Rig) -> None:
    await rig.ok("POST", PODS, pod("a", "example/none:does-not-exist"))
    await rig.until(f"{PODS}/a", lambda obj: waiting(obj) == "ImagePullBackOff")
    image = {"spec": {"containers": [{"name": "main", "image": "nginx:1"}]}}
    answer = await rig.http.patch(
        f"{PODS}/a", json=image, headers={"Content-Type": "application/strategic-merge-patch+json"}
    )
    assert answer.status_code == 200, answer.text
    await rig.until(f"{PODS}/a", ready)


async def test_a_name_that_is_no_image(rig: Rig) -> None:
    await rig.ok("POST", PODS, pod("a", "UPPER/case"))
    found = await rig.until(f"{PODS}/a", lambda obj: waiting(obj) == "InvalidImageName")
    assert found["status"]["phase"] == "Pending"


async def test_readiness_gates_are_waited_for(rig: Rig) -> None:
    await rig.ok("POST", PODS, pod("a", readinessGates=[{"conditionType": "example.com/gate"}]))
    found = await rig.until(f"{PODS}/a", lambda obj: condition(obj, "ContainersReady").get("status") == "True")
    assert condition(found, "Ready")["reason"] == "ReadinessGatesNotReady"
    opened = [*found["status"]["conditions"], {"type": "example.com/gate", "status": "True"}]
    await rig.ok("PATCH", f"{PODS}/a/status", {"status": {"conditions": opened}})
    await rig.until(f"{PODS}/a", ready)


async def test_what_finds_no_room_waits_for_it() -> None:
    settings = simulator.Settings(nodes=2, node_shape=simulator.NodeShape(cpu="2", memory="1Gi"))
    async with running(settings) as rig:
        for name in ("a", "b"):
            await rig.ok("POST", PODS, pod(name, cpu="1500m"))
            await rig.until(f"{PODS}/{name}", ready)
        await rig.ok("POST", PODS, pod("c", cpu="1500m"))
        found = await rig.until(f"{PODS}/c", lambda obj: condition(obj, "PodScheduled"))
        assert condition(found, "PodScheduled")["message"] == "0/2 nodes are available: 2 Insufficient cpu."
        await rig.ok("DELETE", f"{PODS}/a")
        await rig.until(f"{PODS}/c", ready)
        await rig.ok("POST", PODS, pod("d", cpu="1500m"))
        await rig.until(f"{PODS}/d", lambda obj: condition(obj, "PodScheduled"))
        await rig.admin("PATCH", "/nodes/node-1", {"cpu": "8"})
        await rig.until(f"{PODS}/d", ready)
        await rig.ok("POST", PODS, pod("e", cpu="100"))
        await rig.until(f"{PODS}/e", lambda obj: condition(obj, "PodScheduled"))
        await rig.admin("POST", "/nodes", {"name": "large", "cpu": "200"})
        assert (await rig.until(f"{PODS}/e", ready))["spec"]["nodeName"] == "large"


async def test_a_lost_node_leaves_pods_terminating() -> None:
    async with running(simulator.Settings(nodes=1)) as rig:
        await rig.ok("POST", PODS, pod("a", tolerations=[_tolerates(1)]))
        await rig.ok("POST", PODS, pod("stays", tolerations=[_tolerates(None)]))
        await rig.until(f"{PODS}/a", ready)
        await rig.until(f"{PODS}/stays", ready)
        await rig.admin("POST", "/nodes/node-1/down")
        node = await rig.ok("GET", "/api/v1/nodes/node-1")
        assert (condition(node, "Ready")["status"], condition(node, "Ready")["reason"]) == (
            "Unknown",
            "NodeStatusUnknown",
        )
        lost = await rig.until(f"{PODS}/a", lambda obj: obj["metadata"].get("deletionTimestamp"))
        assert condition(lost, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
        assert condition(lost, "Ready")["status"] == "False"
        await asyncio.sleep(0.6)
        assert (await rig.call("GET", f"{PODS}/a")).status_code == 200
        kept = await rig.ok("GET", f"{PODS}/stays")
        assert "deletionTimestamp" not in kept["metadata"]
        await rig.ok("POST", PODS, pod("new"))
        waits = await rig.until(f"{PODS}/new", lambda obj: condition(obj, "PodScheduled"))
        assert "untolerated taint" in condition(waits, "PodScheduled")["message"]
        await rig.admin("POST", "/nodes/node-1/up")
        await rig.until_gone(f"{PODS}/a")
        await rig.until(f"{PODS}/stays", ready)
        await rig.until(f"{PODS}/new", ready)


async def test_a_lost_node_can_be_forced() -> None:
    async with running(simulator.Settings(nodes=1)) as rig:
        await rig.ok("POST", PODS, pod("a"))
        await rig.ok("POST", PODS, pod("b"))
        await rig.until(f"{PODS}/b", ready)
        await rig.admin("POST", "/nodes/node-1/down")
        await rig.ok("DELETE", f"{PODS}/a", {"gracePeriodSeconds": 0})
        assert (await rig.call("GET", f"{PODS}/a")).status_code == 404
        await rig.ok("DELETE", "/api/v1/nodes/node-1")
        await rig.until_gone(f"{PODS}/b")


async def test_a_node_under_pressure_evicts(rig: Rig) -> None:
    await rig.ok("POST", PODS, pod("a"))
    await rig.until(f"{PODS}/a", ready)
    await rig.admin("POST", "/pods/default/a/evict", {})
    found = await rig.ok("GET", f"{PODS}/a")
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "Evicted")
    assert condition(found, "DisruptionTarget")["reason"] == "TerminationByKubelet"


async def test_time_can_stand_still_and_run(rig: Rig) -> None:
    await rig.admin("PUT", "/clock", {"speed": 0})
    await rig.ok("POST", PODS, pod("a"))
    await asyncio.sleep(0.3)
    assert (await rig.ok("GET", f"{PODS}/a"))["status"]["phase"] == "Pending"
    await rig.admin("PUT", "/clock", {"speed": 100})
    await rig.until(f"{PODS}/a", ready)


async def test_delays_can_be_changed(rig: Rig) -> None:
    await rig.admin("PATCH", "/settings", {"start_delay": 3600})
    await rig.ok("POST", PODS, pod("a"))
    await rig.until(f"{PODS}/a", lambda obj: waiting(obj) == "ContainerCreating")
    assert (await rig.admin("GET", "/settings"))["start_delay"] == 3600


async def test_without_a_node_agent_nothing_is_frozen() -> None:
    async with running(simulator.Settings(node_agent=False)) as rig:
        labels = {"app.kubernetes.io/managed-by": "cmp", "instance-type": "container"}
        asked = {"name": "a", "labels": labels, "annotations": {"cmp.io/frozen": "true"}}
        await rig.ok("POST", PODS, {**pod("a"), "metadata": asked})
        await rig.until(f"{PODS}/a", ready)
        await asyncio.sleep(0.5)
        assert condition(await rig.ok("GET", f"{PODS}/a"), "cmp.io/Suspended") == {}
        assert (await rig.ok("GET", "/apis/coordination.k8s.io/v1/leases"))["items"] == []


async def test_one_seed_is_one_schedule() -> None:
    async def addresses() -> list[str]:
        async with running(simulator.Settings(seed=7)) as rig:
            return [str(rig.sim.world.chance.random()) for _ in range(3)]

    assert await addresses() == await addresses()


async def test_logs_are_text(rig: Rig) -> None:
    await rig.ok("POST", PODS, pod("a"))
    assert (await rig.call("GET", f"{PODS}/a/log")).status_code == 400
    await rig.until(f"{PODS}/a", ready)
    answer = await rig.call("GET", f"{PODS}/a/log?tailLines=1")
    assert answer.text == "a main: line 3\n"


def _tolerates(seconds: int | None) -> dict[str, object]:
    toleration: dict[str, object] = {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
    }
    return {**toleration, "tolerationSeconds": seconds} if seconds is not None else toleration
