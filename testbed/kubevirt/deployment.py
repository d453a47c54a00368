"""Deploys KubeVirt on a real node by its own operator, and waits until it takes virtual machines."""

import json
import time
from collections.abc import Callable
from typing import Any

from testbed import build
from testbed.kubevirt import images
from testbed.node import Node

NAMESPACE = "kubevirt"
_TIMEOUT = 300.0


def start(node: Node) -> "KubeVirt":
    """On that node, which goes on to run what it ran.

    Raises Unavailable where parts are missing; RuntimeError with what KubeVirt says of itself when it does not get
    ready.
    """
    images.lend(node.directory / "images")
    kubevirt = KubeVirt(node)
    kubevirt._deploy()
    return kubevirt


class KubeVirt:
    """A deployed KubeVirt; it goes with its node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.version = images.version()

    def _deploy(self) -> None:
        kubectl = self.node.control_plane.kubectl
        kubectl("label", "node", self.node.name, "node-role.kubernetes.io/control-plane=", "--overwrite")
        crds = json.loads((build.directory() / build.CRDS).read_text())["items"]
        own = next(crd for crd in crds if crd["spec"]["names"]["kind"] == "KubeVirt")
        kubectl("apply", "--server-side", "-f", "-", stdin=_list([own, *_operator()]))
        kubectl("wait", "crd", own["metadata"]["name"], "--for=condition=Established", "--timeout=60s")
        kubectl("apply", "-f", "-", stdin=json.dumps(_wish()))
        self._wait("KubeVirt is deployed", self._deployed)

    def _deployed(self) -> bool:
        status = self._seen().get("status", {})
        said = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return bool(status.get("phase") == "Deployed" and said.get("Available") == "True" and self._answers())

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
            "configuration": {
                "developerConfiguration": {"useEmulation": True},
                "virtTemplateDeployment": {"enabled": False},
            },
        },
    }


def _list(items: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
