"""What a client asks before it does anything: versions, health, groups, resources, schemas."""

import pytest

from tests.contract.cluster_api import ClusterApi, Json

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GROUPS = ("apps", "coordination.k8s.io", "networking.k8s.io", "authorization.k8s.io", "kubevirt.io")


def test_version(cluster_api: ClusterApi) -> None:
    found = cluster_api.get("/version").ok()
    assert found["major"] == "1"
    assert found["minor"] == "36"
    assert found["gitVersion"].startswith("v1.36.")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health(cluster_api: ClusterApi, path: str) -> None:
    assert cluster_api.get(path).text == "ok"


def test_groups(cluster_api: ClusterApi) -> None:
    assert cluster_api.get("/api").ok()["versions"] == ["v1"]
    found = cluster_api.get("/apis").ok()
    assert found["kind"] == "APIGroupList"
    assert set(GROUPS) <= {group["name"] for group in found["groups"]}
    group = cluster_api.get("/apis/kubevirt.io").ok()
    assert group["preferredVersion"] == {"groupVersion": "kubevirt.io/v1", "version": "v1"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1", {"namespaces": False, "pods": True, "pods/status": True, "pods/log": True, "pods/eviction": True}),
        ("/api/v1", {"services": True, "secrets": True, "configmaps": True, "events": True, "nodes": False}),
        ("/api/v1", {"serviceaccounts": True, "resourcequotas": True, "limitranges": True}),
        ("/apis/apps/v1", {"daemonsets": True, "daemonsets/status": True}),
        ("/apis/coordination.k8s.io/v1", {"leases": True}),
        ("/apis/networking.k8s.io/v1", {"networkpolicies": True}),
        ("/apis/kubevirt.io/v1", {"virtualmachines": True, "virtualmachines/status": True}),
        ("/apis/kubevirt.io/v1", {"virtualmachineinstances": True}),
    ],
)
def test_resources(cluster_api: ClusterApi, path: str, expected: dict[str, bool]) -> None:
    found = cluster_api.get(path).ok()
    assert found["kind"] == "APIResourceList"
    known = {entry["name"]: entry for entry in found["resources"]}
    assert {name: known[name]["namespaced"] for name in expected} == expected


def test_how_kubectl_may_call_them(cluster_api: ClusterApi) -> None:
    known = {entry["name"]: entry for entry in cluster_api.get("/api/v1").ok()["resources"]}
    assert known["pods"]["shortNames"] == ["po"]
    assert known["pods"]["singularName"] == "pod"
    assert known["pods"]["kind"] == "Pod"
    assert set(known["pods"]["verbs"]) == {
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    }  # fmt: skip
    assert "deletecollection" not in known["namespaces"]["verbs"]
    assert known["pods/eviction"]["kind"] == "Eviction"


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_everything_in_one_answer(cluster_api: ClusterApi, path: str) -> None:
    answer = cluster_api.get(path, accept=AGGREGATED)
    found = answer.ok()
    assert answer.content_type.replace(" ", "").startswith(AGGREGATED)
    assert found["kind"] == "APIGroupDiscoveryList"
    assert found["apiVersion"] == "apidiscovery.k8s.io/v2"
    resources = {
        (group["metadata"].get("name", ""), entry["resource"]): entry
        for group in found["items"]
        for version in group["versions"]
        if version["version"] == "v1"
        for entry in version["resources"]
    }
    entry: Json = resources["", "pods"] if path == "/api" else resources["kubevirt.io", "virtualmachines"]
    assert entry["scope"] == "Namespaced"
    assert entry["responseKind"]["kind"] in ("Pod", "VirtualMachine")
    assert "status" in [sub["subresource"] for sub in entry["subresources"]]


def test_schemas(cluster_api: ClusterApi) -> None:
    paths = cluster_api.get("/openapi/v3", accept="application/json").ok()["paths"]
    for place, kind in (("api/v1", "Pod"), ("apis/kubevirt.io/v1", "VirtualMachine")):
        document = cluster_api.get(paths[place]["serverRelativeURL"], accept="application/json").ok()
        kinds = [
            named["kind"]
            for schema in document["components"]["schemas"].values()
            for named in schema.get("x-kubernetes-group-version-kind", [])
        ]
        assert kind in kinds
    assert cluster_api.get("/openapi/v2", accept="application/json").ok()["swagger"] == "2.0"
