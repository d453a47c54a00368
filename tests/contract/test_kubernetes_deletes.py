"""delete: preconditions, grace, finalizers, dependents, and many at once."""

import pytest

from tests.contract.cluster_api import ClusterApi, Json, Namespace, config_map, pod, running

STRANGER = "00000000-0000-4000-8000-000000000000"


def test_plain_kinds_answer_a_status(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    status = cluster_api.delete(namespace.of("configmaps", "a")).ok(200)
    assert status["kind"] == "Status"
    assert status["status"] == "Success"
    assert status["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


@pytest.mark.parametrize(
    ("plural", "body"),
    [
        ("services", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
        ("serviceaccounts", {"metadata": {"name": "a"}}),
        ("resourcequotas", {"metadata": {"name": "a"}, "spec": {"hard": {"pods": "9"}}}),
    ],
)
def test_some_kinds_answer_the_object(cluster_api: ClusterApi, namespace: Namespace, plural: str, body: Json) -> None:
    made = cluster_api.post(namespace.of(plural), body).ok(201)
    last = cluster_api.delete(namespace.of(plural, "a")).ok(200)
    assert last["kind"] == made["kind"]
    assert last["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_uid_that_does_not_match(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    made = cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    uid = made["metadata"]["uid"]
    status = cluster_api.delete(path, {"preconditions": {"uid": STRANGER}}).refused(409, "Conflict")
    assert status["message"] == (
        f'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition ({STRANGER}) does not match the '
        f"UID in record ({uid}). The object might have been deleted and then recreated"
    )
    cluster_api.delete(path, {"preconditions": {"uid": uid}}).ok(200)
    cluster_api.get(path).refused(404, "NotFound")


def test_a_version_that_does_not_match(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    made = cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    cluster_api.delete(path, {"preconditions": {"resourceVersion": "1"}}).refused(409, "Conflict")
    cluster_api.delete(path, {"preconditions": {"resourceVersion": made["metadata"]["resourceVersion"]}}).ok(200)


def test_options_that_are_none(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    status = cluster_api.delete(namespace.of("configmaps", "a"), {"propagationPolicy": "Some"})
    assert status.refused(422, "Invalid")["details"]["causes"][0]["field"] == "propagationPolicy"


def test_finalizers_hold_an_object(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps", "a")
    cluster_api.post(namespace.of("configmaps"), config_map("a", finalizers=["example.com/hold"])).ok(201)
    going = cluster_api.delete(path).ok(200)
    assert going["kind"] == "ConfigMap"
    assert going["metadata"]["deletionTimestamp"]
    assert going["metadata"]["deletionGracePeriodSeconds"] == 0
    assert cluster_api.delete(path).ok(200) == going
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    status = cluster_api.patch(path, more).refused(422, "Invalid")
    assert "no new finalizers can be added if the object is being deleted" in status["message"]
    cluster_api.patch(path, {"data": {"k": "still changes"}}).ok(200)
    cluster_api.patch(path, {"metadata": {"finalizers": None}}).ok(200)
    cluster_api.get(path).refused(404, "NotFound")


def test_a_pod_on_a_node_has_its_grace(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    cluster_api.post(namespace.of("pods"), pod("a", finalizers=["example.com/hold"])).ok(201)
    before = cluster_api.until(path, running)
    going = cluster_api.delete(path, {"gracePeriodSeconds": 30}).ok(200)
    assert going["kind"] == "Pod"
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert going["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert going["status"]["phase"] == "Running"
    cluster_api.patch(path, {"metadata": {"finalizers": None}})
    cluster_api.until_gone(path)


def test_no_grace_is_at_once(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    cluster_api.post(namespace.of("pods"), pod("a")).ok(201)
    cluster_api.until(path, running)
    gone = cluster_api.delete(path, {"gracePeriodSeconds": 0}).ok(200)
    assert gone["metadata"]["deletionGracePeriodSeconds"] == 0
    cluster_api.get(path).refused(404, "NotFound")


def test_dependents_go_with_their_owner(cluster_api: ClusterApi, namespace: Namespace) -> None:
    owner = cluster_api.post(namespace.of("configmaps"), config_map("owner")).ok(201)
    child = config_map("child", ownerReferences=[_reference(owner)])
    cluster_api.post(namespace.of("configmaps"), child).ok(201)
    cluster_api.delete(namespace.of("configmaps", "owner")).ok(200)
    cluster_api.until_gone(namespace.of("configmaps", "child"))


def test_foreground_waits_for_dependents(cluster_api: ClusterApi, namespace: Namespace) -> None:
    owner = cluster_api.post(namespace.of("configmaps"), config_map("owner")).ok(201)
    references = [{**_reference(owner), "blockOwnerDeletion": True}]
    child = config_map("child", ownerReferences=references, finalizers=["example.com/hold"])
    cluster_api.post(namespace.of("configmaps"), child).ok(201)
    going = cluster_api.delete(namespace.of("configmaps", "owner"), {"propagationPolicy": "Foreground"}).ok(200)
    assert going["metadata"]["finalizers"] == ["foregroundDeletion"]
    cluster_api.until(namespace.of("configmaps", "child"), lambda obj: obj["metadata"].get("deletionTimestamp"))
    cluster_api.get(namespace.of("configmaps", "owner")).ok(200)
    cluster_api.patch(namespace.of("configmaps", "child"), {"metadata": {"finalizers": None}}).ok(200)
    cluster_api.until_gone(namespace.of("configmaps", "owner"))


def test_orphans_stay(cluster_api: ClusterApi, namespace: Namespace) -> None:
    owner = cluster_api.post(namespace.of("configmaps"), config_map("owner")).ok(201)
    child = config_map("child", ownerReferences=[_reference(owner)])
    cluster_api.post(namespace.of("configmaps"), child).ok(201)
    cluster_api.delete(namespace.of("configmaps", "owner"), {"propagationPolicy": "Orphan"}).ok(200)
    cluster_api.until_gone(namespace.of("configmaps", "owner"))
    orphan = cluster_api.get(namespace.of("configmaps", "child")).ok(200)
    assert "ownerReferences" not in orphan["metadata"]


def test_an_owner_that_never_was(cluster_api: ClusterApi, namespace: Namespace) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": STRANGER}
    cluster_api.post(namespace.of("configmaps"), config_map("child", ownerReferences=[reference])).ok(201)
    cluster_api.until_gone(namespace.of("configmaps", "child"))


def test_many_at_once(cluster_api: ClusterApi, namespace: Namespace) -> None:
    for number in range(4):
        labels = {"half": str(number % 2)}
        cluster_api.post(namespace.of("configmaps"), config_map(f"a{number}", labels=labels)).ok(201)
    deleted = cluster_api.delete(f"{namespace.of('configmaps')}?labelSelector=half%3D1").ok(200)
    assert deleted["kind"] == "ConfigMapList"
    assert {item["metadata"]["name"] for item in deleted["items"]} == {"a1", "a3"}
    left = cluster_api.get(f"{namespace.of('configmaps')}?labelSelector=half").ok()
    assert {item["metadata"]["name"] for item in left["items"]} == {"a0", "a2"}


def test_namespaces_are_not_deleted_by_the_dozen(cluster_api: ClusterApi) -> None:
    cluster_api.delete("/api/v1/namespaces").refused(405, "MethodNotAllowed")


def test_a_claim_is_protected_for_a_moment(cluster_api: ClusterApi, namespace: Namespace) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = namespace.of("persistentvolumeclaims")
    made = cluster_api.post(path, {"metadata": {"name": "a"}, "spec": spec}).ok(201)
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert cluster_api.delete(f"{path}/a").ok(200)["metadata"]["deletionTimestamp"]
    cluster_api.until_gone(f"{path}/a")


def _reference(owner: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
