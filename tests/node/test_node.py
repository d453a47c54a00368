"""Containers really run, end, fail and are reached: what kwok pretends, a kubelet does here."""

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest

from testbed import build
from testbed.node import Node, images
from testbed.processes import free_port
from tests.node import pods

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def web(node: Node) -> Iterator[str]:
    """The name of a Pod that runs the web server."""
    pods.run(node, "web", images.WEB)
    pods.until(node, "web", pods.ready)
    yield "web"
    pods.delete(node, "web")


def test_the_node_is_of_the_pinned_version(node: Node) -> None:
    shown = node.control_plane.kubectl("get", "node", node.name, "-o", "jsonpath={.status.nodeInfo.kubeletVersion}")
    assert shown == build.pinned("kubernetes", "k8s.io/kubernetes")
    assert node.runtime == "containerd://" + build.pinned("node", "github.com/containerd/containerd/v2").lstrip("v")


def test_logs(node: Node, web: str) -> None:
    assert "serving on port 80" in node.control_plane.kubectl("logs", web)


def test_exec(node: Node, web: str) -> None:
    assert node.control_plane.kubectl("exec", web, "--", "cat", "/etc/hostname") == "web\n"
    with pytest.raises(RuntimeError, match="exit code 7"):
        node.control_plane.kubectl("exec", web, "--", "sh", "-c", "exit 7")


def test_port_forward(node: Node, web: str) -> None:
    with _forwarded(node, web) as url:
        assert _get(f"{url}/") == "hello from web\n"
        first = int(_get(f"{url}/counter"))
        assert int(_get(f"{url}/counter")) == first + 1


def test_a_service_leads_to_its_pod_and_to_the_api_server(node: Node, web: str) -> None:
    node.control_plane.kubectl("expose", "pod", web, "--port=80")
    pods.run(node, "client", images.BUSYBOX, "sleep", "600")
    pods.until(node, "client", pods.ready)
    address = node.control_plane.kubectl("get", "service", web, "-o", "jsonpath={.spec.clusterIP}")
    deadline = time.monotonic() + 30
    while "hello" not in (said := _exec(node, "client", "wget", "-qO-", f"http://{address}/")):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    # Plain HTTP where TLS is spoken: the answer proves who is at the other end.
    assert "400 Bad Request" in _exec(node, "client", "wget", "-qO-", "http://10.96.0.1:443/version")
    node.control_plane.kubectl("delete", "service", web)
    pods.delete(node, "client")


def test_containers_survive_kubelet_and_containerd(node: Node, web: str) -> None:
    before = pods.main(pods.until(node, web, pods.ready))
    for daemon in ("kubelet", "containerd"):
        node.kill(daemon)
        node.restart(daemon)
    deadline = time.monotonic() + 30
    while "hello" not in (said := _exec(node, web, "wget", "-qO-", "http://127.0.0.1/")):
        # A kubelet knows no Pods before it has read its list of them.
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    after = pods.main(pods.until(node, web, pods.ready))
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)


def test_what_goes_wrong_is_named_as_the_kubelet_names_it(node: Node) -> None:
    pods.run(node, "hungry", images.HUNGRY, memory="32Mi")
    pods.run(node, "crashing", images.CRASHING)
    pods.run(node, "missing", "testbed/web:no-such-tag")
    pods.run(node, "never", "testbed/web:not-here", imagePullPolicy="Never")
    pods.run(node, "default", images.DEFAULT)
    hungry = pods.main(pods.until(node, "hungry", pods.waits_for("CrashLoopBackOff")))
    assert hungry["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert hungry["lastState"]["terminated"]["exitCode"] == 137
    crashing = pods.main(pods.until(node, "crashing", pods.waits_for("CrashLoopBackOff")))
    assert crashing["lastState"]["terminated"]["exitCode"] == 3
    missing = pods.main(pods.until(node, "missing", pods.waits_for("ImagePullBackOff")))
    assert "not found" in missing["state"]["waiting"]["message"]
    never = pods.main(pods.until(node, "never", pods.waits_for("ErrImageNeverPull")))
    assert "pull policy of Never" in never["state"]["waiting"]["message"]
    pods.until(node, "default", pods.ready)
    pods.delete(node, "hungry", "crashing", "missing", "never", "default")


@contextlib.contextmanager
def _forwarded(node: Node, pod: str) -> Iterator[str]:
    port = free_port()
    command = [str(build.directory() / "kubectl"), f"--kubeconfig={node.control_plane.kubeconfig}"]
    command += ["port-forward", f"pod/{pod}", f"{port}:80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "Forwarding" in process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def _exec(node: Node, pod: str, *command: str) -> str:
    """What the command says in the Pod, or why it says nothing."""
    try:
        return node.control_plane.kubectl("exec", pod, "--", *command)
    except RuntimeError as error:
        return str(error)
