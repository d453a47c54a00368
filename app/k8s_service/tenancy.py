"""What stands in each tenant namespace beside the instances: who may talk to whom, how much fits, the account of its
Pods. Pure: values in, manifests out.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.instance_types.values import (
    INSTALLATION,
    OWNER,
    ClusterRef,
    cluster_labels,
    cpu_quantity,
    memory_quantity,
)
from app.rules import volumes

# https://kubernetes.io/docs/concepts/security/pod-security-admission/
_POD_SECURITY = "pod-security.kubernetes.io"
TENANT = "cmp.io/tenant"
QUOTA = "cmp"

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_DNS = "kube-system"
_VIRT_API = {"kubevirt.io": "virt-api"}

# KubeVirt's own limit on migrations under way in a whole cluster, each with a second launcher.
# https://kubevirt.io/user-guide/compute/live_migration/
_MOVES = 5
# What a launcher needs beyond its guest: page tables, qemu and KubeVirt's own processes. It differs from one release to
# the next; 2 CPUs and 2 GiB are 280 MiB in KubeVirt 1.9.
_LAUNCHER_MEMORY, _LAUNCHER_MEMORY_PER_CPU, _LAUNCHER_SHARE = 300, 32, 0.15
_LAUNCHER_CPU = 100
# Of whatever else may run there for a while, such as an importer of the Containerized Data Importer.
_HELPER = {"cpu": "10m", "memory": "16Mi"}
# An import needs scratch space of the disk's size, and a claim that is renamed into the disk's.
_CLAIMS_OF_AN_IMPORT = 3


@dataclass(frozen=True, slots=True)
class Isolation:
    """How far tenants are kept apart; the settings of these names say what each means."""

    pod_security: Literal["baseline", "restricted"] = "baseline"
    user_namespaces: Literal["auto", "on", "off"] = "auto"
    egress_cidrs: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    egress_except: tuple[str, ...] = ()
    ingress_namespaces: tuple[str, ...] = ()
    kubevirt_namespace: str = "kubevirt"


@dataclass(frozen=True, slots=True)
class Room:
    """What the instances of a cluster need: how many there are, and the size of each, in millicores and MiB.

    `launched`: a Pod that is not ours runs each, and a second one while it moves. `overhead`: what its runtime takes,
    per instance. `settled`: nothing runs any more that is larger than this.
    """

    count: int
    cpu: int
    memory: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    launched: bool = False
    overhead: tuple[int, int] = (0, 0)
    settled: bool = True


def namespace_labels(cluster: ClusterRef, isolation: Isolation) -> dict[str, str]:
    levels = {"enforce": isolation.pod_security, "warn": "restricted", "audit": "restricted"}
    said = {f"{_POD_SECURITY}/{mode}": level for mode, level in levels.items()}
    versions = {f"{_POD_SECURITY}/{mode}-version": "latest" for mode in levels}
    return cluster_labels(cluster) | said | versions | {TENANT: "true"}


def furniture(cluster: ClusterRef, room: Room, isolation: Isolation) -> list[dict[str, Any]]:
    """The account first: Pods need it. Then what Pods may not be without."""
    return [
        _object(cluster, "v1", "ServiceAccount", "default", automountServiceAccountToken=False),
        *_network(cluster, room, isolation),
        _object(cluster, "v1", "LimitRange", "cmp", spec={"limits": [_limit(room)]}),
        _object(cluster, "v1", "ResourceQuota", QUOTA, spec={"hard": _hard(room)}),
    ]


def _network(cluster: ClusterRef, room: Room, isolation: Isolation) -> list[dict[str, Any]]:
    """Nothing, and then what instances need. The kubelet's probes come from the node, which is always let in."""
    kin = {"namespaceSelector": {"matchLabels": {INSTALLATION: cluster.installation_id, OWNER: cluster.owner_id}}}
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    found = [
        _policy(cluster, "cmp-deny", ingress=[], egress=[]),
        _policy(cluster, "cmp-dns", egress=[{"to": [_namespace(_DNS)], "ports": dns}]),
        _policy(cluster, "cmp-cluster", ingress=[{"from": [_EVERY_POD]}], egress=[{"to": [_EVERY_POD]}]),
        _policy(cluster, "cmp-owner", egress=[{"to": [kin]}]),
    ]
    if internet := _internet(isolation):
        found.append(_policy(cluster, "cmp-internet", egress=[{"to": internet}]))
    if ports := [{"protocol": p["protocol"], "port": p["port"]} for p in room.settings.get("ports") or ()]:
        callers = [kin, *(_namespace(name) for name in isolation.ingress_namespaces)]
        found.append(_policy(cluster, "cmp-ports", ingress=[{"from": callers, "ports": ports}]))
    if room.launched:
        # Ports of machines are reached through virt-api, which dials them.
        api = _namespace(isolation.kubevirt_namespace) | {"podSelector": {"matchLabels": _VIRT_API}}
        found.append(_policy(cluster, "cmp-kubevirt", ingress=[{"from": [api]}]))
    return found


_EVERY_POD: Mapping[str, Any] = {"podSelector": {}}


def _policy(cluster: ClusterRef, name: str, **rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds = [kind for kind in ("Ingress", "Egress") if kind.lower() in rules]
    spec = {"podSelector": {}, "policyTypes": kinds, **rules}
    return _object(cluster, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}


def _internet(isolation: Isolation) -> list[dict[str, Any]]:
    """Each without those exceptions that lie in it. A range within a larger exception was named for a reason."""
    found = []
    exceptions = [ipaddress.ip_network(text) for text in isolation.egress_except]
    for cidr in map(ipaddress.ip_network, isolation.egress_cidrs):
        inside = [each for each in exceptions if each.version == cidr.version and _within(each, cidr)]
        if cidr in inside:
            continue
        found.append({"ipBlock": {"cidr": str(cidr), **({"except": [str(each) for each in inside]} if inside else {})}})
    return found


def _within(inner: Any, outer: Any) -> bool:
    return bool(inner.subnet_of(outer))


def _limit(room: Room) -> dict[str, Any]:
    """A launcher sets no limits of its own, and any that it was given would end its guest."""
    if room.launched:
        return {"type": "Container", "defaultRequest": dict(_HELPER)}
    size = {"cpu": cpu_quantity(room.cpu), "memory": memory_quantity(room.memory)}
    return {"type": "Container", "max": dict(size), "default": dict(size), "defaultRequest": dict(size)}


def _hard(room: Room) -> dict[str, str]:
    """Of Pods, all that are wished, at their sizes with what runs them. The account's quota is the first wall; here it
    must never stand in the way of what that let through.
    """
    cpu, memory = room.cpu + room.overhead[0], room.memory + room.overhead[1]
    count = room.count
    if room.launched:
        cores = -(-room.cpu // 1000)
        memory += _LAUNCHER_MEMORY + _LAUNCHER_MEMORY_PER_CPU * cores + int(room.memory * _LAUNCHER_SHARE)
        cpu += _LAUNCHER_CPU
        count += min(room.count, _MOVES)
    claims = volumes.claims(room.settings)
    imported = (room.settings.get("root_disk") or {}).get("type") == "persistent"
    copies = _CLAIMS_OF_AN_IMPORT if imported else 1
    return {
        "requests.cpu": cpu_quantity(cpu * count),
        "requests.memory": memory_quantity(memory * count),
        "pods": str(count + (room.count if imported else 0)),
        "requests.storage": memory_quantity(volumes.storage(room.settings) * room.count * copies),
        "persistentvolumeclaims": str((len(claims) + imported) * room.count * copies),
        "services": "1",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        "secrets": "8",
    }


def _object(cluster: ClusterRef, api_version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": cluster.namespace, "labels": cluster_labels(cluster)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
