"""list: pages, selectors, old versions, and the forms in which a list can be asked for."""

import pytest

from tests.contract.cluster_api import ClusterApi, Json, Namespace, config_map, machine, pod

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def names(found: Json) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"] if item["metadata"]["name"] != "kube-root-ca.crt"]


@pytest.fixture
def maps(cluster_api: ClusterApi, namespace: Namespace) -> str:
    """The path of a collection that holds a b c d, with labels."""
    path = namespace.of("configmaps")
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2", "y": ""}), ("c", {"y": "1"}), ("d", {})):
        cluster_api.post(path, config_map(name, labels=labels)).ok(201)
    return path


def test_a_list_of_a_built_in_kind(cluster_api: ClusterApi, maps: str) -> None:
    found = cluster_api.get(maps).ok()
    assert found["kind"] == "ConfigMapList"
    assert found["apiVersion"] == "v1"
    assert int(found["metadata"]["resourceVersion"]) > 0
    assert names(found) == ["a", "b", "c", "d"]
    assert all("kind" not in item and "apiVersion" not in item for item in found["items"])


def test_a_list_of_a_custom_kind(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.machines(), machine("a", "Halted")).ok(201)
    found = cluster_api.get(namespace.machines()).ok()
    assert found["kind"] == "VirtualMachineList"
    assert found["apiVersion"] == "kubevirt.io/v1"
    assert found["metadata"]["continue"] == ""
    assert [(item["kind"], item["apiVersion"]) for item in found["items"]] == [("VirtualMachine", "kubevirt.io/v1")]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("x=1", "a"),
        ("x==1", "a"),
        ("x!=1", "bcd"),
        ("x", "ab"),
        ("!x", "cd"),
        ("x in (1,2)", "ab"),
        ("x notin (1)", "bcd"),
        ("x,y", "b"),
        ("y=", "b"),
        ("x in (1, 2),!y", "a"),
        ("", "abcd"),
    ],
)
def test_label_selectors(cluster_api: ClusterApi, maps: str, selector: str, expected: str) -> None:
    answer = cluster_api.http.get(maps, params={"labelSelector": selector})
    assert names(answer.json()) == list(expected)


@pytest.mark.parametrize("selector", ["x in (1", "a b", "=1", "x in 1", "-x", "x=bad value"])
def test_selectors_that_are_none(cluster_api: ClusterApi, maps: str, selector: str) -> None:
    answer = cluster_api.http.get(maps, params={"labelSelector": selector})
    assert answer.status_code == 400
    assert answer.json()["reason"] == "BadRequest"


def test_field_selectors(cluster_api: ClusterApi, namespace: Namespace, maps: str) -> None:
    for selector, expected in (("metadata.name=b", "b"), ("metadata.name!=b", "acd"), ("metadata.namespace=no", "")):
        answer = cluster_api.http.get(maps, params={"fieldSelector": selector})
        assert names(answer.json()) == list(expected)
    everywhere = cluster_api.get("/api/v1/configmaps?fieldSelector=metadata.name%3Db").ok()
    assert namespace.name in [item["metadata"]["namespace"] for item in everywhere["items"]]


def test_field_selectors_of_pods(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods")
    cluster_api.post(path, pod("a")).ok(201)
    cluster_api.post(path, pod("b", cpu="999999")).ok(201)
    cluster_api.until(f"{path}/a", lambda obj: obj["status"]["phase"] == "Running")
    node = cluster_api.get(f"{path}/a").ok()["spec"]["nodeName"]
    for selector, expected in (("status.phase=Running", "a"), ("status.phase!=Running", "b"), ("spec.nodeName=", "b")):
        assert names(cluster_api.http.get(path, params={"fieldSelector": selector}).json()) == list(expected)
    assert names(cluster_api.http.get(path, params={"fieldSelector": f"spec.nodeName={node}"}).json()) == ["a"]


@pytest.mark.parametrize(
    ("plural", "selector", "message"),
    [
        ("pods", "spec.x=1", "field label not supported: spec.x"),
        (
            "configmaps",
            "spec.x=1",
            '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("pods", "nonsense", "invalid selector: 'nonsense'; can't understand 'nonsense'"),
    ],
)
def test_fields_that_cannot_be_selected(
    cluster_api: ClusterApi, namespace: Namespace, plural: str, selector: str, message: str
) -> None:
    answer = cluster_api.http.get(namespace.of(plural), params={"fieldSelector": selector})
    assert answer.status_code == 400
    assert answer.json()["message"] == message


def test_pages_are_of_one_moment(cluster_api: ClusterApi, maps: str) -> None:
    first = cluster_api.get(f"{maps}?limit=2").ok()
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    cluster_api.delete(f"{maps}/d").ok(200)
    cluster_api.patch(f"{maps}/c", {"data": {"k": "changed"}}).ok(200)
    cluster_api.post(maps, config_map("e")).ok(201)
    second = cluster_api.get(f"{maps}?limit=500&continue={first['metadata']['continue']}").ok()
    assert names(second) == ["c", "d"]
    assert "data" not in second["items"][0]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert not second["metadata"].get("continue")
    assert names(cluster_api.get(maps).ok()) == ["a", "b", "c", "e"]


def test_pages_with_a_selector_do_not_count(cluster_api: ClusterApi, maps: str) -> None:
    first = cluster_api.get(f"{maps}?limit=1&labelSelector=x").ok()
    assert names(first) == ["a"]
    assert "remainingItemCount" not in first["metadata"]
    second = cluster_api.get(f"{maps}?limit=1&labelSelector=x&continue={first['metadata']['continue']}").ok()
    assert names(second) == ["b"]


def test_old_versions(cluster_api: ClusterApi, maps: str) -> None:
    before = cluster_api.get(maps).ok()
    cluster_api.delete(f"{maps}/a").ok(200)
    revision = before["metadata"]["resourceVersion"]
    exact = cluster_api.get(f"{maps}?resourceVersion={revision}&resourceVersionMatch=Exact").ok()
    assert exact["items"] == before["items"]
    newer = cluster_api.get(f"{maps}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan").ok()
    # Not older than before the deletion: a server whose cache lags a moment may still show what was there then.
    assert names(newer) in (["b", "c", "d"], ["a", "b", "c", "d"])
    assert names(cluster_api.get(f"{maps}?resourceVersion=0").ok())[-1] == "d"


def test_versions_to_come(cluster_api: ClusterApi, maps: str) -> None:
    answer = cluster_api.get(f"{maps}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan")
    status = answer.refused(504, "Timeout")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=x", 400),
        ("continue=x", 400),
        ("resourceVersion=x", 400),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=1&resourceVersionMatch=Some", 422),
    ],
)
def test_options_that_are_none(cluster_api: ClusterApi, maps: str, query: str, code: int) -> None:
    cluster_api.get(f"{maps}?{query}").refused(code, "BadRequest" if code == 400 else "Invalid")


def test_metadata_only(cluster_api: ClusterApi, maps: str) -> None:
    found = cluster_api.get(f"{maps}?labelSelector=x", accept=PARTIAL).ok()
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["apiVersion"] == "meta.k8s.io/v1"
    assert names(found) == ["a", "b"]
    item = found["items"][0]
    assert set(item) <= {"kind", "apiVersion", "metadata"}
    assert item["metadata"]["labels"] == {"x": "1"}


def test_tables(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("pods"), pod("a", cpu="999999")).ok(201)
    cluster_api.post(namespace.machines(), machine("a", "Halted")).ok(201)
    shown = {
        namespace.of("pods"): ["Name", "Ready", "Status", "Restarts", "Age"],
        namespace.machines(): ["Name", "Age", "Status", "Ready"],
        "/api/v1/namespaces": ["Name", "Status", "Age"],
        namespace.of("configmaps"): ["Name", "Data", "Age"],
    }
    for path, expected in shown.items():
        found = cluster_api.get(path, accept=TABLE).ok()
        assert found["kind"] == "Table"
        columns = [column["name"] for column in found["columnDefinitions"] if column["priority"] == 0]
        assert columns == expected
        assert all(len(row["cells"]) == len(found["columnDefinitions"]) for row in found["rows"])
        assert all(row["object"]["kind"] == "PartialObjectMetadata" for row in found["rows"])
    row = cluster_api.get(namespace.of("pods"), accept=TABLE).ok()["rows"][0]["cells"]
    assert row[:4] == ["a", "0/1", "Pending", "0"]
