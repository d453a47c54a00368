"""What the caches show of one cluster, read without a call, and the values that say so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from app.instance_types.values import (
    CLUSTER,
    INSTALLATION,
    INSTANCE,
    INSTANCE_TYPE,
    TARGET,
    ClusterRef,
    InstanceDriver,
    Observed,
    Surroundings,
)
from app.kube.cache import Cache
from app.models import InstanceType

LAUNCHER = ("kubevirt.io", "virt-launcher")
MOVES_FOR = "kubevirt.io/migrationJobUID"
AGENT_FRESH = timedelta(seconds=40)
AGENT_NAMESPACE = "cmp-system"
AGENT_PREFIX = "cmp-node-agent-"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """`foreign`: it has the name, but CMP did not make it. `message`: what Kubernetes says holds its end back."""

    uid: str
    terminating: bool = False
    foreign: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True)
class OwnedObject:
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class OwnedNamespace:
    cluster_id: str
    name: str
    uid: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ClusterObservation:
    """`instances` by instance id; one of which nothing exists is not in it.

    `strangers` carry our installation and cluster but are none of the instances asked for.
    """

    namespace: NamespaceState | None
    instances: Mapping[str, Observed]
    strangers: Sequence[OwnedObject]


@dataclass(slots=True)
class _Group:
    """The objects of one instance, by kind."""

    driver: InstanceDriver
    objects: dict[str, Object] = field(default_factory=dict)


def observe(
    cluster: ClusterRef,
    names: Mapping[str, str] | None,
    drivers: Mapping[InstanceType, InstanceDriver],
    caches: Mapping[str, Cache],
    around: Surroundings,
) -> ClusterObservation:
    """`names`: the object name of each instance id asked for; without it every instance id counts as asked for."""
    by_label: dict[str | None, InstanceDriver] = {kind.value: driver for kind, driver in drivers.items()}
    groups: dict[str, _Group] = {}
    strangers: list[OwnedObject] = []
    for kind, obj in _objects(cluster, drivers.values(), caches):
        labels = obj["metadata"].get("labels") or {}
        driver = by_label.get(labels.get(INSTANCE_TYPE))
        instance_id = labels.get(INSTANCE)
        main = driver is None or kind == driver.kind
        if driver is None or instance_id is None or not _expected(cluster, names, instance_id, obj, main=main):
            if main:
                strangers.append(_owned(kind, obj))
            continue
        group = groups.setdefault(instance_id, _Group(driver))
        place = TARGET if not main and MOVES_FOR in labels else kind
        held = group.objects.get(place)
        if held is None or _age(held) < _age(obj):
            group.objects[place] = obj
    return ClusterObservation(
        namespace=_namespace(cluster, caches["Namespace"]),
        instances={key: group.driver.status_of(group.objects, around) for key, group in groups.items() if _some(group)},
        strangers=strangers,
    )


def namespace_state(cluster: ClusterRef, obj: Object) -> NamespaceState:
    """Ours is what has the uid that we remember, or our installation's and this cluster's labels."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    marked = labels.get(INSTALLATION) == cluster.installation_id and labels.get(CLUSTER) == cluster.cluster_id
    return NamespaceState(
        uid=metadata["uid"],
        terminating=metadata.get("deletionTimestamp") is not None or _phase(obj) == "Terminating",
        foreign=not marked and metadata["uid"] != cluster.namespace_uid,
        message=_holding_back(obj),
    )


def owned_namespaces(installation_id: str, namespaces: Cache) -> list[OwnedNamespace]:
    found = []
    for obj in namespaces.all():
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        if labels.get(INSTALLATION) == installation_id and labels.get(CLUSTER):
            created = datetime.fromisoformat(metadata["creationTimestamp"])
            found.append(OwnedNamespace(labels[CLUSTER], metadata["name"], metadata["uid"], created))
    return found


def agents_everywhere(nodes: Cache, agents: Cache) -> bool:
    """Whether each node that takes Pods has a node agent. Not where nodes cannot be read: then nobody can say."""
    around = surroundings(nodes, agents)
    ready = [name for node in nodes.all() if around.node_ready(name := node["metadata"]["name"])]
    return bool(ready) and all(around.has_agent(name) for name in ready)


def own_users_everywhere(nodes: Cache) -> bool:
    """Whether each node that takes Pods says that it can give them users of their own."""
    ready = [node for node in nodes.all() if _is_ready(node)]
    return bool(ready) and all(_own_users(node) for node in ready)


def nodes_with_agent(agents: Cache) -> frozenset[str]:
    now = datetime.now(UTC)
    return frozenset(
        lease["metadata"]["name"].removeprefix(AGENT_PREFIX) for lease in agents.all() if _alive(lease, now)
    )


def surroundings(nodes: Cache, agents: Cache) -> Surroundings:
    """For one observation: a thousand Pods ask about the same few nodes."""
    now = datetime.now(UTC)

    @cache
    def node_ready(name: str) -> bool | None:
        if not nodes.synced or nodes.absent is not None:
            return None
        node = nodes.get(None, name)
        return node is not None and _is_ready(node)

    @cache
    def has_agent(node: str) -> bool:
        return _alive(agents.get(AGENT_NAMESPACE, AGENT_PREFIX + node), now)

    return Surroundings(now, node_ready, has_agent)


def _alive(lease: Object | None, now: datetime) -> bool:
    renewed = ((lease or {}).get("spec") or {}).get("renewTime")
    return renewed is not None and now - datetime.fromisoformat(renewed) < AGENT_FRESH


def _objects(
    cluster: ClusterRef, drivers: Iterable[InstanceDriver], caches: Mapping[str, Cache]
) -> Iterable[tuple[str, Object]]:
    for kind in dict.fromkeys(kind for driver in drivers for kind in driver.watches):
        for obj in caches[kind].group(cluster.cluster_id):
            yield kind, obj


def _expected(
    cluster: ClusterRef, names: Mapping[str, str] | None, instance_id: str, obj: Object, *, main: bool
) -> bool:
    metadata = obj["metadata"]
    if metadata.get("namespace") != cluster.namespace:
        return False
    if main and (metadata.get("labels") or {}).get(LAUNCHER[0]) == LAUNCHER[1]:
        return False
    if names is None or instance_id not in names:
        return names is None
    return not main or metadata["name"] == names[instance_id]


def _some(group: _Group) -> bool:
    """A launcher or a migration by itself is not an instance: it goes with the VMI that it belonged to."""
    return any(kind == group.driver.kind or kind in group.driver.reached[1:-1] for kind in group.objects)


def _owned(kind: str, obj: Object) -> OwnedObject:
    metadata = obj["metadata"]
    return OwnedObject(kind, metadata.get("namespace") or "", metadata["name"], metadata["uid"])


def _namespace(cluster: ClusterRef, namespaces: Cache) -> NamespaceState | None:
    obj = namespaces.get(None, cluster.namespace)
    return None if obj is None else namespace_state(cluster, obj)


def _phase(obj: Object) -> str:
    return str((obj.get("status") or {}).get("phase") or "")


def _holding_back(obj: Object) -> str | None:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    said = [str(item.get("message") or item.get("reason")) for item in conditions if item.get("status") == "True"]
    return "; ".join(said)[:500] or None


def _is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _own_users(node: Object) -> bool:
    """By the handler without a name, which is that of Pods without a RuntimeClass."""
    handlers = (node.get("status") or {}).get("runtimeHandlers") or ()
    return any(not each.get("name") and (each.get("features") or {}).get("userNamespaces") for each in handlers)


def _age(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return str(metadata.get("creationTimestamp") or ""), metadata["name"]
