"""create, get, update: identity, names, defaults, and every way in which a write is refused."""

import pytest

from tests.contract.cluster_api import ClusterApi, Namespace, config_map, pod


def test_a_new_object_gets_an_identity(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "v"}, labels={"x": "1"})).ok(201)
    metadata = made["metadata"]
    assert made["kind"] == "ConfigMap"
    assert made["apiVersion"] == "v1"
    assert len(metadata["uid"]) == 36
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == namespace.name
    assert metadata["labels"] == {"x": "1"}
    assert "generation" not in metadata
    owners = metadata["managedFields"]
    assert [(entry["manager"], entry["operation"]) for entry in owners] == [("contract", "Update")]
    assert owners[0]["fieldsV1"] == {
        "f:data": {".": {}, "f:k": {}},
        "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
    }
    assert cluster_api.get(namespace.of("configmaps", "a")).ok() == made


def test_generated_names_differ(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = {"metadata": {"generateName": "gen-"}}
    names = {cluster_api.post(namespace.of("configmaps"), body).ok(201)["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("gen-") and len(name) == 9 for name in names)


def test_resource_versions_rise_with_every_write(cluster_api: ClusterApi, namespace: Namespace) -> None:
    revisions = []
    for number in range(4):
        made = cluster_api.post(namespace.of("configmaps"), config_map(f"a{number}")).ok(201)
        revisions.append(int(made["metadata"]["resourceVersion"]))
    assert revisions == sorted(set(revisions))
    assert int(cluster_api.revision(namespace.of("configmaps"))) >= revisions[-1]


def test_the_same_name_twice(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    status = cluster_api.post(namespace.of("configmaps"), config_map("a")).refused(409, "AlreadyExists")
    assert status["message"] == 'configmaps "a" already exists'
    assert status["details"] == {"name": "a", "kind": "configmaps"}


@pytest.mark.parametrize(
    ("plural", "message"),
    [("configmaps", 'configmaps "no" not found'), ("leases", 'leases.coordination.k8s.io "no" not found')],
)
def test_what_is_not_there(cluster_api: ClusterApi, namespace: Namespace, plural: str, message: str) -> None:
    path = namespace.of(plural, "no")
    for answer in (cluster_api.get(path), cluster_api.delete(path), cluster_api.patch(path, {"data": {}})):
        assert answer.refused(404, "NotFound")["message"] == message


def test_a_namespace_that_is_not_there(cluster_api: ClusterApi) -> None:
    nowhere = Namespace("contract-nowhere")
    status = cluster_api.post(nowhere.of("configmaps"), config_map("a")).refused(404, "NotFound")
    assert status["message"] == 'namespaces "contract-nowhere" not found'
    assert status["details"] == {"name": "contract-nowhere", "kind": "namespaces"}
    assert cluster_api.get(nowhere.of("configmaps")).ok()["items"] == []


def test_paths_that_do_not_exist(cluster_api: ClusterApi, namespace: Namespace) -> None:
    for path in (
        "/api/v1/nonsense",
        f"{namespace.path}/networkpolicies",
        f"{namespace.of('configmaps', 'a')}/nonsense",
    ):
        status = cluster_api.get(path).refused(404, "NotFound")
        assert status["message"] == "the server could not find the requested resource"
    assert cluster_api.get("/apis/nonsense.example.com/v1/things").status == 404


@pytest.mark.parametrize("method_and_path", ["PUT configmaps", "POST configmaps/a"])
def test_methods_that_are_not_allowed(cluster_api: ClusterApi, namespace: Namespace, method_and_path: str) -> None:
    method, path = method_and_path.split()
    answer = cluster_api.call(method, f"{namespace.path}/{path}", config_map("a"))
    answer.refused(405, "MethodNotAllowed")


@pytest.mark.parametrize(
    "name", ["Upper", "under_score", "-dash", "dash-", "dot.", "ümlaut", "a" * 254, "sp ace", ""], ids=repr
)
def test_names_that_are_no_names(cluster_api: ClusterApi, namespace: Namespace, name: str) -> None:
    status = cluster_api.post(namespace.of("configmaps"), config_map(name)).refused(422, "Invalid")
    causes = status["details"]["causes"]
    assert {cause["field"] for cause in causes} == {"metadata.name"}
    assert status["details"]["kind"] == "ConfigMap"
    assert status["message"].startswith(f'ConfigMap "{name}" is invalid: ')


@pytest.mark.parametrize("name", ["a.b", "a" * 64, "Bad"])
def test_namespaces_have_stricter_names(cluster_api: ClusterApi, name: str) -> None:
    status = cluster_api.post("/api/v1/namespaces", {"metadata": {"name": name}}).refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize(
    "labels", [{"bad key": "v"}, {"k": "bad value"}, {"-k": "v"}, {"a/b/c": "v"}, {"k": "v" * 64}], ids=repr
)
def test_labels_that_are_no_labels(cluster_api: ClusterApi, namespace: Namespace, labels: dict[str, str]) -> None:
    status = cluster_api.post(namespace.of("configmaps"), config_map("a", labels=labels)).refused(422, "Invalid")
    assert {cause["field"] for cause in status["details"]["causes"]} == {"metadata.labels"}


def test_labels_are_text(cluster_api: ClusterApi, namespace: Namespace) -> None:
    status = cluster_api.post(namespace.of("pods"), pod("a", labels={"x": 1})).refused(400, "BadRequest")
    assert status["message"] == (
        'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field '
        "ObjectMeta.metadata.labels of type string"
    )


def test_annotations_have_a_limit(cluster_api: ClusterApi, namespace: Namespace) -> None:
    large = config_map("a", annotations={"x": "y" * (256 * 1024)})
    status = cluster_api.post(namespace.of("configmaps"), large).refused(422, "Invalid")
    assert status["details"]["causes"][0]["reason"] == "FieldValueTooLong"


def test_finalizers_are_qualified(cluster_api: ClusterApi, namespace: Namespace) -> None:
    status = cluster_api.post(namespace.of("configmaps"), config_map("a", finalizers=["bad"])).refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "metadata.finalizers[0]"


def test_owners_are_complete(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = config_map("a", ownerReferences=[{"kind": "ConfigMap", "name": "b"}])
    status = cluster_api.post(namespace.of("configmaps"), body).refused(422, "Invalid")
    fields = {cause["field"] for cause in status["details"]["causes"]}
    assert fields == {"metadata.ownerReferences.apiVersion", "metadata.ownerReferences.uid"}


def test_bodies_that_cannot_be_read(cluster_api: ClusterApi, namespace: Namespace) -> None:
    for body in (b"{bad", b"", b'"text"'):
        cluster_api.call("POST", namespace.of("configmaps"), body).refused(400, "BadRequest")
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    status = cluster_api.post(namespace.of("configmaps"), wrong).refused(400, "BadRequest")
    assert status["message"].startswith('Pod in version "v1" cannot be handled as a ConfigMap')
    elsewhere = config_map("a", namespace="elsewhere")
    cluster_api.post(namespace.of("configmaps"), elsewhere).refused(400, "BadRequest")
    answer = cluster_api.call("POST", namespace.of("configmaps"), "<a/>", "application/xml")
    answer.refused(415, "UnsupportedMediaType")


def test_an_answer_in_a_form_that_nobody_speaks(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.get(namespace.of("configmaps"), accept="application/xml").refused(406, "NotAcceptable")


def test_update_replaces(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1", "j": "2"})).ok(201)
    made["data"] = {"k": "3"}
    changed = cluster_api.put(namespace.of("configmaps", "a"), made).ok(200)
    assert changed["data"] == {"k": "3"}
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_update_without_a_change_keeps_the_version(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1"})).ok(201)
    assert cluster_api.put(namespace.of("configmaps", "a"), made).ok(200) == made
    assert cluster_api.patch(namespace.of("configmaps", "a"), {"data": {"k": "1"}}).ok(200) == made


def test_update_of_an_old_version_conflicts(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1"})).ok(201)
    cluster_api.patch(namespace.of("configmaps", "a"), {"data": {"k": "2"}}).ok(200)
    status = cluster_api.put(namespace.of("configmaps", "a"), made).refused(409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert status["details"] == {"name": "a", "kind": "configmaps"}


def test_update_of_a_namesake_conflicts(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    namesake = config_map("a", uid="00000000-0000-4000-8000-000000000000")
    status = cluster_api.put(namespace.of("configmaps", "a"), namesake).refused(409, "Conflict")
    assert "Precondition failed: UID in precondition" in status["message"]


def test_update_under_another_name(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a")).ok(201)
    status = cluster_api.put(namespace.of("configmaps", "a"), config_map("b")).refused(400, "BadRequest")
    assert status["message"] == "the name of the object (b) does not match the name on the URL (a)"


def test_update_creates_only_leases(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.put(namespace.of("configmaps", "a"), config_map("a")).refused(404, "NotFound")
    lease = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}}
    cluster_api.put(namespace.of("leases", "a"), lease).ok(201)


def test_dry_run_changes_nothing(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.of("configmaps")
    cluster_api.post(f"{path}?dryRun=All", config_map("a", {"k": "1"})).ok(201)
    cluster_api.get(f"{path}/a").refused(404, "NotFound")
    made = cluster_api.post(path, config_map("a", {"k": "1"})).ok(201)
    would_be = cluster_api.patch(f"{path}/a?dryRun=All", {"data": {"k": "2"}}).ok(200)
    assert would_be["data"] == {"k": "2"}
    cluster_api.delete(f"{path}/a?dryRun=All").ok(200)
    assert cluster_api.get(f"{path}/a").ok() == made
    cluster_api.post(f"{path}?dryRun=Some", config_map("b")).refused(422, "Invalid")


def test_secrets_take_text_and_answer_base64(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = {"metadata": {"name": "a"}, "stringData": {"k": "v"}}
    made = cluster_api.post(namespace.of("secrets"), body).ok(201)
    assert made["data"] == {"k": "dg=="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


def test_services_get_an_address(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    made = cluster_api.post(namespace.of("services"), body).ok(201)
    assert made["spec"]["type"] == "ClusterIP"
    assert made["spec"]["clusterIP"].startswith("10.96.")
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert made["status"] == {"loadBalancer": {}}


def test_network_policies_know_their_types(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"podSelector": {}, "egress": [{}]}}
    made = cluster_api.post(namespace.of("networkpolicies"), body).ok(201)
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made["metadata"]["generation"] == 1


def test_access_is_reviewed(cluster_api: ClusterApi) -> None:
    body = {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}}
    made = cluster_api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body).ok(201)
    assert made["status"]["allowed"] is True
