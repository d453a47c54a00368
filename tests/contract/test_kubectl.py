"""What an operator types. kubectl must not be able to tell the difference."""

import json
import time

from tests.contract.cluster_api import ClusterApi, Namespace, config_map, is_true, machine, pod


def test_create_get_describe_delete(cluster_api: ClusterApi, namespace: Namespace) -> None:
    here = ("-n", namespace.name)
    assert cluster_api.kubectl(*here, "run", "web", "--image=nginx:1", "--labels=app=web") == "pod/web created\n"
    waited = cluster_api.kubectl(*here, "wait", "pod/web", "--for=condition=Ready", "--timeout=30s")
    assert waited == "pod/web condition met\n"
    row = cluster_api.kubectl(*here, "get", "pods", "-l", "app=web").splitlines()
    assert row[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row[1].split()[:4] == ["web", "1/1", "Running", "0"]
    assert "nginx:1" in cluster_api.kubectl(*here, "describe", "pod", "web")
    assert cluster_api.kubectl(*here, "get", "po", "web", "-o", "name") == "pod/web\n"
    shown = cluster_api.kubectl(*here, "get", "pod", "web", "-o", "jsonpath={.status.phase}")
    assert shown == "Running"
    assert 'pod "web" deleted' in cluster_api.kubectl(*here, "delete", "pod", "web", "--timeout=30s")
    assert "not found" in cluster_api.kubectl(*here, "get", "pod", "web", fails=True)


def test_namespaces(cluster_api: ClusterApi) -> None:
    assert cluster_api.kubectl("create", "namespace", "contract-kubectl") == "namespace/contract-kubectl created\n"
    assert "Active" in cluster_api.kubectl("get", "ns", "contract-kubectl")
    complaint = cluster_api.kubectl("create", "namespace", "contract-kubectl", fails=True)
    assert complaint.strip() == 'Error from server (AlreadyExists): namespaces "contract-kubectl" already exists'
    cluster_api.kubectl("delete", "namespace", "contract-kubectl", "--timeout=60s")
    assert cluster_api.kubectl("get", "ns", "contract-kubectl", "--ignore-not-found") == ""


def test_create_in_the_ways_there_are(cluster_api: ClusterApi, namespace: Namespace) -> None:
    here = ("-n", namespace.name)
    cluster_api.kubectl(*here, "create", "configmap", "cm", "--from-literal=a=b")
    cluster_api.kubectl(*here, "create", "secret", "generic", "s", "--from-literal=a=b")
    cluster_api.kubectl(*here, "create", "serviceaccount", "sa")
    cluster_api.kubectl(*here, "create", "quota", "q", "--hard=pods=7")
    assert cluster_api.get(namespace.of("configmaps", "cm")).ok()["data"] == {"a": "b"}
    assert cluster_api.get(namespace.of("secrets", "s")).ok()["data"] == {"a": "Yg=="}
    assert cluster_api.get(namespace.of("resourcequotas", "q")).ok()["spec"] == {"hard": {"pods": "7"}}


def test_apply_as_it_was_always_done(cluster_api: ClusterApi, namespace: Namespace) -> None:
    here = ("-n", namespace.name)
    assert _apply(cluster_api, *here, body=config_map("a", {"k": "1", "j": "2"})) == "configmap/a created\n"
    assert _apply(cluster_api, *here, body=config_map("a", {"k": "1", "j": "2"})) == "configmap/a unchanged\n"
    assert _apply(cluster_api, *here, body=config_map("a", {"k": "2"})) == "configmap/a configured\n"
    assert cluster_api.get(namespace.of("configmaps", "a")).ok()["data"] == {"k": "2"}
    assert _apply(cluster_api, *here, body=pod("p", labels={"x": "1"})) == "pod/p created\n"
    assert _apply(cluster_api, *here, body=pod("p", "nginx:2", labels={"x": "2"})) == "pod/p configured\n"
    changed = cluster_api.get(namespace.of("pods", "p")).ok()
    assert changed["spec"]["containers"][0]["image"] == "nginx:2"
    assert _apply(cluster_api, *here, body=machine("vm", "Halted")) == "virtualmachine.kubevirt.io/vm created\n"
    assert _apply(cluster_api, *here, body=machine("vm", "Manual")) == "virtualmachine.kubevirt.io/vm configured\n"


def test_apply_on_the_server_side(cluster_api: ClusterApi, namespace: Namespace) -> None:
    here = ("-n", namespace.name, "--server-side")
    assert _apply(cluster_api, *here, body=config_map("a", {"k": "1"})) == "configmap/a serverside-applied\n"
    cluster_api.patch(namespace.of("configmaps", "a"), {"data": {"k": "2"}}).ok(200)
    text = json.dumps(config_map("a", {"k": "1"}))
    complaint = cluster_api.kubectl("apply", *here, "-f", "-", stdin=text, fails=True)
    assert 'conflict with "contract" using v1: .data.k' in complaint
    forced = cluster_api.kubectl("apply", *here, "--force-conflicts", "-f", "-", stdin=text)
    assert forced == "configmap/a serverside-applied\n"


def test_a_spec_with_an_error_is_refused(cluster_api: ClusterApi, namespace: Namespace) -> None:
    body = json.dumps({**pod("p"), "spec": {"containers": []}})
    complaint = cluster_api.kubectl("-n", namespace.name, "create", "-f", "-", stdin=body, fails=True)
    assert 'The Pod "p" is invalid: spec.containers: Required value' in complaint


def test_label_annotate_patch_replace(cluster_api: ClusterApi, namespace: Namespace) -> None:
    here = ("-n", namespace.name)
    cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1"})).ok(201)
    assert cluster_api.kubectl(*here, "label", "cm", "a", "x=1") == "configmap/a labeled\n"
    assert cluster_api.kubectl(*here, "annotate", "cm", "a", "y=1") == "configmap/a annotated\n"
    cluster_api.kubectl(*here, "label", "cm", "a", "x-")
    patched = cluster_api.kubectl(*here, "patch", "cm", "a", "--type=merge", "-p", '{"data":{"k":"2"}}')
    assert patched == "configmap/a patched\n"
    operations = '[{"op":"add","path":"/data/z","value":"3"}]'
    cluster_api.kubectl(*here, "patch", "cm", "a", "--type=json", "-p", operations)
    found = cluster_api.get(namespace.of("configmaps", "a")).ok()
    assert found["data"] == {"k": "2", "z": "3"}
    assert found["metadata"]["annotations"] == {"y": "1"}
    assert "labels" not in found["metadata"]
    text = json.dumps(config_map("a", {"new": "1"}))
    assert cluster_api.kubectl(*here, "replace", "-f", "-", stdin=text) == "configmap/a replaced\n"


def test_dry_run_on_the_server(cluster_api: ClusterApi, namespace: Namespace) -> None:
    text = json.dumps(config_map("a"))
    said = cluster_api.kubectl("-n", namespace.name, "create", "--dry-run=server", "-f", "-", stdin=text)
    assert said == "configmap/a created (server dry run)\n"
    cluster_api.get(namespace.of("configmaps", "a")).refused(404, "NotFound")


def test_get_watches(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a", {"k": "1"}, labels={"mine": "1"})).ok(201)
    process = cluster_api.kubectl_process("-n", namespace.name, "get", "cm", "-l", "mine", "-w", "-o", "name")
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "configmap/a\n"
        cluster_api.post(namespace.of("configmaps"), config_map("b", labels={"mine": "1"})).ok(201)
        assert process.stdout.readline() == "configmap/b\n"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_wait_for_deletion(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("configmaps"), config_map("a", finalizers=["example.com/hold"])).ok(201)
    cluster_api.delete(namespace.of("configmaps", "a")).ok(200)
    process = cluster_api.kubectl_process("-n", namespace.name, "wait", "cm/a", "--for=delete", "--timeout=30s")
    assert process.stdout is not None
    time.sleep(0.5)
    assert process.poll() is None
    cluster_api.patch(namespace.of("configmaps", "a"), {"metadata": {"finalizers": None}}).ok(200)
    assert process.wait(30) == 0
    process.stdout.close()


def test_lists_of_many_kinds(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.of("pods"), pod("p")).ok(201)
    cluster_api.post(namespace.machines(), machine("vm", "Halted")).ok(201)
    cluster_api.until(namespace.of("pods", "p"), lambda obj: is_true(obj, "Ready"))
    shown = cluster_api.kubectl("-n", namespace.name, "get", "pods,vms,ns,resourcequotas,netpol,leases,events")
    assert "pod/p" in shown
    assert "virtualmachine.kubevirt.io/vm" in shown
    everywhere = cluster_api.kubectl("get", "vm", "-A", "--no-headers")
    assert namespace.name in everywhere
    assert "node" in cluster_api.kubectl("get", "nodes", "-o", "wide")


def test_api_resources_and_explain(cluster_api: ClusterApi) -> None:
    shown = cluster_api.kubectl("api-resources", "--api-group=kubevirt.io", "-o", "name")
    assert "virtualmachines.kubevirt.io" in shown
    assert "KIND:       Pod" in cluster_api.kubectl("explain", "pod")
    assert cluster_api.kubectl("auth", "can-i", "create", "pods").strip() == "yes"


def _apply(cluster_api: ClusterApi, *arguments: str, body: object) -> str:
    return cluster_api.kubectl("apply", *arguments, "-f", "-", stdin=json.dumps(body))
