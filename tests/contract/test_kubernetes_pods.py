"""Pods: defaults, refusals, and what becomes of them on a node."""

import pytest

from tests.contract.cluster_api import STRATEGIC, ClusterApi, Json, Namespace, condition, pod, running


def test_defaults(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    made = cluster_api.post(namespace.of("pods"), body).ok(201)
    spec, container = made["spec"], made["spec"]["containers"][0]
    assert made["metadata"]["generation"] == 1
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    expected = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "securityContext": {},
    }
    assert {name: spec[name] for name in expected} == expected
    tolerated = {item["key"]: item["tolerationSeconds"] for item in spec["tolerations"]}
    assert tolerated == {"node.kubernetes.io/not-ready": 300, "node.kubernetes.io/unreachable": 300}
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"] == {}
    assert spec["volumes"][0]["name"] == container["volumeMounts"][0]["name"]
    assert spec["volumes"][0]["name"].startswith("kube-api-access-")


@pytest.mark.parametrize(
    ("image", "policy"),
    [("nginx:latest", "Always"), ("nginx:1", "IfNotPresent"), ("host:5000/nginx", "Always")],
)
def test_when_images_are_pulled(cluster_api: ClusterApi, namespace: Namespace, image: str, policy: str) -> None:
    made = cluster_api.post(f"{namespace.of('pods')}?dryRun=All", pod("a", image)).ok(201)
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("given", "answered"),
    [("1000m", "1"), ("0.5", "500m"), ("1500m", "1500m"), ("2", "2"), ("100000", "100k"), (2, "2"), ("0", "0")],
)
def test_quantities_of_cpu(cluster_api: ClusterApi, namespace: Namespace, given: str | int, answered: str) -> None:
    body = pod("a")
    body["spec"]["containers"][0]["resources"] = {"limits": {"cpu": given}}
    made = cluster_api.post(f"{namespace.of('pods')}?dryRun=All", body).ok(201)
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": answered}, "requests": {"cpu": answered}}


@pytest.mark.parametrize(
    ("given", "answered"),
    [("1024Mi", "1Gi"), ("1536Mi", "1536Mi"), ("1000Mi", "1000Mi"), ("1000M", "1G"), ("1073741824", "1073741824")],
)
def test_quantities_of_memory(cluster_api: ClusterApi, namespace: Namespace, given: str, answered: str) -> None:
    made = cluster_api.post(f"{namespace.of('pods')}?dryRun=All", pod("a", memory=given)).ok(201)
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"memory": answered}
    assert made["status"]["qosClass"] == "Burstable"


def test_equal_requests_and_limits_are_guaranteed(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(f"{namespace.of('pods')}?dryRun=All", pod("a", cpu="1", memory="1Gi")).ok(201)
    assert made["status"]["qosClass"] == "Guaranteed"


def _broken(**container: object) -> Json:
    body = pod("a")
    body["spec"]["containers"][0] |= container
    return body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metadata": {"name": "a"}, "spec": {}}, "spec.containers"),
        (_broken(name="Bad_"), "spec.containers[0].name"),
        (_broken(name=""), "spec.containers[0].name"),
        (_broken(image=""), "spec.containers[0].image"),
        (
            _broken(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            "spec.containers[0].resources.requests",
        ),
        (_broken(resources={"requests": {"cpu": "-1"}}), "spec.containers[0].resources.requests[cpu]"),
    ],
)
def test_specs_that_are_refused(cluster_api: ClusterApi, namespace: Namespace, body: Json, field: str) -> None:
    status = cluster_api.post(namespace.of("pods"), body).refused(422, "Invalid")
    assert field in [cause["field"] for cause in status["details"]["causes"]]


def test_names_of_containers_differ(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = pod("a")
    body["spec"]["containers"] *= 2
    status = cluster_api.post(namespace.of("pods"), body).refused(422, "Invalid")
    assert status["details"]["causes"][0]["reason"] == "FieldValueDuplicate"


def test_quantities_that_are_none(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = _broken(resources={"requests": {"cpu": "much"}})
    status = cluster_api.post(namespace.of("pods"), body).refused(400, "BadRequest")
    assert "quantities must match the regular expression" in status["message"]


def test_a_spec_hardly_changes(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    cluster_api.post(namespace.of("pods"), pod("a")).ok(201)
    status = cluster_api.patch(path, {"spec": {"restartPolicy": "Never"}}).refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "spec"
    assert status["message"].startswith(
        'Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than '
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`"
    )
    cluster_api.patch(path, {"metadata": {"annotations": {"cmp.io/frozen": "true"}}}).ok(200)


def test_status_is_apart(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    cluster_api.post(namespace.of("pods"), pod("a", cpu="999999")).ok(201)
    cluster_api.patch(path, {"status": {"message": "ignored"}}).ok(200)
    assert "message" not in cluster_api.get(path).ok()["status"]
    changed = cluster_api.patch(f"{path}/status", {"status": {"message": "taken"}, "spec": {"nodeName": "no"}}).ok(200)
    assert changed["status"]["message"] == "taken"
    assert "nodeName" not in changed["spec"]


def test_a_pod_runs(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("pods"), pod("a", "nginx:1", cpu="1", memory="64Mi")).ok(201)
    found = cluster_api.until(namespace.of("pods", "a"), running)
    status = found["status"]
    assert found["spec"]["nodeName"]
    assert status["podIP"] == status["podIPs"][0]["ip"]
    assert status["hostIP"] == status["hostIPs"][0]["ip"]
    assert status["startTime"]
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        made = condition(found, kind)
        assert made is not None
        assert made["status"] == "True"
    container = status["containerStatuses"][0]
    assert container["name"] == "main"
    assert container["ready"] is container["started"] is True
    assert container["restartCount"] == 0
    assert container["state"]["running"]["startedAt"]


def test_a_pod_that_fits_nowhere(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("pods"), pod("a", cpu="999999")).ok(201)
    found = cluster_api.until(namespace.of("pods", "a"), lambda obj: condition(obj, "PodScheduled"))
    made = condition(found, "PodScheduled")
    assert made is not None
    assert (made["status"], made["reason"]) == ("False", "Unschedulable")
    assert made["message"].startswith("0/3 nodes are available: 3 Insufficient cpu.")
    assert found["status"]["phase"] == "Pending"
    cluster_api.delete(namespace.of("pods", "a")).ok(200)
    cluster_api.get(namespace.of("pods", "a")).refused(404, "NotFound")


def test_an_image_that_does_not_exist(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("pods"), pod("a", "example/none:does-not-exist")).ok(201)
    reasons: list[str | None] = []

    def backs_off(obj: Json) -> bool:
        statuses = obj["status"].get("containerStatuses") or ()
        reasons.extend(status["state"].get("waiting", {}).get("reason") for status in statuses)
        return "ImagePullBackOff" in reasons

    found = cluster_api.until(namespace.of("pods", "a"), backs_off)
    assert found["status"]["phase"] == "Pending"
    assert "example/none:does-not-exist" in found["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    made = condition(found, "Ready")
    assert made is None or made["status"] == "False"


def test_eviction_goes_with_grace(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("pods", "a")
    cluster_api.post(namespace.of("pods"), pod("a", finalizers=["example.com/hold"])).ok(201)
    cluster_api.until(path, running)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    assert cluster_api.post(f"{path}/eviction", eviction).ok(201)["status"] == "Success"
    found = cluster_api.get(path).ok()
    made = condition(found, "DisruptionTarget")
    assert made is not None
    assert (made["status"], made["reason"]) == ("True", "EvictionByEvictionAPI")
    assert found["metadata"]["deletionTimestamp"]
    cluster_api.patch(path, {"metadata": {"finalizers": None}})
    cluster_api.until_gone(path)
    cluster_api.post(f"{path}/eviction", eviction).refused(404, "NotFound")


@pytest.fixture
def with_sizes(cluster_api: ClusterApi) -> ClusterApi:
    if not cluster_api.simulated:
        pytest.skip("kwok's nodes tell no container's size; tests/node/test_changing.py resizes on a real one")
    return cluster_api


def test_a_resize_changes_the_size_and_nothing_else(with_sizes: ClusterApi, namespace: Namespace) -> None:
    cluster_api = with_sizes
    cluster_api.post(namespace.of("pods"), pod("a", cpu="100m", memory="64Mi")).ok(201)
    cluster_api.until(namespace.of("pods", "a"), running)
    path = f"{namespace.of('pods', 'a')}/resize"
    grown = cluster_api.patch(path, _sized("200m", "128Mi"), STRATEGIC).ok()
    assert grown["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "200m", "memory": "128Mi"}
    assert grown["spec"]["containers"][0]["image"] == "nginx:1"
    assert grown["metadata"]["generation"] == 2
    imaged = {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}
    cluster_api.patch(path, imaged, STRATEGIC).refused(422, "Invalid")
    burstable = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "50m"}}}]}}
    cluster_api.patch(path, burstable, STRATEGIC).refused(422, "Invalid")
    other = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, **_sized("300m", "128Mi")}
    assert cluster_api.patch(path, other, STRATEGIC).status in (409, 422)


def test_a_resize_beyond_its_node_is_forbidden(with_sizes: ClusterApi, namespace: Namespace) -> None:
    cluster_api = with_sizes
    cluster_api.post(namespace.of("pods"), pod("a", cpu="100m", memory="64Mi")).ok(201)
    cluster_api.until(namespace.of("pods", "a"), running)
    path = f"{namespace.of('pods', 'a')}/resize"
    refused = cluster_api.patch(path, _sized("100k", "64Mi"), STRATEGIC).refused(403, "Forbidden")
    assert "node didn't have enough allocatable resources: cpu, requested: 100000000" in refused["message"]
    assert {"reason": "NodeCapacity"} in refused["details"]["causes"]


def _sized(cpu: str, memory: str) -> Json:
    size = {"cpu": cpu, "memory": memory}
    resources = {"requests": size, "limits": size}
    return {"spec": {"containers": [{"name": "main", "resources": resources}]}}
