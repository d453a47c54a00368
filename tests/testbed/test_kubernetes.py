"""The real control plane does what tests rely on: Pods and VMs go through their phases, nothing outlives its owner."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testbed import Unavailable, build, kubernetes
from testbed.kubernetes import ControlPlane

_ROOT = Path(__file__).parents[2]


def test_the_binaries_are_of_the_pinned_version(control_plane: ControlPlane) -> None:
    assert control_plane.api_version == build.pinned("kubernetes", "k8s.io/kubernetes")
    for binary in build.BINARIES:
        flags = ["version", "--client"] if binary.name == "kubectl" else ["--version"]
        said = subprocess.run([build.directory() / binary.name, *flags], capture_output=True, text=True, check=True)
        assert binary.version.removeprefix("v") in said.stdout


def test_openapi_describes_built_in_and_kubevirt_kinds(control_plane: ControlPlane) -> None:
    definitions = json.loads(control_plane.kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    assert "spec" in definitions["io.k8s.api.core.v1.Pod"]["properties"]
    assert "runStrategy" in control_plane.kubectl("explain", "virtualmachine.spec")


def test_a_pod_runs_and_ends_when_deleted(control_plane: ControlPlane) -> None:
    control_plane.kubectl("run", "runs", "--image=nginx:1")
    pod = _until(control_plane, "pod/runs", lambda found: found["status"]["phase"] == "Running")
    assert pod["status"]["containerStatuses"][0]["ready"] is True
    assert pod["status"]["podIP"]
    control_plane.kubectl("delete", "pod/runs", "--timeout=60s")
    assert control_plane.kubectl("get", "pod/runs", "--ignore-not-found") == ""


def test_a_pod_whose_image_does_not_exist_waits_for_it(control_plane: ControlPlane) -> None:
    control_plane.kubectl("run", "waits", "--image=x:does-not-exist")

    def reason(pod: Any) -> str | None:
        statuses = pod["status"].get("containerStatuses", [])
        return statuses[0]["state"]["waiting"]["reason"] if statuses else None

    pod = _until(control_plane, "pod/waits", lambda found: reason(found) == "ImagePullBackOff")
    assert pod["status"]["phase"] == "Pending"
    assert "x:does-not-exist" in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    control_plane.kubectl("delete", "pod/waits", "--timeout=60s")


def test_a_virtual_machine_starts_stops_and_is_deleted(control_plane: ControlPlane) -> None:
    spec = {"runStrategy": "Always", "template": {"spec": {"domain": {"devices": {}}}}}
    machine = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "machine"}, "spec": spec}
    control_plane.kubectl("create", "-f", "-", stdin=json.dumps(machine))

    def shows(status: str) -> Callable[[Any], bool]:
        return lambda found: found.get("status", {}).get("printableStatus") == status

    running = _until(control_plane, "vm/machine", shows("Running"))
    assert (running["status"]["created"], running["status"]["ready"]) == (True, True)
    control_plane.kubectl("patch", "vm/machine", "--type=merge", "-p", '{"spec": {"runStrategy": "Halted"}}')
    stopped = _until(control_plane, "vm/machine", shows("Stopped"))
    assert (stopped["status"]["created"], stopped["status"]["ready"]) == (False, False)
    control_plane.kubectl("delete", "vm/machine", "--timeout=60s")


def test_a_namespace_with_both_in_it_goes_away(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "namespace", "going")
    control_plane.kubectl("run", "pod", "--image=nginx:1", "--namespace=going")
    control_plane.kubectl("delete", "namespace/going", "--timeout=60s")
    assert control_plane.kubectl("get", "namespace/going", "--ignore-not-found") == ""


def test_a_service_account_may_do_only_what_its_rules_say(control_plane: ControlPlane) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    kubeconfig = control_plane.service_account("reader", rules)
    control_plane.kubectl("get", "pods", "--all-namespaces", kubeconfig=kubeconfig)
    with pytest.raises(RuntimeError, match=r"secrets is forbidden: User \"system:serviceaccount:default:reader\""):
        control_plane.kubectl("get", "secrets", kubeconfig=kubeconfig)
    again = control_plane.service_account("reader", [{**rules[0], "resources": ["secrets"]}])
    control_plane.kubectl("get", "secrets", kubeconfig=again)
    with pytest.raises(RuntimeError, match="pods is forbidden"):
        control_plane.kubectl("get", "pods", kubeconfig=again)


def test_objects_survive_kill_9_of_the_api_server(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "configmap", "survives")
    control_plane.kill_api_server()
    with pytest.raises(RuntimeError, match="refused"):
        control_plane.kubectl("get", "configmap/survives")
    control_plane.start_api_server()
    control_plane.kubectl("delete", "configmap/survives")


def test_what_was_saved_goes_on_but_for_what_ran(tmp_path: Path) -> None:
    state = tmp_path / "state.tar.gz"
    try:
        build.directory()
    except Unavailable as reason:
        pytest.skip(str(reason))
    with kubernetes.start(real_node=True) as first:
        first.kubectl("create", "configmap", "kept")
        kept = first.kubectl("get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}")
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "ran"}}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "held"}}
        for created in (node, lease):
            first.kubectl("create", "-f", "-", stdin=json.dumps(created))
        first.kubectl("run", "ran", "--image=nginx:1", "--overrides", '{"spec": {"nodeName": "ran"}}')
        token = first.kubectl("create", "token", "default")
        first.save(state)
        first.kubectl("create", "configmap", "later")
        authority = first.authority.read_bytes()
    assert state.stat().st_mode & 0o777 == 0o600
    with kubernetes.start(real_node=True, state=state) as second:
        assert second.kubectl("get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}") == kept
        assert second.kubectl("get", "nodes,pods,leases", "--ignore-not-found") == ""
        assert second.kubectl("get", "configmap", "later", "--ignore-not-found") == ""
        assert second.authority.read_bytes() == authority
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        said = second.kubectl("create", "-f", "-", "-o", "jsonpath={.status.authenticated}", stdin=json.dumps(review))
        assert said == "true", "the same keys sign"


def test_kill_9_of_its_owner_leaves_no_process_behind() -> None:
    try:
        build.directory()
    except Unavailable as reason:
        pytest.skip(str(reason))
    # Started from a thread that has ended by the time of the kill: only the process may count.
    program = """
import json, threading, time
from testbed import kubernetes
planes = []
thread = threading.Thread(target=lambda: planes.append(kubernetes.start(nodes=1, virtual_machines=False)))
thread.start(); thread.join(); time.sleep(1)
print(json.dumps([str(planes[0].directory), dict(planes[0].pids)]), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        directory, pids = json.loads(owner.stdout.readline())
        assert set(pids) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while left := {name for name, pid in pids.items() if directory in _working_directory(pid)}:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


def _working_directory(pid: int) -> str:
    """Empty when there is no such process, or only its exit status is left."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _until(plane: ControlPlane, what: str, done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 60
    while not done(found := json.loads(plane.kubectl("get", what, "-o", "json"))):
        assert time.monotonic() < deadline, f"{what} is {found.get('status')}"
        time.sleep(0.2)
    return found
