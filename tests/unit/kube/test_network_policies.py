"""What the NetworkPolicies of tenants mean, by an evaluator that follows Kubernetes' own words and nothing of ours.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import ipaddress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.k8s_service import Isolation, Room, tenancy
from app.settings import Settings
from app.worker import isolation_of
from tests.unit.instance_types.examples import CLUSTER

ROOM = Room(2, 100, 64, settings={"ports": [{"port": 80, "protocol": "TCP", "name": None}]})
OTHERS = replace(CLUSTER, cluster_id="c-2", owner_id="o-2", cluster_name="api", namespace="api-ns")
SISTER = replace(CLUSTER, cluster_id="c-3", cluster_name="db", namespace="db-ns")
ISOLATION = replace(isolation_of(Settings()), ingress_namespaces=("ingress",))
NAMESPACES = {
    each.namespace: tenancy.namespace_labels(each, ISOLATION) | {"kubernetes.io/metadata.name": each.namespace}
    for each in (CLUSTER, OTHERS, SISTER)
} | {name: {"kubernetes.io/metadata.name": name} for name in ("kube-system", "kubevirt", "ingress", "default")}


@dataclass(frozen=True)
class End:
    """A Pod in a namespace, or an address outside of any."""

    namespace: str | None = None
    address: str = "10.1.2.3"
    labels: tuple[tuple[str, str], ...] = ()


def policies(isolation: Isolation = ISOLATION, *, launched: bool = False) -> dict[str, list[dict[str, Any]]]:
    return {
        each.namespace: [
            body
            for body in tenancy.furniture(each, replace(ROOM, launched=launched), isolation)
            if body["kind"] == "NetworkPolicy"
        ]
        for each in (CLUSTER, OTHERS, SISTER)
    }


def allowed(source: End, target: End, port: int, protocol: str = "TCP", **how: Any) -> bool:
    """Both ends must let it pass; an end that no policy selects for a direction lets all pass."""
    known = policies(**how)
    sides = (("Egress", "egress", "to", source, target), ("Ingress", "ingress", "from", target, source))
    for kind, rules, peers, here, there in sides:
        selecting = [p["spec"] for p in known.get(here.namespace or "", []) if kind in p["spec"]["policyTypes"]]
        assert all(spec["podSelector"] == {} for spec in selecting)
        if selecting and not any(
            _passes(rule, peers, here, there, port, protocol) for spec in selecting for rule in spec.get(rules) or ()
        ):
            return False
    return True


def _passes(rule: dict[str, Any], peers: str, here: End, there: End, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    if ports and not any(each["port"] == port and each.get("protocol", "TCP") == protocol for each in ports):
        return False
    return not rule.get(peers) or any(_is(peer, here, there) for peer in rule[peers])


def _is(peer: dict[str, Any], here: End, there: End) -> bool:
    if block := peer.get("ipBlock"):
        address = ipaddress.ip_address(there.address)
        inside = [ipaddress.ip_network(text) for text in (block["cidr"], *block.get("except", ()))]
        return address in inside[0] and not any(address in each for each in inside[1:])
    if there.namespace is None:
        return False
    spaces = peer.get("namespaceSelector")
    if spaces is None and there.namespace != here.namespace:
        return False
    wanted = (spaces or {}).get("matchLabels", {}).items()
    pods = (peer.get("podSelector") or {}).get("matchLabels", {}).items()
    return bool(wanted <= NAMESPACES[there.namespace].items() and pods <= dict(there.labels).items())


MINE, THEIRS, KIN = End(CLUSTER.namespace), End(OTHERS.namespace), End(SISTER.namespace)


@pytest.mark.parametrize(
    ("source", "target", "port", "passes"),
    [
        (MINE, MINE, 5432, True),
        (MINE, THEIRS, 80, False),
        (THEIRS, MINE, 80, False),
        (THEIRS, MINE, 53, False),
        (KIN, MINE, 80, True),
        (KIN, MINE, 81, False),
        (End("ingress"), MINE, 80, True),
        (End("ingress"), MINE, 22, False),
        (End("default"), MINE, 80, False),
        (End("kubevirt", labels=(("kubevirt.io", "virt-api"),)), MINE, 22, False),
        (End(address="203.0.113.9"), MINE, 80, False),
        (MINE, End("kube-system"), 53, True),
        (MINE, End("kube-system"), 443, False),
        (MINE, End("default"), 80, False),
        (MINE, End(address="203.0.113.9"), 443, True),
        (MINE, End(address="2606:4700::1"), 443, True),
        (MINE, End(address="169.254.169.254"), 80, False),
        (MINE, End(address="10.0.0.1"), 6443, False),
        (MINE, End(address="192.168.1.1"), 22, False),
        (MINE, End(address="100.64.0.1"), 22, False),
        (MINE, End(address="fd00::1"), 22, False),
        (MINE, End(address="64:ff9b::a9fe:a9fe"), 80, False),
    ],
)
def test_who_reaches_whom(source: End, target: End, port: int, passes: bool) -> None:
    assert allowed(source, target, port) is passes


def test_the_ports_of_machines_are_reached_through_virt_api_only() -> None:
    api, other = End("kubevirt", labels=(("kubevirt.io", "virt-api"),)), End("kubevirt")
    assert allowed(api, MINE, 22, launched=True)
    assert not allowed(other, MINE, 22, launched=True)


def test_nothing_goes_out_where_no_range_is_named() -> None:
    assert not allowed(MINE, End(address="203.0.113.9"), 443, isolation=replace(ISOLATION, egress_cidrs=()))


def test_an_exception_that_covers_a_range_takes_it_away() -> None:
    narrow = replace(ISOLATION, egress_cidrs=("203.0.113.0/24",), egress_except=("203.0.113.0/24",))
    assert not allowed(MINE, End(address="203.0.113.9"), 443, isolation=narrow)
    one = replace(ISOLATION, egress_cidrs=("203.0.113.9/32",), egress_except=("203.0.113.0/24",))
    assert allowed(MINE, End(address="203.0.113.9"), 443, isolation=one), "the smaller range was named for a reason"


def test_a_quota_has_room_for_launchers_and_moves() -> None:
    def hard(room: Room) -> dict[str, str]:
        found = tenancy.furniture(CLUSTER, room, ISOLATION)
        return next(dict(body["spec"]["hard"]) for body in found if body["kind"] == "ResourceQuota")

    plain, machines = hard(Room(2, 500, 2048)), hard(Room(2, 2000, 2048, launched=True))
    assert (plain["requests.cpu"], plain["requests.memory"], plain["pods"]) == ("1", "4096Mi", "2")
    assert machines["pods"] == "4", "two, and both of them a second time while they move"
    assert int(machines["requests.memory"].removesuffix("Mi")) >= 4 * (2048 + 280)
    disk = {"root_disk": {"type": "persistent", "size": 100, "storage_class": None}}
    assert hard(Room(2, 2000, 2048, settings=disk, launched=True))["requests.storage"] == "600Mi"
