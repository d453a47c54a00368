"""What the node agent's account may do on a real API server, and that it may do nothing else."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from agent.kube import STRATEGIC, Kube, Refused
from testbed.kubernetes import ControlPlane
from tests.node_agent.rig import LABELS, NODE, Pod, credentials, token

pytestmark = pytest.mark.kubernetes

ACCOUNT = "system:serviceaccount:cmp-system:cmp-node-agent"
SUSPENDED = {"type": "cmp.io/Suspended", "status": "True", "reason": "Frozen"}
# Given to every account there is: who am I, and which APIs are there.
EVERYBODYS = ("selfsubject", "selfsubjectreviews", "[/")


def test_its_rights_are_these_and_no_others(installed: ControlPlane) -> None:
    assert _may(installed, "default") == {"pods [list watch]", "pods/status [patch]"}
    assert _may(installed, "cmp-system") == {
        "pods [list watch]",
        "pods/status [patch]",
        "leases.coordination.k8s.io [create patch]",
    }


def test_it_speaks_only_of_the_instances_on_its_node(installed: ControlPlane, namespace: str) -> None:
    here = Pod(installed, namespace, "here")
    there = Pod(installed, namespace, "there", node="node-1")
    foreign = Pod(installed, namespace, "foreign", labels={})
    machine = Pod(installed, namespace, "machine", labels=LABELS | {"instance-type": "vm"})
    told = {"status": {"conditions": [SUSPENDED]}}
    assert _refusal(installed, here, told) is None
    assert here.says("cmp.io/Suspended") == ("True", "Frozen")
    assert "only speak of Pods on its own node" in str(_refusal(installed, there, told))
    assert "only speak of container instances of CMP" in str(_refusal(installed, foreign, told))
    assert "only speak of container instances of CMP" in str(_refusal(installed, machine, told))
    assert "only speak of Pods on its own node" in str(_refusal(installed, here, told, node=None)), "no Pod's token"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "only change the conditions"),
        ({"status": {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}}, "only change the conditions"),
        ({"status": {"phase": "Failed"}}, "nothing of the status but conditions"),
        (
            {"status": {"podIP": "10.9.9.9", "podIPs": [{"$patch": "replace"}, {"ip": "10.9.9.9"}]}},
            "nothing of the status but conditions",
        ),
        ({"status": {"containerStatuses": None}}, "nothing of the status but conditions"),
        ({"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}, "change no metadata"),
        ({"metadata": {"annotations": {"cmp.io/frozen": "true"}}}, "change no metadata"),
        ({"metadata": {"finalizers": ["example.org/mine"]}}, "change no metadata"),
    ],
)
def test_it_changes_only_its_own_conditions(
    installed: ControlPlane, namespace: str, change: dict[str, Any], words: str
) -> None:
    assert words in str(_refusal(installed, Pod(installed, namespace, "a"), change))


def test_it_renews_only_its_own_lease(installed: ControlPlane) -> None:
    for name, allowed in ((f"cmp-node-agent-{NODE}", True), ("cmp-node-agent-node-1", False), ("other", False)):
        lease = {"metadata": {"name": name}, "spec": {"holderIdentity": NODE}}
        path = "/apis/coordination.k8s.io/v1/namespaces/cmp-system/leases"
        refusal = _said(installed, "POST", path, lease)
        assert (refusal is None) is allowed, refusal
        assert allowed or "only write the Lease of its own node" in str(refusal)


@pytest.mark.parametrize(
    "attempt",
    [
        ("get", "secrets", "-A"),
        ("get", "nodes"),
        ("delete", "pod", "-n", "cmp-system", "--all"),
        ("get", "leases", "-A"),
        ("annotate", "pod", "-n", "cmp-system", "--all", "a=b"),
        ("create", "token", "-n", "cmp-system", "cmp-node-agent"),
        ("create", "namespace", "mine"),
    ],
)
def test_whatever_else_it_tries_is_forbidden(installed: ControlPlane, attempt: tuple[str, ...]) -> None:
    assert "forbidden" in str(_tried(installed, *attempt)).lower()


def _may(plane: ControlPlane, namespace: str) -> set[str]:
    lines = plane.kubectl("auth", "can-i", "--list", "-n", namespace, f"--as={ACCOUNT}").splitlines()[1:]
    found = (line for line in lines if not any(word in line for word in EVERYBODYS))
    return {f"{line.split()[0]} [{line.rpartition('[')[2].strip()}" for line in found}


def _refusal(plane: ControlPlane, pod: Pod, change: dict[str, Any], node: str | None = NODE) -> str | None:
    return _said(plane, "PATCH", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status", change, node)


def _said(plane: ControlPlane, method: str, path: str, body: dict[str, Any], node: str | None = NODE) -> str | None:
    """What the API server says against it; None where it is done."""
    with tempfile.TemporaryDirectory() as folder:
        kube = Kube("127.0.0.1", plane.port, credentials(plane, Path(folder), node))
        try:
            kube.call(method, path, body, STRATEGIC)
        except Refused as refusal:
            return str(refusal)
    return None


def _tried(plane: ControlPlane, *arguments: str) -> str | None:
    """The same of a command of kubectl."""
    kubeconfig = plane.client_kubeconfig("cmp-node-agent", "nobodies")
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token(plane, NODE)}
    kubeconfig.write_text(json.dumps(config))
    try:
        plane.kubectl(*arguments, kubeconfig=kubeconfig)
    except RuntimeError as refusal:
        return str(refusal)
    return None
