"""The node agent as a program: a real API server with its rights and policies, real processes, both kinds of cgroups.

Only the kubelet is missing: the Pods are pretended, their cgroups and what runs in them are made here.
"""

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

import pytest

from testbed.kubernetes import ControlPlane
from testbed.node import cgroups
from tests.e2e.platform import ROOT

pytestmark = [pytest.mark.node, pytest.mark.kubernetes]

NODE = "node-0"
LABELS = {"app.kubernetes.io/managed-by": "cmp", "instance-type": "container"}
LAYOUTS = {
    1: "kubepods/burstable/pod{uid}/{container}",
    2: "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{underscored}.slice/cri-{container}.scope",
}


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    manifest = (ROOT / "deploy/kubernetes/node-agent.yaml").read_text()
    control_plane.kubectl("apply", "-f", "-", stdin=manifest)
    control_plane.kubectl("rollout", "status", "-n", "cmp-system", "daemonset/cmp-node-agent", "--timeout=60s")
    yield control_plane
    control_plane.kubectl("delete", "-f", "-", "--timeout=60s", stdin=manifest)


@pytest.fixture(params=[1, 2], ids=["cgroups of version 1", "cgroups of version 2"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["Machine"]:
    """Where Pods' cgroups are made: a cgroup of its own in the machine's freezer, or in its hierarchy of version 2."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    kind, option = ("cgroup", "freezer") if request.param == 1 else ("cgroup2", "rw")
    found = [Path(words[1]) for words in mounts if words[2] == kind and option in words[3].split(",")]
    if os.getuid() != 0 or not found:
        pytest.skip(f"needs root and a freezer of cgroups of version {request.param}")
    top = found[0] / f"{cgroups.PREFIX}agent-{os.getpid()}"
    top.mkdir()
    if request.param == 1:
        (tmp_path / "cgroup").mkdir()
        (tmp_path / "cgroup/freezer").symlink_to(top)
    made = Machine(request.param, top, tmp_path / "cgroup" if request.param == 1 else top)
    try:
        yield made
    finally:
        made.stop()
        cgroups.remove([top])


@pytest.fixture
def namespace(installed: ControlPlane) -> Iterator[str]:
    name = f"agent-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
    installed.kubectl("create", "namespace", name)
    until(lambda: "default" in installed.kubectl("get", "serviceaccounts", "-n", name, "-o", "name"), "its account")
    yield name
    installed.kubectl("delete", "namespace", name, "--wait=false")


def test_it_freezes_and_thaws(installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        until(lambda: pod.says("cmp.io/Running") == ("True", "Running"), "whoever is not suspended runs")
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        assert pod.says("cmp.io/Running") == ("False", "Suspended")
        assert process.stands_still()
        pod.annotate(None)
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "Thawed"), "thawed")
        assert pod.says("cmp.io/Running") == ("True", "Running")
        assert not process.stands_still()
        lease = json.loads(
            installed.kubectl("get", "lease", "-n", "cmp-system", f"cmp-node-agent-{NODE}", "-o", "json")
        )
        assert lease["metadata"]["labels"] == {"cmp.io/component": "node-agent"}
        assert lease["spec"]["holderIdentity"] == NODE


def test_it_makes_true_what_was_asked_while_it_was_dead(
    installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path
) -> None:
    first, second = Pod(installed, namespace, "a"), Pod(installed, namespace, "b")
    one, two = machine.run(first), machine.run(second)
    first.annotate("true")
    with agent(installed, machine, tmp_path) as program:
        until(lambda: first.says("cmp.io/Suspended") == ("True", "Frozen"), "asked before it began")
        program.kill()
        program.wait()
        assert one.stands_still(), "what is frozen needs no agent to stay so"
    first.annotate(None)
    second.annotate("true")
    with agent(installed, machine, tmp_path):
        until(lambda: first.says("cmp.io/Suspended") == ("False", "Thawed"), "asked meanwhile")
        until(lambda: second.says("cmp.io/Suspended") == ("True", "Frozen"), "asked meanwhile")
        assert not one.stands_still()
        assert two.stands_still()


def test_it_freezes_again_what_somebody_thawed(
    installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        machine.thaw(pod)
        until(process.stands_still, "frozen again")


def test_it_outlives_the_api_server(
    installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        until(lambda: pod.says("cmp.io/Running") == ("True", "Running"), "it follows")
        installed.kill_api_server()
        installed.start_api_server()
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        assert process.stands_still()


def test_whoever_is_deleted_may_handle_it(
    installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a", finalizers=["cmp.io/test"])
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        installed.kubectl("delete", "pod", "-n", namespace, "a", "--wait=false")
        until(lambda: not process.stands_still(), "thawed, though its annotation says otherwise")
        assert pod.read()["metadata"]["annotations"]["cmp.io/frozen"] == "true"
    pod.patch({"metadata": {"finalizers": None}})


def test_a_container_that_ended_lost_its_memory(
    installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a")
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("True", "Frozen"), "frozen")
        status = pod.read()["status"]["containerStatuses"]
        status[0] |= {"restartCount": 1, "state": {"running": {"startedAt": "2999-01-01T00:00:00Z"}}}
        pod.patch({"status": {"containerStatuses": status}}, "--subresource=status")
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "MemoryLost"), "it says so")
        until(lambda: not process.stands_still(), "and lets the kubelet do its work")
        pod.annotate(None)
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "Thawed"), "from the beginning")


def test_it_does_not_freeze_what_a_liveness_probe_would_end(
    installed: ControlPlane, machine: "Machine", namespace: str, tmp_path: Path
) -> None:
    pod = Pod(installed, namespace, "a", probe={"livenessProbe": {"exec": {"command": ["true"]}}})
    process = machine.run(pod)
    with agent(installed, machine, tmp_path):
        pod.annotate("true")
        until(lambda: pod.says("cmp.io/Suspended") == ("False", "LivenessProbe"), "it says why not")
        assert not process.stands_still()


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
    credentials = scratch / "credentials"
    credentials.mkdir(exist_ok=True)
    (credentials / "token").write_text(token(plane, NODE))
    (credentials / "ca.crt").write_bytes(plane.authority.read_bytes())
    (credentials / "namespace").write_text("cmp-system")
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(plane.port)}
    command = [sys.executable, "-m", "agent", "--node", NODE, "--credentials", str(credentials)]
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
