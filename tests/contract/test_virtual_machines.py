"""VirtualMachines as far as both servers have them: the objects, and Always and Halted through their phases.

On the bare control plane kwok plays KubeVirt's controllers; what only KubeVirt itself does is in
test_kubevirt_subresources.py, on the simulator.
"""

import pytest

from tests.contract.cluster_api import ClusterApi, Json, Namespace, machine


def printable(obj: Json) -> str:
    return str((obj.get("status") or {}).get("printableStatus", ""))


def test_a_machine_starts_stops_and_goes(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.machines("vm")
    made = cluster_api.post(namespace.machines(), machine("vm", labels={"x": "1"})).ok(201)
    assert made["metadata"]["generation"] == 1
    running = cluster_api.until(path, lambda obj: printable(obj) == "Running")
    assert running["status"]["ready"] is True
    assert running["status"]["created"] is True
    cluster_api.patch(path, {"spec": {"runStrategy": "Halted"}}).ok(200)
    stopped = cluster_api.until(path, lambda obj: printable(obj) == "Stopped")
    assert not stopped["status"].get("ready")
    assert stopped["metadata"]["generation"] == 2
    cluster_api.patch(path, {"spec": {"runStrategy": "Always"}}).ok(200)
    cluster_api.until(path, lambda obj: printable(obj) == "Running")
    cluster_api.delete(path, {"preconditions": {"uid": made["metadata"]["uid"]}}).ok(200, 202)
    cluster_api.until_gone(path)


def test_an_instance_belongs_to_its_machine(cluster_api: ClusterApi, namespace: Namespace) -> None:
    made = cluster_api.post(namespace.machines(), machine("vm")).ok(201)
    cluster_api.until(namespace.machines("vm"), lambda obj: printable(obj) == "Running")
    path = namespace.machines("vm", "virtualmachineinstances")
    instance = cluster_api.until(path, lambda obj: (obj.get("status") or {}).get("phase") == "Running")
    owner = instance["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("VirtualMachine", "vm", made["metadata"]["uid"])
    cluster_api.delete(namespace.machines("vm")).ok(200)
    cluster_api.until_gone(path)


def test_a_halted_machine_stays_stopped(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.machines(), machine("vm", "Halted")).ok(201)
    found = cluster_api.until(namespace.machines("vm"), lambda obj: printable(obj) == "Stopped")
    assert not found["status"].get("created")


def test_an_image_that_does_not_exist(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.machines(), machine("vm", image="example/disk:does-not-exist")).ok(201)
    cluster_api.until(namespace.machines("vm"), lambda obj: printable(obj) in ("ErrImagePull", "ImagePullBackOff"))


def test_an_update_needs_a_version(cluster_api: ClusterApi, namespace: Namespace) -> None:
    cluster_api.post(namespace.machines(), machine("vm", "Halted")).ok(201)
    status = cluster_api.put(namespace.machines("vm"), machine("vm", "Halted")).refused(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "metadata.resourceVersion"


def test_status_is_apart(cluster_api: ClusterApi, namespace: Namespace) -> None:
    path = namespace.machines("vm")
    cluster_api.post(namespace.machines(), machine("vm", "Halted")).ok(201)
    cluster_api.patch(path, {"status": {"restoreInProgress": "by spec"}}).ok(200)
    assert "restoreInProgress" not in (cluster_api.get(path).ok().get("status") or {})
    change = {"status": {"restoreInProgress": "by status"}, "metadata": {"labels": {"x": "1"}}}
    changed = cluster_api.patch(f"{path}/status", change).ok(200)
    assert changed["status"]["restoreInProgress"] == "by status"
    assert "labels" not in changed["metadata"]


@pytest.mark.parametrize("kind", ["Pod", "VirtualMachineInstance"])
def test_another_kind(cluster_api: ClusterApi, namespace: Namespace, kind: str) -> None:
    body = {**machine("vm"), "kind": kind}
    status = cluster_api.post(namespace.machines(), body).refused(422, "Invalid")
    assert status["message"] == (
        f'{kind}.kubevirt.io "vm" is invalid: kind: Invalid value: "{kind}": must be VirtualMachine'
    )
    status = cluster_api.post(namespace.machines(), {**body, "apiVersion": "v1"}).refused(400, "BadRequest")
    assert status["message"].startswith("the API version in the data (v1) does not match")
