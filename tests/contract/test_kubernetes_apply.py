"""Server-side apply: who owns what, what a manager drops, and who is in whose way."""

from tests.contract.cluster_api import ClusterApi, Json, Namespace, config_map, machine, pod


def owners(obj: Json) -> dict[tuple[str, str], Json]:
    entries = obj["metadata"].get("managedFields") or []
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def test_apply_creates_what_is_missing(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = config_map("a", {"k": "1"}, labels={"x": "1"})
    made = cluster_api.apply(namespace.of("configmaps", "a"), body, "one").ok(201)
    assert made["data"] == {"k": "1"}
    assert owners(made) == {("one", "Apply"): {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}}
    again = cluster_api.apply(namespace.of("configmaps", "a"), body, "one").ok(200)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_apply_removes_what_its_manager_dropped(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.apply(path, config_map("a", {"k": "1", "j": "2"}, labels={"x": "1", "y": "2"}), "one").ok(201)
    cluster_api.patch(path, {"data": {"other": "3"}}).ok(200)
    changed = cluster_api.apply(path, config_map("a", {"k": "1"}, labels={"y": "2"}), "one").ok(200)
    assert changed["data"] == {"k": "1", "other": "3"}
    assert changed["metadata"]["labels"] == {"y": "2"}


def test_what_two_managers_own_stays_until_both_drop_it(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.apply(path, config_map("a", {"k": "1", "j": "2"}), "one").ok(201)
    cluster_api.apply(path, config_map("a", {"k": "1"}), "two").ok(200)
    assert cluster_api.apply(path, config_map("a"), "one").ok(200)["data"] == {"k": "1"}
    assert cluster_api.apply(path, config_map("a"), "two").ok(200).get("data", {}) == {}


def test_conflict_names_the_owner_and_the_field(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.apply(path, config_map("a", {"k": "1"}), "one").ok(201)
    status = cluster_api.apply(path, config_map("a", {"k": "2"}), "two").refused(409, "Conflict")
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]
    assert cluster_api.get(path).ok()["data"] == {"k": "1"}


def test_several_conflicts_are_listed(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1", "j": "1"})).ok(201)
    status = cluster_api.apply(path, config_map("a", {"k": "2", "j": "2"}), "two").refused(409, "Conflict")
    expected = 'Apply failed with 2 conflicts: conflicts with "contract" using v1:\n- .data.j\n- .data.k'
    assert status["message"] == expected


def test_force_takes_the_field_over(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.apply(path, config_map("a", {"k": "1"}, labels={"x": "1"}), "one").ok(201)
    changed = cluster_api.apply(path, config_map("a", {"k": "2"}), "two", force=True).ok(200)
    assert changed["data"] == {"k": "2"}
    assert owners(changed) == {
        ("one", "Apply"): {"f:metadata": {"f:labels": {"f:x": {}}}},
        ("two", "Apply"): {"f:data": {"f:k": {}}},
    }
    cluster_api.apply(path, config_map("a", {"k": "1"}), "one").refused(409, "Conflict")


def test_an_update_takes_fields_from_an_applier(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.apply(path, config_map("a", {"k": "1"}), "one").ok(201)
    cluster_api.patch(path, {"data": {"k": "2"}}).ok(200)
    status = cluster_api.apply(path, config_map("a", {"k": "1"}), "one").refused(409, "Conflict")
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "contract" using v1: .data.k'
    assert cluster_api.apply(path, config_map("a", {"k": "1"}), "one", force=True).ok(200)["data"] == {"k": "1"}


def test_apply_of_a_pod_is_stable(cluster_api: ClusterApi, namespace: Namespace) -> None:
    """Defaults, quantities in other words and lists with keys must not make a second apply a change."""
    body = pod("a", cpu="1000m", memory="1024Mi", labels={"managed-by": "cmp"})
    body["spec"]["containers"][0] |= {
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    }
    path = namespace.of("pods", "a")
    made = cluster_api.apply(path, body, force=True).ok(201)
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    spec = cluster_api.apply(path, body, force=True).ok(200)["spec"]
    assert {key: spec[key] for key in made["spec"]} == made["spec"]
    body["metadata"]["labels"] = {"managed-by": "cmp", "new": "1"}
    changed = cluster_api.apply(path, body, force=True).ok(200)
    assert changed["metadata"]["labels"] == {"managed-by": "cmp", "new": "1"}
    assert changed["metadata"]["generation"] == 1


def test_apply_of_a_custom_kind_replaces_lists(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.machines("a")
    made = cluster_api.apply(path, machine("a", "Halted"), force=True).ok(201)
    assert made["metadata"]["generation"] == 1
    body = machine("a", "Halted")
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "root", "containerDisk": {"image": "example/disk:2"}}]
    changed = cluster_api.apply(path, body, force=True).ok(200)
    assert changed["spec"]["template"]["spec"]["volumes"] == body["spec"]["template"]["spec"]["volumes"]
    assert changed["metadata"]["generation"] == 2


def test_apply_that_cannot_be(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    body = config_map("a", {"k": "1"})
    status = cluster_api.patch(path, body, "application/apply-patch+yaml").refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "fieldManager"
    cluster_api.apply(path, {"metadata": {"name": "a"}}).refused(400, "BadRequest")
    stranger = config_map("a", uid="00000000-0000-4000-8000-000000000000")
    cluster_api.apply(path, stranger).refused(409, "Conflict")
    cluster_api.apply(path, body).ok(201)
    cluster_api.apply(path, stranger).refused(422, "Invalid")
    cluster_api.apply(path, config_map("a", resourceVersion="1")).refused(409, "Conflict")


def test_apply_with_the_right_uid_never_creates(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    made = cluster_api.apply(path, config_map("a", {"k": "1"})).ok(201)
    uid = made["metadata"]["uid"]
    assert cluster_api.apply(path, config_map("a", {"k": "2"}, uid=uid)).ok(200)["data"] == {"k": "2"}
    cluster_api.delete(path).ok(200)
    status = cluster_api.apply(path, config_map("a", {"k": "2"}, uid=uid)).refused(409, "Conflict")
    assert "uid mismatch" in status["message"]


def test_apply_reads_yaml(cluster_api: ClusterApi, namespace: Namespace) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n"
    assert cluster_api.apply(namespace.of("configmaps", "a"), text).ok(201)["data"] == {"k": "v"}


def test_apply_dry_run(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.apply(f"{path}?dryRun=All", config_map("a", {"k": "1"})).ok(201)
    cluster_api.get(path).refused(404, "NotFound")
