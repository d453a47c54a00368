"""A Kubernetes API as the contract tests see it: raw HTTP and kubectl, the same for the simulator and the real one.

Checks nothing itself; answers what the server said.
"""

import json
import os
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
PATIENCE = 30.0


class Answer:
    """A status code and a decoded body."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.text = response.text
        self.content_type = response.headers.get("content-type", "")
        self.json: Json = response.json() if self.text.startswith("{") else {}

    def __repr__(self) -> str:
        return f"{self.status} {self.text[:1500]}"

    def ok(self, *codes: int) -> Json:
        assert self.status in (codes or (200, 201)), self
        return self.json

    def refused(self, code: int, reason: str) -> Json:
        """The Status of a refusal, whose shape is checked."""
        assert self.status == code, self
        status = self.json
        assert status["kind"] == "Status", self
        assert status["apiVersion"] == "v1", self
        assert status["status"] == "Failure", self
        assert status["code"] == code, self
        assert status.get("reason", "") == reason, self
        return status


@dataclass
class Seen:
    """One line of a watch."""

    type: str
    object: Json

    @property
    def name(self) -> str:
        return str(self.object["metadata"].get("name", ""))

    @property
    def revision(self) -> int:
        return int(self.object["metadata"]["resourceVersion"])


class ClusterApi:
    def __init__(self, kind: str, kubeconfig: Path, kubectl: str, cache: Path) -> None:
        self.kind = kind
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl
        self._cache = cache
        loaded = yaml.safe_load(kubeconfig.read_text())
        cluster, user = loaded["clusters"][0]["cluster"], loaded["users"][0].get("user") or {}
        self.url = str(cluster["server"])
        self.tls = _context(cluster, user) if self.url.startswith("https") else None
        self.http = httpx.Client(
            base_url=self.url,
            verify=self.tls or True,
            headers={"User-Agent": "contract/1"},
            timeout=20,
            trust_env=False,
        )

    @property
    def simulated(self) -> bool:
        return self.kind == "simulator"

    def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = "*/*"
    ) -> Answer:
        content = body if isinstance(body, bytes | str) or body is None else json.dumps(body)
        headers = {"Content-Type": content_type, "Accept": accept}
        return Answer(self.http.request(method, path, content=content, headers=headers))

    def get(self, path: str, accept: str = "*/*") -> Answer:
        return self.call("GET", path, accept=accept)

    def post(self, path: str, body: Any) -> Answer:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any, content_type: str = MERGE) -> Answer:
        return self.call("PATCH", path, body, content_type)

    def apply(self, path: str, body: Any, manager: str = "contract", force: bool = False) -> Answer:
        sign = "&" if "?" in path else "?"
        return self.patch(f"{path}{sign}fieldManager={manager}{'&force=true' if force else ''}", body, APPLY)

    def delete(self, path: str, body: Any = None) -> Answer:
        return self.call("DELETE", path, body)

    def revision(self, path: str) -> str:
        """The resource version of a list, from which a watch may start."""
        return str(self.get(path).ok()["metadata"]["resourceVersion"])

    @contextmanager
    def watch(self, path: str, query: str = "", accept: str = "application/json") -> Iterator["Watch"]:
        with self.http.stream(
            "GET", f"{path}?watch=1&{query}", headers={"Accept": accept}, timeout=httpx.Timeout(10, read=PATIENCE)
        ) as response:
            yield Watch(response)

    def until(self, path: str, met: Callable[[Json], object], seconds: float = PATIENCE) -> Json:
        """The object as soon as it is as wished."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if answer.status == 200 and met(answer.json):
                return answer.json
            assert time.monotonic() < deadline, f"never came true: {answer}"
            time.sleep(0.03)

    def until_gone(self, path: str, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while (answer := self.get(path)).status != 404:
            assert time.monotonic() < deadline, f"never went away: {answer}"
            time.sleep(0.03)

    def kubectl(self, *arguments: str, stdin: str | None = None, fails: bool = False) -> str:
        """Its output, or with `fails` its complaint."""
        done = subprocess.run(
            [self._kubectl, "--cache-dir", str(self._cache), *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode != 0) is fails, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    def kubectl_process(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self._kubectl, "--cache-dir", str(self._cache), *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def make_namespace(self, labels: Json | None = None) -> "Namespace":
        """A new one in which Pods are admitted, and where nothing appears any more by itself."""
        name = f"contract-{uuid.uuid4().hex[:10]}"
        self.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}}).ok(201)
        self.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda _: True)
        self.until(f"/api/v1/namespaces/{name}/configmaps/kube-root-ca.crt", lambda _: True)
        return Namespace(name)


class Watch:
    """An open watch."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.status = response.status_code
        self._lines = response.iter_lines() if self.status == 200 else iter(())

    def next(self) -> Seen:
        line = json.loads(next(self._lines))
        return Seen(line["type"], line["object"])

    def take(self, count: int) -> list[Seen]:
        return [self.next() for _ in range(count)]

    def until(self, met: Callable[[Seen], object]) -> Seen:
        while True:
            seen = self.next()
            if met(seen):
                return seen

    def rest(self) -> list[Seen]:
        """Everything until the server ends the watch."""
        return [Seen(line["type"], line["object"]) for line in map(json.loads, self._lines)]


@dataclass(frozen=True)
class Namespace:
    name: str

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.name}"

    def of(self, plural: str, name: str = "") -> str:
        """The path of a built-in collection or object in this namespace."""
        groups = {"networkpolicies": "networking.k8s.io", "leases": "coordination.k8s.io", "daemonsets": "apps"}
        prefix = f"/apis/{groups[plural]}/v1" if plural in groups else "/api/v1"
        return f"{prefix}/namespaces/{self.name}/{plural}{'/' + name if name else ''}"

    def machines(self, name: str = "", plural: str = "virtualmachines") -> str:
        return f"/apis/kubevirt.io/v1/namespaces/{self.name}/{plural}{'/' + name if name else ''}"


def config_map(name: str, data: Json | None = None, **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def pod(name: str, image: str = "nginx:1", cpu: str = "", memory: str = "", **metadata: Any) -> Json:
    """A Pod with one container; requests equal limits where they are given."""
    amounts = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    resources = {"requests": amounts, "limits": amounts} if amounts else {}
    container = {"name": "main", "image": image, "resources": resources}
    spec = {"automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def machine(name: str, strategy: str = "Always", image: str = "example/disk:1", **metadata: Any) -> Json:
    devices = {
        "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
        "interfaces": [{"name": "default", "masquerade": {}}],
    }
    spec = {
        "domain": {"cpu": {"sockets": 2, "cores": 1, "threads": 1}, "memory": {"guest": "1Gi"}, "devices": devices},
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "root", "containerDisk": {"image": image}}],
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name, **metadata},
        "spec": {"runStrategy": strategy, "template": {"metadata": {"labels": {"made-by": "contract"}}, "spec": spec}},
    }


def condition(obj: Json, kind: str) -> Json | None:
    for item in (obj.get("status") or {}).get("conditions") or ():
        if item["type"] == kind:
            found: Json = item
            return found
    return None


def is_true(obj: Json, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def running(obj: Json) -> bool:
    return (obj.get("status") or {}).get("phase") == "Running" and is_true(obj, "Ready")


def _context(cluster: Json, user: Json) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    return context
