"""The life of a namespace: what appears in it, how it goes, and what it refuses on the way."""

from tests.contract.cluster_api import ClusterApi, Namespace, condition, config_map, pod, running


def test_a_new_namespace(cluster_api: ClusterApi) -> None:
    made = cluster_api.post("/api/v1/namespaces", {"metadata": {"name": "contract-new", "labels": {"x": "1"}}}).ok(201)
    assert made["metadata"]["labels"] == {"x": "1", "kubernetes.io/metadata.name": "contract-new"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}
    here = Namespace("contract-new")
    cluster_api.until(here.of("serviceaccounts", "default"), lambda _: True)
    cluster_api.until(here.of("configmaps", "kube-root-ca.crt"), lambda obj: "ca.crt" in obj["data"])
    cluster_api.delete(here.path).ok(200)
    cluster_api.until_gone(here.path)


def test_what_appears_by_itself_comes_back(cluster_api: ClusterApi, namespace: Namespace) -> None:
    first = cluster_api.get(namespace.of("serviceaccounts", "default")).ok()
    cluster_api.delete(namespace.of("serviceaccounts", "default")).ok(200)
    path = namespace.of("serviceaccounts", "default")
    cluster_api.until(path, lambda obj: obj["metadata"]["uid"] != first["metadata"]["uid"])


def test_pods_need_their_service_account(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = pod("a")
    body["spec"]["serviceAccountName"] = "no"
    status = cluster_api.post(namespace.of("pods"), body).refused(403, "Forbidden")
    assert status["message"] == (
        f'pods "a" is forbidden: error looking up service account {namespace.name}/no: serviceaccount "no" not found'
    )


def test_a_deleted_namespace_takes_everything_along(cluster_api: ClusterApi) -> None:
    here = cluster_api.make_namespace()
    cluster_api.post(here.of("pods"), pod("a")).ok(201)
    cluster_api.post(here.of("configmaps"), config_map("a")).ok(201)
    cluster_api.post(here.of("networkpolicies"), {"metadata": {"name": "a"}, "spec": {"podSelector": {}}}).ok(201)
    cluster_api.until(here.of("pods", "a"), running)
    going = cluster_api.delete(here.path).ok(200)
    assert going["kind"] == "Namespace"
    assert going["status"]["phase"] == "Terminating"
    assert going["metadata"]["deletionTimestamp"]
    assert going["spec"] == {"finalizers": ["kubernetes"]}
    cluster_api.until_gone(here.path, seconds=60)
    for plural in ("pods", "configmaps", "networkpolicies", "serviceaccounts"):
        assert cluster_api.get(here.of(plural)).ok()["items"] == []
    cluster_api.delete(here.path).refused(404, "NotFound")


def test_a_namespace_that_goes_refuses_newcomers(cluster_api: ClusterApi) -> None:
    here = cluster_api.make_namespace()
    path = here.of("configmaps", "holds")
    cluster_api.post(here.of("configmaps"), config_map("holds", finalizers=["example.com/hold"])).ok(201)
    cluster_api.delete(here.path).ok(200)
    status = cluster_api.post(here.of("configmaps"), config_map("late")).refused(403, "Forbidden")
    assert status["message"] == (
        'configmaps "late" is forbidden: unable to create new content in namespace '
        f"{here.name} because it is being terminated"
    )
    assert status["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {here.name} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    again = {"metadata": {"name": here.name}}
    cluster_api.post("/api/v1/namespaces", again).refused(409, "AlreadyExists")
    assert cluster_api.delete(here.path).ok(200)["status"]["phase"] == "Terminating"
    stuck = cluster_api.until(here.path, lambda obj: condition(obj, "NamespaceFinalizersRemaining"), seconds=60)
    remaining = condition(stuck, "NamespaceContentRemaining")
    finalizers = condition(stuck, "NamespaceFinalizersRemaining")
    assert remaining is not None
    assert (remaining["status"], remaining["reason"]) == ("True", "SomeResourcesRemain")
    assert remaining["message"] == "Some resources are remaining: configmaps. has 1 resource instances"
    assert finalizers is not None
    expected = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    assert (finalizers["status"], finalizers["message"]) == ("True", expected)
    cluster_api.patch(path, {"metadata": {"finalizers": None}}).ok(200)
    cluster_api.until_gone(here.path, seconds=60)


def test_pods_go_before_everything_else(cluster_api: ClusterApi) -> None:
    here = cluster_api.make_namespace()
    cluster_api.post(here.of("pods"), pod("a", finalizers=["example.com/hold"])).ok(201)
    cluster_api.post(here.of("configmaps"), config_map("a")).ok(201)
    cluster_api.until(here.of("pods", "a"), running)
    cluster_api.delete(here.path).ok(200)
    cluster_api.until(here.of("pods", "a"), lambda obj: obj["metadata"].get("deletionTimestamp"), seconds=60)
    assert "deletionTimestamp" not in cluster_api.get(here.of("configmaps", "a")).ok()["metadata"]
    cluster_api.patch(here.of("pods", "a"), {"metadata": {"finalizers": None}}).ok(200)
    cluster_api.until_gone(here.path, seconds=60)
