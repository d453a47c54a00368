"""metrics-server on the real node: what each Pod uses, as metrics.k8s.io behind the API server's aggregation."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from testbed import build
from testbed.node.inside import ADDRESS
from testbed.node.node import Node
from testbed.processes import spawn

_PORT = 4443
_NAME = "metrics-server"
_SPACE = "kube-system"
_API = "/apis/metrics.k8s.io/v1beta1"
_TIMEOUT = 90.0
# Less than its own 60 s: it needs two looks at the kubelet before it answers. It must be more than it waits for one.
_RESOLUTION = "15s"
_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods", "nodes", "namespaces", "configmaps"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]


@contextmanager
def running(node: Node) -> Iterator[str]:
    """Its version, once it has measured; at the end the API is gone again. Raises Unavailable when it is not built."""
    program = build.directory(build.METRICS) / _NAME
    plane = node.control_plane
    kubeconfig = plane.service_account(_NAME, _RULES, _SPACE)
    flags = [
        f"--{name}={kubeconfig}" for name in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    ]
    flags += [f"--secure-port={_PORT}", f"--cert-dir={node.directory / 'metrics-server'}", "--kubelet-insecure-tls"]
    flags += ["--kubelet-preferred-address-types=InternalIP", f"--metric-resolution={_RESOLUTION}"]
    process = spawn(_NAME, node.enter(program, *flags), node.directory)
    try:
        plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()}))
        process.wait_until(lambda: _measured(node), _TIMEOUT, "measured")
        yield build.METRICS.binaries[0].version
    finally:
        plane.kubectl("delete", "--ignore-not-found", "apiservice", "v1beta1.metrics.k8s.io")
        process.kill()


def _measured(node: Node) -> bool:
    time.sleep(0.5)
    try:
        return bool(json.loads(node.control_plane.kubectl("get", "--raw", f"{_API}/nodes"))["items"])
    except RuntimeError:
        return False


def _objects() -> list[dict[str, Any]]:
    """As metrics-server's own manifests have them, but for a Service that leads to a process instead of a Pod."""
    metadata = {"name": _NAME, "namespace": _SPACE}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": _PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": _NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": _PORT, "protocol": "TCP"}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "service": metadata,
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
