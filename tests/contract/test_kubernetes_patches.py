"""The three kinds of patch that are not apply."""

from tests.contract.cluster_api import JSON_PATCH, STRATEGIC, ClusterApi, Namespace, config_map, machine, pod


def test_merge_patch(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1", "j": "2"}, labels={"x": "1"})).ok(201)
    changed = cluster_api.patch(path, {"data": {"k": None, "z": "3"}, "metadata": {"labels": None}}).ok(200)
    assert changed["data"] == {"j": "2", "z": "3"}
    assert "labels" not in changed["metadata"]


def test_merge_patch_with_a_version_is_compare_and_set(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    made = cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    revision = made["metadata"]["resourceVersion"]
    cluster_api.patch(path, {"metadata": {"resourceVersion": revision}, "data": {"k": "1"}}).ok(200)
    answer = cluster_api.patch(path, {"metadata": {"resourceVersion": revision}, "data": {"k": "2"}})
    answer.refused(409, "Conflict")


def test_merge_patch_of_a_uid(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    status = cluster_api.patch(namespace.of("configmaps", "a"), {"metadata": {"uid": "x"}}).refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "metadata.uid"


def test_json_patch(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1"}, labels={"x/y": "1"})).ok(201)
    operations = [
        {"op": "test", "path": "/data/k", "value": "1"},
        {"op": "replace", "path": "/data/k", "value": "2"},
        {"op": "add", "path": "/data/z", "value": "3"},
        {"op": "copy", "from": "/data/z", "path": "/data/y"},
        {"op": "move", "from": "/data/z", "path": "/data/w"},
        {"op": "remove", "path": "/metadata/labels/x~1y"},
    ]
    changed = cluster_api.patch(path, operations, JSON_PATCH).ok(200)
    assert changed["data"] == {"k": "2", "y": "3", "w": "3"}
    assert "labels" not in changed["metadata"]


def test_json_patch_that_fails_changes_nothing(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    made = cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1"})).ok(201)
    failing = [{"op": "add", "path": "/data/z", "value": "3"}, {"op": "test", "path": "/data/k", "value": "9"}]
    status = cluster_api.patch(path, failing, JSON_PATCH).refused(422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"
    cluster_api.patch(path, [{"op": "remove", "path": "/data/no"}], JSON_PATCH).refused(422, "Invalid")
    cluster_api.patch(path, [{"op": "add", "path": "/no/no", "value": 1}], JSON_PATCH).refused(422, "Invalid")
    assert cluster_api.get(path).ok() == made


def test_strategic_merge_patch_merges_lists_by_key(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    cluster_api.post(namespace.of("pods"), pod("a")).ok(201)
    change = {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}, "metadata": {"labels": {"x": "1"}}}
    changed = cluster_api.patch(path, change, STRATEGIC).ok(200)
    assert [container["image"] for container in changed["spec"]["containers"]] == ["nginx:2"]
    assert changed["spec"]["containers"][0]["terminationMessagePath"] == "/dev/termination-log"
    assert changed["metadata"]["generation"] == 2


def test_custom_kinds_know_no_strategic_merge(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.machines(), machine("a", "Halted")).ok(201)
    answer = cluster_api.patch(namespace.machines("a"), {"metadata": {"labels": {"x": "1"}}}, STRATEGIC)
    answer.refused(415, "UnsupportedMediaType")


def test_patches_that_cannot_be_read(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    cluster_api.patch(path, [1]).refused(400, "BadRequest")
    cluster_api.patch(path, {"data": {}}, "application/json").refused(415, "UnsupportedMediaType")
    cluster_api.patch(f"{path}?force=true", {"data": {}}).refused(422, "Invalid")
