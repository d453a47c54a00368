"""The node agent as CMP sees it: Leases that say it is there, and conditions of what it froze.

The simulator's must do what the real one does in tests/node_agent and tests/node.
"""

from datetime import UTC, datetime
from typing import Any

from tests.contract.cluster_api import ClusterApi, Json, Namespace, condition, is_true, pod, running

LEASES = "/apis/coordination.k8s.io/v1/namespaces/cmp-system/leases?labelSelector=cmp.io/component%3Dnode-agent"
LABELS = {"app.kubernetes.io/managed-by": "cmp", "instance-type": "container"}
FROZEN: Json = {"cmp.io/frozen": "true"}


def test_it_says_on_which_nodes_it_is(with_node_agent: ClusterApi) -> None:
    leases = with_node_agent.get(LEASES).ok()["items"]
    nodes = {node["metadata"]["name"] for node in with_node_agent.get("/api/v1/nodes").ok()["items"]}
    assert {lease["spec"]["holderIdentity"] for lease in leases} == nodes
    for lease in leases:
        assert lease["metadata"]["name"] == f"cmp-node-agent-{lease['spec']['holderIdentity']}"
        age = datetime.now(UTC) - datetime.fromisoformat(lease["spec"]["renewTime"])
        assert age.total_seconds() < 60


def test_it_freezes_and_thaws(with_node_agent: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    with_node_agent.post(namespace.of("pods"), _instance("a")).ok(201)
    with_node_agent.until(path, running)
    with_node_agent.patch(path, {"metadata": {"annotations": FROZEN}}).ok(200)
    frozen = with_node_agent.until(path, lambda obj: is_true(obj, "cmp.io/Suspended"))
    assert frozen["status"]["phase"] == "Running"
    assert _reason(frozen) == "Frozen"
    with_node_agent.patch(path, {"metadata": {"annotations": {"cmp.io/frozen": None}}}).ok(200)
    thawed = with_node_agent.until(path, lambda obj: not is_true(obj, "cmp.io/Suspended"))
    assert _reason(thawed) == "Thawed"


def test_a_gate_is_open_while_the_pod_runs(with_node_agent: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    with_node_agent.post(namespace.of("pods"), _instance("a", gated=True)).ok(201)
    with_node_agent.until(path, lambda obj: is_true(obj, "Ready"))
    with_node_agent.patch(path, {"metadata": {"annotations": FROZEN}}).ok(200)
    left_out = with_node_agent.until(path, lambda obj: not is_true(obj, "Ready"))
    assert not is_true(left_out, "cmp.io/Running")
    ready = condition(left_out, "Ready")
    assert ready is not None
    assert ready["reason"] == "ReadinessGatesNotReady"
    with_node_agent.patch(path, {"metadata": {"annotations": {"cmp.io/frozen": None}}}).ok(200)
    with_node_agent.until(path, lambda obj: is_true(obj, "Ready"))


def test_without_cmps_labels_it_is_left_alone(with_node_agent: ClusterApi, namespace: Namespace) -> None:
    foreign = pod("foreign", annotations=FROZEN)
    with_node_agent.post(namespace.of("pods"), foreign).ok(201)
    with_node_agent.post(namespace.of("pods"), _instance("ours", annotations=FROZEN)).ok(201)
    with_node_agent.until(namespace.of("pods", "ours"), lambda obj: is_true(obj, "cmp.io/Suspended"))
    seen = with_node_agent.until(namespace.of("pods", "foreign"), running)
    assert condition(seen, "cmp.io/Suspended") is None


def test_what_has_a_liveness_probe_is_not_frozen(with_node_agent: ClusterApi, namespace: Namespace) -> None:
    made = _instance("a", annotations=FROZEN)
    made["spec"]["containers"][0]["livenessProbe"] = {"exec": {"command": ["true"]}}
    with_node_agent.post(namespace.of("pods"), made).ok(201)
    refused = with_node_agent.until(namespace.of("pods", "a"), lambda obj: bool(condition(obj, "cmp.io/Suspended")))
    assert not is_true(refused, "cmp.io/Suspended")
    assert _reason(refused) == "LivenessProbe"


def test_who_is_deleted_while_frozen_is_thawed_and_ends_in_order(
    with_node_agent: ClusterApi, namespace: Namespace
) -> None:
    path = namespace.of("pods", "a")
    made = _instance("a", annotations=FROZEN, finalizers=["cmp.io/test"])
    with_node_agent.post(namespace.of("pods"), made).ok(201)
    with_node_agent.until(path, lambda obj: is_true(obj, "cmp.io/Suspended"))
    with_node_agent.delete(path, {"gracePeriodSeconds": 30}).ok(200)
    ended = with_node_agent.until(path, lambda obj: "terminated" in obj["status"]["containerStatuses"][0]["state"])
    assert ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert _reason(ended) == "Thawed"
    with_node_agent.patch(path, {"metadata": {"finalizers": None}}).ok(200)
    with_node_agent.until_gone(path)


def _instance(name: str, *, gated: bool = False, **metadata: Any) -> Json:
    made = pod(name, labels=LABELS, **metadata)
    if gated:
        made["spec"]["readinessGates"] = [{"conditionType": "cmp.io/Running"}]
    return made


def _reason(obj: Json) -> str | None:
    said = condition(obj, "cmp.io/Suspended")
    return None if said is None else said["reason"]
