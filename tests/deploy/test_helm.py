"""deploy/helm/cmp on the real API server: it is admitted, rolls out, goes up and back, and leaves nothing behind.

The nodes pretend, so no process of CMP's runs here; the test says of the migrations' Pod that it succeeded.
"""

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.kube.rights import RIGHTS
from app.settings import Settings
from testbed import Unavailable, build
from testbed.kubernetes import ControlPlane
from tests.e2e.platform import ROOT

CHART = ROOT / "deploy/helm/cmp"
_NAMESPACE = "cmp-chart"
_VALUES = ("existingSecret=cmp", "api.autoscaling.enabled=true", "ingress.enabled=true")
_ALL = (
    *(*_VALUES, "nodeAgent.enabled=true", "ingress.tlsSecret=tls"),
    *(f"metrics.{what}.enabled=true" for what in ("serviceMonitor", "prometheusRule")),
)

pytestmark = pytest.mark.kubernetes


@pytest.fixture(scope="module")
def helm() -> Path:
    try:
        return build.directory(build.HELM) / "helm"
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_it_is_linted_and_renders(helm: Path) -> None:
    _run(helm, "lint", "--strict", CHART, *_set(_ALL))
    objects = _rendered(helm, *_ALL)
    kinds = {document["kind"] for document in objects}
    asked_for = {"ServiceMonitor", "PrometheusRule", "DaemonSet", "Ingress", "HorizontalPodAutoscaler"}
    asked_for |= {"ValidatingAdmissionPolicy"}
    assert asked_for <= kinds
    (rule,) = (document for document in objects if document["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text())
    assert not {d["kind"] for d in _rendered(helm, "existingSecret=cmp", "fence.enabled=false")} & asked_for
    for container in _containers(objects):
        for setting in container["env"]:
            name = setting["name"].removeprefix("CMP_").lower()
            assert name in Settings.model_fields


def test_the_role_is_the_one_list_of_rights(helm: Path) -> None:
    (role,) = (document for document in _rendered(helm, *_VALUES) if document["kind"] == "ClusterRole")
    assert role["rules"] == yaml.safe_load((ROOT / "deploy/kubernetes/rbac.yaml").read_text())["rules"]
    assert len(role["rules"]) == len(RIGHTS)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("existingSecret=", "existingSecret"),
        ("api.replicas=0", "minimum"),
        ("api.replica=2", "additional properties 'replica' not allowed"),
        ("image.digest=latest", "does not match pattern"),
        ("settings.CMP_SECRET_KEY=x", "invalid propertyName 'CMP_SECRET_KEY'"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(helm: Path, value: str, why: str) -> None:
    command: list[str | Path] = [helm, "template", "cmp", CHART, *_set(("existingSecret=cmp", value))]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert why in refused.stderr


@pytest.fixture(scope="module")
def installed(helm: Path, control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """In a namespace that admits only what is restricted."""
    namespace = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE, "labels": namespace}}
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    secret = ("--from-literal=CMP_DATABASE_URL=postgresql://x", "--from-literal=CMP_SECRET_KEY=x")
    control_plane.kubectl("create", "secret", "generic", "cmp", "-n", _NAMESPACE, *secret)
    with _migrations_succeed(control_plane):
        _helm(helm, control_plane, "install", *_set(_VALUES), "--wait", "--timeout", "90s")
    yield control_plane
    control_plane.kubectl("delete", "namespace", _NAMESPACE, "--wait=false")


def test_it_rolls_out(installed: ControlPlane) -> None:
    # The autoscaler's least number, which it sees to in its own time.
    both = "--for=jsonpath={.status.readyReplicas}=2"
    installed.kubectl("wait", both, "deployments", "--all", "-n", _NAMESPACE, "--timeout=60s")
    assert {deployment["metadata"]["name"] for deployment in _listed(installed, "deployments")} == {
        "cmp-api",
        "cmp-worker",
    }
    budgets = {b["metadata"]["name"]: b["status"]["disruptionsAllowed"] for b in _listed(installed, "pdb")}
    assert budgets == {"cmp-api": 1, "cmp-worker": 1}
    assert [h["spec"]["maxReplicas"] for h in _listed(installed, "hpa")] == [10]
    assert {p["metadata"]["name"] for p in _listed(installed, "networkpolicies")} == {"cmp", "cmp-api"}
    (slices,) = _listed(installed, "endpointslices")
    assert len(slices["endpoints"]) == 2


def test_its_account_may_what_is_listed_within_the_fence(installed: ControlPlane) -> None:
    account = f"--as=system:serviceaccount:{_NAMESPACE}:cmp"

    def may(verb: str, what: str) -> bool:
        review = {"verb": verb, "resource": what.partition(".")[0], "group": what.partition(".")[2]}
        asked: dict[str, Any] = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        asked |= {"spec": {"user": account.partition("=")[2], "resourceAttributes": {"namespace": "default"} | review}}
        answer = installed.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(asked))
        return bool(json.loads(answer)["status"]["allowed"])

    assert may("create", "pods")
    assert not may("get", "secrets")
    assert not may("create", "clusterroles.rbac.authorization.k8s.io")
    with pytest.raises(RuntimeError, match="CMP may write only in namespaces that it made"):
        installed.kubectl("create", "secret", "generic", "x", "-n", "default", account)


def test_it_goes_up_and_back_and_away(helm: Path, installed: ControlPlane) -> None:
    with _migrations_succeed(installed):
        _helm(helm, installed, "upgrade", *_set((*_VALUES, "image.tag=next")), "--wait", "--timeout", "90s")
    assert _images(installed) == {"cmp:next"}
    _helm(helm, installed, "rollback", "--no-hooks", "--wait", "--timeout", "90s", chart=False)
    assert _images(installed) == {"cmp:0.1.0"}
    _helm(helm, installed, "uninstall", "--wait", chart=False)
    left = installed.kubectl("get", "clusterroles,clusterrolebindings,validatingadmissionpolicies", "-o", "name")
    assert f"{_NAMESPACE}-cmp" not in left
    assert "cmp-fence" not in left


def _images(plane: ControlPlane) -> set[str]:
    return {container["image"] for container in _containers(_listed(plane, "deployments"))}


def _containers(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of CMP itself."""
    for document in objects:
        if document["kind"] in ("Deployment", "Job"):
            yield from document["spec"]["template"]["spec"]["containers"]


@contextmanager
def _migrations_succeed(plane: ControlPlane) -> Iterator[None]:
    """What the Job's Pod would do if anything ran here."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for pod in _listed(plane, "pods", "app.kubernetes.io/component=migrations"):
                if pod["status"]["phase"] == "Running":
                    plane.kubectl(
                        *("patch", "pod", pod["metadata"]["name"], "-n", _NAMESPACE, "--subresource=status"),
                        *("--patch", json.dumps({"status": {"phase": "Succeeded"}})),
                    )

    with ThreadPoolExecutor(max_workers=1) as aside:
        watching = aside.submit(watch)
        try:
            yield
        finally:
            over.set()
        watching.result()


def _listed(plane: ControlPlane, kind: str, selector: str = "") -> list[dict[str, Any]]:
    return list(json.loads(plane.kubectl("get", kind, "-n", _NAMESPACE, "-l", selector, "-o", "json"))["items"])


def _rendered(helm: Path, *values: str) -> list[dict[str, Any]]:
    text = _run(helm, "template", "cmp", CHART, "--namespace", _NAMESPACE, *_set(values))
    return [document for document in yaml.safe_load_all(text) if document]


def _helm(helm: Path, plane: ControlPlane, verb: str, *words: str, chart: bool = True) -> None:
    what = ["cmp", CHART] if chart else ["cmp"]
    _run(helm, verb, *what, "--namespace", _NAMESPACE, "--kubeconfig", plane.kubeconfig, *words)


def _set(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-3000:]}"
    return done.stdout
