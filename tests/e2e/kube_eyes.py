"""What is in Kubernetes, looked at from outside CMP: kubectl on a real API server, plain HTTP on the simulator."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.e2e.platform import ROOT

_VMS = "/apis/kubevirt.io/v1/namespaces/{}/virtualmachines"


@dataclass(frozen=True)
class KubeEyes:
    """`get` answers None for what is not there; `kubectl` is None on the simulator."""

    kubernetes: str
    """What CMP_KUBERNETES is set to."""
    get: Callable[[str], Any]
    delete: Callable[[str], None]
    create: Callable[[str, dict[str, Any]], None]
    kubectl: Callable[..., str] | None = None

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        found = self.get(f"/api/v1/namespaces/{namespace}/pods")
        launchers = "virt-launcher"
        return [p for p in found["items"] if p["metadata"].get("labels", {}).get("kubevirt.io") != launchers]

    def virtual_machines(self, namespace: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get(_VMS.format(namespace))["items"]
        return items

    def namespace(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.get(f"/api/v1/namespaces/{name}")
        return found


def on_simulator(url: str) -> KubeEyes:
    def get(path: str) -> Any:
        answer = httpx.get(url + path, timeout=10)
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def delete(path: str) -> None:
        httpx.delete(url + path, timeout=10).raise_for_status()

    def create(path: str, body: dict[str, Any]) -> None:
        httpx.post(url + path, json=body, timeout=10).raise_for_status()

    return KubeEyes(url, get, delete, create)


def account(plane: Any) -> Path:
    """The kubeconfig of CMP's own account as deploy/ makes it: with its rights, and inside its fence."""
    rules = yaml.safe_load((ROOT / "deploy/kubernetes/rbac.yaml").read_text())["rules"]
    if "cmp-system" not in plane.kubectl("get", "namespaces", "-o", "name"):
        plane.kubectl("create", "namespace", "cmp-system")
    plane.kubectl("apply", "-f", str(ROOT / "deploy/kubernetes/fence.yaml"))
    found: Path = plane.service_account("cmp", rules, "cmp-system")
    return found


def on_control_plane(plane: Any) -> KubeEyes:
    """For CMP with the rights that deploy/ gives it; what is looked at here is looked at as administrator."""
    kubeconfig = str(account(plane))

    def get(path: str) -> Any:
        try:
            return json.loads(plane.kubectl("get", "--raw", path))
        except Exception as error:
            if "not found" in str(error).lower():
                return None
            raise

    def delete(path: str) -> None:
        plane.kubectl("delete", "--raw", path)

    def create(path: str, body: dict[str, Any]) -> None:
        plane.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))

    return KubeEyes(kubeconfig, get, delete, create, plane.kubectl)
