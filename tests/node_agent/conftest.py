"""The agent installed as deploy/ says, on nodes that are pretended; and cgroups for what its Pods would run."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.kubernetes import ControlPlane
from testbed.node import cgroups
from tests.e2e.platform import ROOT
from tests.node_agent.rig import Machine, until


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    manifest = (ROOT / "deploy/kubernetes/node-agent.yaml").read_text()
    control_plane.kubectl("apply", "-f", "-", stdin=manifest)
    control_plane.kubectl("rollout", "status", "-n", "cmp-system", "daemonset/cmp-node-agent", "--timeout=60s")
    yield control_plane
    control_plane.kubectl("delete", "-f", "-", "--timeout=60s", stdin=manifest)


@pytest.fixture(params=[1, 2], ids=["cgroups of version 1", "cgroups of version 2"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
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
