"""From cached objects to what is told of a cluster: whose is what, and who is a stranger."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from app.instance_types.values import cluster_labels, instance_labels
from app.k8s_service import INSTANCE_TYPES, ClusterRef, InstanceSpec
from app.k8s_service.observation import (
    agents_everywhere,
    namespace_state,
    nodes_with_agent,
    observe,
    owned_namespaces,
    surroundings,
)
from app.kube.cache import Cache
from app.models import InstanceStatus, InstanceType
from tests.unit.instance_types.examples import CLUSTER, CONTAINER, VM, around


class Held:
    """A cache that was filled by hand."""

    synced = True

    def __init__(self, *objects: dict[str, Any], absent: str | None = None) -> None:
        self.absent = absent
        self._objects = objects

    def get(self, namespace: str | None, name: str) -> dict[str, Any] | None:
        found = (obj for obj in self._objects if obj["metadata"]["name"] == name)
        return next((obj for obj in found if obj["metadata"].get("namespace") == namespace), None)

    def group(self, value: str) -> Iterator[dict[str, Any]]:
        return (obj for obj in self._objects if obj["metadata"]["labels"].get("cmp.io/cluster") == value)

    def all(self) -> Iterator[dict[str, Any]]:
        return iter(self._objects)


def caches(**objects: list[dict[str, Any]]) -> dict[str, Cache]:
    kinds = ("Namespace", "Pod", "VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceMigration")
    return {kind: cast(Cache, Held(*objects.get(kind, []))) for kind in kinds}


def made(spec: InstanceSpec, name: str = "", namespace: str = "", created: str = "", **labels: str) -> dict[str, Any]:
    metadata = {
        "name": name or spec.name,
        "namespace": namespace or spec.cluster.namespace,
        "uid": f"uid-{name or spec.name}",
        "creationTimestamp": created or "2026-11-23T10:00:00Z",
        "labels": {**instance_labels(spec), **labels},
    }
    return {"metadata": metadata, "spec": {}, "status": {}}


def seen(names: dict[str, str] | None = None, **objects: list[dict[str, Any]]) -> Any:
    return observe(CLUSTER, names, INSTANCE_TYPES, caches(**objects), around())


NAMES = {CONTAINER.instance_id: CONTAINER.name}


def test_what_was_asked_for() -> None:
    observation = seen(NAMES, Pod=[made(CONTAINER)])
    assert observation.instances[CONTAINER.instance_id].status is InstanceStatus.PENDING
    assert observation.strangers == []
    assert observation.namespace is None


@pytest.mark.parametrize(
    "stranger",
    [
        made(replace(CONTAINER, instance_id="other"), "other"),
        made(CONTAINER, "copy"),
        made(CONTAINER, namespace="elsewhere-ns"),
        made(CONTAINER, "odd", **{"instance-type": "spaceship"}),
        made(CONTAINER, "fake-launcher", **{"kubevirt.io": "virt-launcher"}),
    ],
    ids=["unknown", "copy", "elsewhere", "odd", "fake-launcher"],
)
def test_strangers(stranger: dict[str, Any]) -> None:
    observation = seen(NAMES, Pod=[made(CONTAINER), stranger])
    assert set(observation.instances) == {CONTAINER.instance_id}
    (owned,) = observation.strangers
    metadata = stranger["metadata"]
    assert (owned.kind, owned.name, owned.namespace) == ("Pod", metadata["name"], metadata["namespace"])


def test_without_names_every_instance_counts() -> None:
    other = replace(CONTAINER, instance_id="other", name="web-instance-2")
    assert set(seen(None, Pod=[made(CONTAINER), made(other)]).instances) == {CONTAINER.instance_id, "other"}


def test_a_launcher_is_no_instance() -> None:
    launcher = made(VM, "virt-launcher-web-instance-1-x7", **{"kubevirt.io": "virt-launcher"})
    observation = seen(NAMES, Pod=[launcher])
    assert observation.instances == {}
    assert observation.strangers == []
    observation = seen(NAMES, Pod=[launcher], VirtualMachine=[made(VM)])
    assert observation.instances[VM.instance_id].uid == f"uid-{VM.name}"


def test_a_vmi_without_its_vm_is_still_something() -> None:
    observation = seen(NAMES, VirtualMachineInstance=[made(VM)])
    assert observation.instances[VM.instance_id].deleting


def test_the_newest_launcher_speaks() -> None:
    def launcher(name: str, created: str, message: str) -> dict[str, Any]:
        pod = made(VM, name, created=created)
        waiting = {"waiting": {"reason": "ErrImagePull", "message": message}}
        pod["status"] = {"containerStatuses": [{"name": "compute", "state": waiting}]}
        return pod

    machine = made(VM)
    machine["status"] = {"printableStatus": "ErrImagePull", "created": True}
    pods = [launcher("b", "2026-11-23T11:00:00Z", "new"), launcher("a", "2026-11-23T10:00:00Z", "old")]
    for order in (pods, pods[::-1]):
        message = seen(NAMES, Pod=order, VirtualMachine=[machine]).instances[VM.instance_id].message
        assert message == "ErrImagePull: new"


def namespace(cluster: ClusterRef, own_uid: str = "ns-uid", /, **labels: str | None) -> dict[str, Any]:
    shown = {key: value for key, value in {**cluster_labels(cluster), **labels}.items() if value is not None}
    created = "2026-11-23T10:00:00Z"
    return {"metadata": {"name": cluster.namespace, "uid": own_uid, "labels": shown, "creationTimestamp": created}}


@pytest.mark.parametrize(
    ("uid", "labels", "foreign"),
    [
        ("ns-uid", {}, False),
        ("ns-uid", {"cmp.io/cluster": None}, False),
        ("new-uid", {}, False),
        ("new-uid", {"cmp.io/cluster": "another"}, True),
        ("new-uid", {"cmp.io/installation": "another"}, True),
        ("new-uid", {"cmp.io/cluster": None, "cmp.io/installation": None}, True),
    ],
)
def test_whose_namespace(uid: str, labels: dict[str, str | None], foreign: bool) -> None:
    assert namespace_state(CLUSTER, namespace(CLUSTER, uid, **labels)).foreign is foreign


def test_what_holds_a_namespace_back_is_told() -> None:
    obj = namespace(CLUSTER)
    obj["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    conditions = [
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all discovered"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "x.example/holds in 1 resource"},
    ]
    state = namespace_state(CLUSTER, {**obj, "status": {"phase": "Terminating", "conditions": conditions}})
    assert (state.terminating, state.message) == (True, "x.example/holds in 1 resource")


def test_owned_namespaces_are_those_of_our_installation() -> None:
    other = replace(CLUSTER, installation_id="another", namespace="b-ns")
    unlabelled: dict[str, str | None] = {"cmp.io/cluster": None}
    nameless = namespace(replace(CLUSTER, namespace="c-ns"), **unlabelled)
    held = cast(Cache, Held(namespace(CLUSTER), namespace(other), nameless))
    (owned,) = owned_namespaces(CLUSTER.installation_id, held)
    assert (owned.cluster_id, owned.name, owned.uid) == (CLUSTER.cluster_id, "web-ns", "ns-uid")
    assert owned.created_at == datetime(2026, 11, 23, 10, tzinfo=UTC)


def node(name: str, ready: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def lease(node_name: str, age: float) -> dict[str, Any]:
    renewed = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata = {"name": f"cmp-node-agent-{node_name}", "namespace": "cmp-system"}
    return {"metadata": metadata, "spec": {"renewTime": renewed}}


def test_nodes_and_their_agents() -> None:
    nodes = cast(Cache, Held(node("up", "True"), node("down", "Unknown")))
    agents = cast(Cache, Held(lease("up", 5), lease("down", 41)))
    found = surroundings(nodes, agents)
    assert [found.node_ready(name) for name in ("up", "down", "gone")] == [True, False, False]
    assert [found.has_agent(name) for name in ("up", "down", "gone")] == [True, False, False]
    hidden = surroundings(cast(Cache, Held(absent="forbidden")), agents)
    assert hidden.node_ready("up") is None


def test_the_type_of_an_instance_is_on_its_label() -> None:
    observation = seen(None, Pod=[made(CONTAINER, **{"instance-type": InstanceType.VM.value})])
    assert observation.instances == {}


@pytest.mark.parametrize(
    ("nodes", "agents", "everywhere"),
    [
        ([node("a", "True"), node("b", "True")], [("a", 5), ("b", 5)], True),
        ([node("a", "True"), node("b", "True")], [("a", 5), ("b", 41)], False),
        ([node("a", "True"), node("b", "True")], [("a", 5)], False),
        ([node("a", "True"), node("b", "False")], [("a", 5)], True),
        ([node("a", "False")], [("a", 5)], False),
        ([], [], False),
    ],
)
def test_whether_every_node_has_an_agent(nodes: list[Any], agents: list[tuple[str, int]], everywhere: bool) -> None:
    """Agents by name and by how many seconds ago they said so, counted from now and not from when tests were found."""
    held = cast(Cache, Held(*(lease(*agent) for agent in agents)))
    assert agents_everywhere(cast(Cache, Held(*nodes)), held) is everywhere
    assert not agents_everywhere(cast(Cache, Held(*nodes, absent="forbidden")), held)


def test_on_which_nodes_there_are_agents() -> None:
    assert nodes_with_agent(cast(Cache, Held(lease("up", 5), lease("down", 41)))) == {"up"}


def test_the_pod_that_a_machine_moves_to_is_not_the_one_it_runs_in() -> None:
    """While it moves, its newest launcher is not yet its own; one that moved has just such a launcher and no other."""
    launcher = {"kubevirt.io": "virt-launcher"}
    runs_in = made(VM, "virt-launcher-a", created="2026-11-23T10:00:00Z", **launcher)
    moves_to = made(VM, "virt-launcher-b", created="2026-11-23T11:00:00Z", **launcher)
    moves_to["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = "uid-of-it"
    moves_to["status"] = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]}
    migration = made(VM, "uid-of")
    migration["metadata"]["uid"] = "uid-of-it"
    migration["status"] = {"phase": "Scheduling"}
    machine = made(VM)
    machine["status"] = {"printableStatus": "Running", "created": True}
    instance = made(VM)
    instance["status"] = {"phase": "Running"}
    names = {VM.instance_id: VM.name}
    observation = seen(
        names,
        Pod=[runs_in, moves_to],
        VirtualMachine=[machine],
        VirtualMachineInstance=[instance],
        VirtualMachineInstanceMigration=[migration],
    )
    found = observation.instances[VM.instance_id]
    assert found.status is InstanceStatus.RUNNING
    assert (found.migration.name, found.migration.state) == ("uid-of", "waiting")
    assert (found.migration.reason, found.migration.message) == ("unschedulable", "0/1 nodes")
    assert not observation.strangers


def test_a_migration_by_itself_is_no_instance() -> None:
    observation = seen({VM.instance_id: VM.name}, VirtualMachineInstanceMigration=[made(VM, "uid-of")])
    assert not observation.instances
    assert not observation.strangers
