"""Pods that nobody runs, what runs in their cgroups instead, and the agent as a process beside them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.kubernetes import ControlPlane
from tests.e2e.platform import ROOT

NODE = "node-0"
LABELS = {"app.kubernetes.io/managed-by": "cmp", "instance-type": "container"}
LAYOUTS = {
    1: "kubepods/burstable/pod{uid}/{container}",
    2: "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{underscored}.slice/cri-{container}.scope",
}


@dataclass
class Pod:
    """One that CMP might have made, on a node that kwok pretends."""

    plane: ControlPlane
    namespace: str
    name: str
    probe: dict[str, Any] = field(default_factory=dict)
    finalizers: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    node: str = NODE
    uid: str = ""

    def __post_init__(self) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": self.labels, "finalizers": self.finalizers},
            "spec": {
                "nodeName": self.node,
                "readinessGates": [{"conditionType": "cmp.io/Running"}],
                "containers": [{"name": "main", "image": "web", **self.probe}],
            },
        }
        self.plane.kubectl("create", "-n", self.namespace, "-f", "-", stdin=json.dumps(body))
        until(lambda: self.read()["status"]["phase"] == "Running", "it runs")
        self.uid = self.read()["metadata"]["uid"]

    def read(self) -> Any:
        return json.loads(self.plane.kubectl("get", "pod", "-n", self.namespace, self.name, "-o", "json"))

    def annotate(self, value: str | None) -> None:
        self.patch({"metadata": {"annotations": {"cmp.io/frozen": value}}})

    def patch(self, body: dict[str, Any], *how: str) -> None:
        self.plane.kubectl(
            "patch", "pod", "-n", self.namespace, self.name, "--type=merge", *how, "-p", json.dumps(body)
        )

    def says(self, kind: str) -> tuple[str, str] | None:
        found = [each for each in self.read()["status"]["conditions"] if each["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else None


class Busy:
    """A process that always has something to do."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        (folder / "cgroup.procs").write_text(str(self.process.pid))

    def stands_still(self) -> bool:
        """Whether it has used no time at all for half a second."""
        before = self._used()
        time.sleep(0.5)
        return self._used() == before

    def _used(self) -> str:
        """Nanoseconds on a processor."""
        return Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]


class Machine:
    def __init__(self, version: int, top: Path, mount: Path) -> None:
        self.version, self.mount, self._top = version, mount, top
        self._processes: list[Busy] = []

    def run(self, pod: Pod) -> Busy:
        """In the cgroup that a kubelet and containerd would make for the Pod."""
        folder = self._folder(pod)
        folder.mkdir(parents=True)
        self._processes.append(Busy(folder))
        return self._processes[-1]

    def thaw(self, pod: Pod) -> None:
        freezer, word = ("freezer.state", "THAWED") if self.version == 1 else ("cgroup.freeze", "0")
        (self._folder(pod).parent / freezer).write_text(word)

    def stop(self) -> None:
        for folder in (path for path in self._top.rglob("*") if path.name in ("freezer.state", "cgroup.freeze")):
            folder.write_text("THAWED" if self.version == 1 else "0")
        for busy in self._processes:
            busy.process.kill()
            busy.process.wait()

    def _folder(self, pod: Pod) -> Path:
        names = {"uid": pod.uid, "underscored": pod.uid.replace("-", "_"), "container": "0" * 64}
        return self._top / LAYOUTS[self.version].format(**names)


@contextmanager
def agent(plane: ControlPlane, machine: Machine, scratch: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, with the rights of the agent's Pod on that node and no others."""
    mounted = credentials(plane, scratch, NODE)
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(plane.port)}
    command = [sys.executable, "-m", "agent", "--node", NODE, "--credentials", str(mounted)]
    with (scratch / "agent.log").open("ab") as log:
        program = subprocess.Popen(
            [*command, "--cgroups", str(machine.mount)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
    try:
        yield program
        with suppress(subprocess.TimeoutExpired):
            assert program.wait(0) == -9, "it ended by itself"
    finally:
        program.terminate()
        program.wait(10)
        print((scratch / "agent.log").read_text())


def credentials(plane: ControlPlane, scratch: Path, node: str | None) -> Path:
    """A folder as the kubelet mounts it into the agent's Pod on `node`."""
    folder = scratch / "credentials"
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token(plane, node))
    (folder / "ca.crt").write_bytes(plane.authority.read_bytes())
    (folder / "namespace").write_text("cmp-system")
    return folder


def token(plane: ControlPlane, node: str | None) -> str:
    """Of the agent's account, as its Pod on `node` gets it; without `node`, one that belongs to no Pod."""
    if node is None:
        return plane.kubectl("create", "token", "-n", "cmp-system", "cmp-node-agent")
    pods = json.loads(plane.kubectl("get", "pods", "-n", "cmp-system", "-o", "json"))["items"]
    name = next(pod["metadata"]["name"] for pod in pods if pod["spec"]["nodeName"] == node)
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={name}")
    return plane.kubectl("create", "token", "-n", "cmp-system", "cmp-node-agent", *bound)


def until(look: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
