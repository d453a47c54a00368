"""The node agent as CMP sees it: Leases that say it is there, and a condition on what it froze."""

from datetime import UTC, datetime

from tests.contract.cluster_api import ClusterApi, Namespace, condition, is_true, pod, running

LEASES = "/apis/coordination.k8s.io/v1/namespaces/cmp-system/leases?labelSelector=cmp.io/component%3Dnode-agent"


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
    with_node_agent.post(namespace.of("pods"), pod("a")).ok(201)
    with_node_agent.until(path, running)
    with_node_agent.patch(path, {"metadata": {"annotations": {"cmp.io/frozen": "true"}}}).ok(200)
    frozen = with_node_agent.until(path, lambda obj: is_true(obj, "cmp.io/Suspended"))
    assert frozen["status"]["phase"] == "Running"
    with_node_agent.patch(path, {"metadata": {"annotations": {"cmp.io/frozen": None}}}).ok(200)
    thawed = with_node_agent.until(path, lambda obj: not is_true(obj, "cmp.io/Suspended"))
    made = condition(thawed, "cmp.io/Suspended")
    assert made is not None
    assert made["status"] == "False"


def test_what_is_frozen_cannot_stop_by_itself(with_node_agent: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    with_node_agent.post(namespace.of("pods"), pod("a", annotations={"cmp.io/frozen": "true"})).ok(201)
    with_node_agent.until(path, lambda obj: is_true(obj, "cmp.io/Suspended"))
    with_node_agent.delete(path, {"gracePeriodSeconds": 30}).ok(200)
    with_node_agent.until_gone(path)
