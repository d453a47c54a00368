"""Deploys KubeVirt on a real node by its own operator, and waits until it takes virtual machines.

What the first deployment has left in etcd is kept beside the built binaries, and the next ones go on from there.
"""

import hashlib
import json
import platform
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from testbed import build, cache, kubernetes, node
from testbed.kubevirt import images

NAMESPACE = "kubevirt"
_TIMEOUT = 300.0
_COMPONENTS = {"virt-operator", "virt-api", "virt-controller", "virt-handler"}
_DAY = 86_400
# Well before its certificates end; see _wish and kubernetes.certificates.
_OLDEST = 30 * _DAY
_TESTBED = Path(__file__).parents[1]


@contextmanager
def running() -> Iterator["KubeVirt"]:
    """On a node and a control plane of its own, which go with it.

    Raises Unavailable where parts are missing; RuntimeError with what KubeVirt says of itself when it does not get
    ready.
    """
    state = saved()
    with ExitStack() as stack:
        kubevirt = _restored(stack, state)
        if kubevirt is None:
            kubevirt = _started(stack, None)
            _save(kubevirt, state)
        yield kubevirt


def saved() -> Path:
    """Where the state is kept of what is deployed by exactly this testbed, with these binaries, on such a machine."""
    digest = hashlib.sha256(platform.machine().encode())
    for suite in (build.CONTROL_PLANE, build.NODE, build.KUBEVIRT):
        digest.update(str(build.location(suite)).encode())
    for path in sorted(path for path in _TESTBED.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(path.relative_to(_TESTBED).as_posix().encode() + path.read_bytes())
    return cache.directory() / f"kubevirt-state-{digest.hexdigest()[:12]}.tar.gz"


def _restored(stack: ExitStack, state: Path) -> "KubeVirt | None":
    if not state.is_file() or time.time() - state.stat().st_mtime > _OLDEST:
        return None
    try:
        return _started(stack, state)
    except (OSError, EOFError, tarfile.TarError, RuntimeError) as reason:
        print(f"testbed: KubeVirt does not come up from {state} and is deployed anew: {reason}", flush=True)
        stack.close()
        return None


def _started(stack: ExitStack, state: Path | None) -> "KubeVirt":
    plane = stack.enter_context(kubernetes.start(real_node=True, state=state))
    kubevirt = KubeVirt(stack.enter_context(node.start(plane)), restored=state is not None)
    kubevirt._start()
    return kubevirt


def _save(kubevirt: "KubeVirt", target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".state-") as folder:
        draft = Path(folder) / target.name
        kubevirt.node.control_plane.save(draft)
        draft.rename(target)


class KubeVirt:
    """A deployed KubeVirt; it goes with its node. `restored`: from the state that an earlier one was saved in."""

    def __init__(self, node: node.Node, *, restored: bool) -> None:
        self.node = node
        self.restored = restored
        self.version = images.version()

    def _start(self) -> None:
        images.lend(self.node.directory / "images")
        role = "node-role.kubernetes.io/control-plane="
        self.node.control_plane.kubectl("label", "node", self.node.name, role, "--overwrite")
        if not self.restored:
            self._deploy()
        self._wait("KubeVirt is deployed", self._deployed)

    def _deploy(self) -> None:
        kubectl = self.node.control_plane.kubectl
        crds = json.loads((build.directory() / build.CRDS).read_text())["items"]
        own = next(crd for crd in crds if crd["spec"]["names"]["kind"] == "KubeVirt")
        kubectl("apply", "--server-side", "-f", "-", stdin=_list([own, *_operator()]))
        kubectl("wait", "crd", own["metadata"]["name"], "--for=condition=Established", "--timeout=60s")
        kubectl("apply", "-f", "-", stdin=json.dumps(_wish()))

    def _deployed(self) -> bool:
        status = self._seen().get("status", {})
        said = {each["type"]: each["status"] for each in status.get("conditions", [])}
        deployed = status.get("phase") == "Deployed" and said.get("Available") == "True"
        return bool(deployed and self._components_run() and self._schedulable() and self._answers())

    def _components_run(self) -> bool:
        """As the kubelet says of each Pod: KubeVirt's own word may be an earlier one's."""
        pods = self._listed("pods", "-n", NAMESPACE)
        ready = {pod["metadata"]["labels"].get("kubevirt.io") for pod in pods if _true(pod, "Ready")}
        return ready >= _COMPONENTS and all(_true(pod, "Ready") for pod in pods)

    def _schedulable(self) -> bool:
        """As virt-handler, which runs on it, says of this node."""
        (found,) = self._listed("nodes")
        return bool(found["metadata"]["labels"].get("kubevirt.io/schedulable") == "true")

    def _listed(self, *what: str) -> list[Any]:
        return list(json.loads(self.node.control_plane.kubectl("get", *what, "-o", "json"))["items"])

    def _answers(self) -> bool:
        """Whether the aggregated API is reached, which is more than virt-api being ready."""
        try:
            self.node.control_plane.kubectl("get", "--raw", "/apis/subresources.kubevirt.io/v1")
        except RuntimeError:
            return False
        return True

    def _seen(self) -> dict[str, Any]:
        found = self.node.control_plane.kubectl("get", "kubevirt", "kubevirt", "-n", NAMESPACE, "-o", "json")
        return dict(json.loads(found))

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                kubectl = self.node.control_plane.kubectl
                said = kubectl("get", "pods,kubevirt", "-A", "-o", "wide")
                events = kubectl("get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp")[-3000:]
                raise RuntimeError(f"not within {_TIMEOUT:.0f} s: {what}\n{said}\n{events}\n{self._seen()['status']}")
            time.sleep(0.5)


def _operator() -> list[dict[str, Any]]:
    image = f"{images.REGISTRY}/virt-operator:{images.version()}"
    labels = {"kubevirt.io": "virt-operator"}
    account = {"kind": "ServiceAccount", "name": "kubevirt-operator", "namespace": NAMESPACE}
    secret = {"name": "kubevirt-operator-certs", "secret": {"secretName": "kubevirt-operator-certs", "optional": True}}
    container = {
        "name": "virt-operator",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["virt-operator"],
        "args": ["--port", "8443", "-v", "2"],
        "ports": [{"name": "metrics", "containerPort": 8443}, {"name": "webhooks", "containerPort": 8444}],
        "env": [
            {"name": "VIRT_OPERATOR_IMAGE", "value": image},
            {"name": "KUBEVIRT_VERSION", "value": images.version()},
        ],
        "readinessProbe": {"httpGet": {"scheme": "HTTPS", "port": 8443, "path": "/metrics"}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "kubevirt-operator-certs", "mountPath": "/etc/virt-operator/certificates", "readOnly": True},
            {"name": "profile-data", "mountPath": "/profile-data"},
        ],
    }
    template = {
        "metadata": {"labels": labels | {"name": "virt-operator"}},
        "spec": {
            "serviceAccountName": "kubevirt-operator",
            "priorityClassName": "kubevirt-cluster-critical",
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [secret, {"name": "profile-data", "emptyDir": {}}],
        },
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"kubevirt.io": "", "pod-security.kubernetes.io/enforce": "privileged"},
            },
        },
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "kubevirt-cluster-critical"},
            "value": 1_000_000_000,
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "kubevirt-operator", "namespace": NAMESPACE, "labels": labels},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubevirt-operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [account],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "virt-operator", "namespace": NAMESPACE, "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    ]


def _wish() -> dict[str, Any]:
    """One of each, by emulation: the machine's /dev/kvm, where there is one, may not run what it promises."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"name": "kubevirt", "namespace": NAMESPACE},
        "spec": {
            "imagePullPolicy": "IfNotPresent",
            "infra": {"replicas": 1},
            "certificateRotateStrategy": {"selfSigned": {"ca": _lasting(), "server": _lasting()}},
            "configuration": {
                "developerConfiguration": {"useEmulation": True},
                "virtTemplateDeployment": {"enabled": False},
            },
        },
    }


def _lasting() -> dict[str, str]:
    return {"duration": f"{90 * 24}h", "renewBefore": f"{9 * 24}h"}


def _true(obj: dict[str, Any], condition: str) -> bool:
    found = obj["status"].get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in found)


def _list(items: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
