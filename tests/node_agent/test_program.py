"""The node agent as a program: a real API server with its rights and policies, real processes, both kinds of cgroups.

Only the kubelet is missing: the Pods are pretended, their cgroups and what runs in them are made here.
"""

import json
from pathlib import Path

import pytest

from testbed.kubernetes import ControlPlane
from tests.node_agent.rig import NODE, Machine, Pod, agent, until

pytestmark = pytest.mark.kubernetes


def test_it_freezes_and_thaws(installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        until(lambda: pod.says("cmp.io/Running") == ("True", "Running"), "whoever is not suspended runs")
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        assert pod.says("cmp.io/Running") == ("False", "Suspended")
        assert process.stands_still()
        pod.annotate(None)
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "Thawed"), "thawed")
        assert pod.says("cmp.io/Running") == ("True", "Running")
        assert not process.stands_still()
        lease = json.loads(
            installed.kubectl("get", "lease", "-n", "cmp-system", f"cmp-node-agent-{NODE}", "-o", "json")
        )
        assert lease["metadata"]["labels"] == {"cmp.io/component": "node-agent"}
        assert lease["spec"]["holderIdentity"] == NODE


def test_it_makes_true_what_was_asked_while_it_was_dead(
    installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path
) -> None:
    first, second = Pod(installed, namespace, "a"), Pod(installed, namespace, "b")
    one, two = machine.run(first), machine.run(second)
    first.annotate("true")
    with agent(installed, machine, tmp_path) as program:
        until(lambda: first.says("cmp.io/Suspended") == ("True", "Frozen"), "asked before it began")
        program.kill()
        program.wait()
        assert one.stands_still(), "what is frozen needs no agent to stay so"
    first.annotate(None)
    second.annotate("true")
    with agent(installed, machine, tmp_path):
        until(lambda: first.says("cmp.io/Suspended") == ("False", "Thawed"), "asked meanwhile")
        until(lambda: second.says("cmp.io/Suspended") == ("True", "Frozen"), "asked meanwhile")
        assert not one.stands_still()
        assert two.stands_still()


def test_it_freezes_again_what_somebody_thawed(
    installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        machine.thaw(pod)
        until(process.stands_still, "frozen again")


def test_it_outlives_the_api_server(installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        until(lambda: pod.says("cmp.io/Running") == ("True", "Running"), "it follows")
        installed.kill_api_server()
        installed.start_api_server()
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        assert process.stands_still()


def test_whoever_is_deleted_may_handle_it(
    installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a", finalizers=["cmp.io/test"])
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        installed.kubectl("delete", "pod", "-n", namespace, "a", "--wait=false")
        until(lambda: not process.stands_still(), "thawed, though its annotation says otherwise")
        assert pod.read()["metadata"]["annotations"]["cmp.io/frozen"] == "true"
    pod.patch({"metadata": {"finalizers": None}})


def test_a_container_that_ended_lost_its_memory(
    installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        status = pod.read()["status"]["containerStatuses"]
        status[0] |= {"restartCount": 1, "state": {"running": {"startedAt": "2999-01-01T00:00:00Z"}}}
        pod.patch({"status": {"containerStatuses": status}}, "--subresource=status")
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "MemoryLost"), "it says so")
        until(lambda: not process.stands_still(), "and lets the kubelet do its work")
        pod.annotate(None)
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "Thawed"), "from the beginning")


def test_it_does_not_freeze_what_a_liveness_probe_would_end(
    installed: ControlPlane, machine: Machine, namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a", probe={"livenessProbe": {"exec": {"command": ["true"]}}})
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "LivenessProbe"), "it says why not")
        assert not process.stands_still()
