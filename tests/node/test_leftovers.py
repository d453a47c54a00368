"""Nothing of a node is left on the machine, however its owner ends: no process, mount, cgroup or folder, no setting."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed import Unavailable, build
from testbed import node as nodes
from testbed.node import cgroups, images

pytestmark = pytest.mark.node

_ROOT = Path(__file__).parents[2]
_SETTINGS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "net/ipv4/ip_forward")
_PLACES = ("/etc/cni", "/opt/cni", "/run/containerd", "/run/netns", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left(ending: signal.Signals) -> None:
    try:
        nodes.available()
        kubectl = build.directory() / "kubectl"
    except Unavailable as reason:
        pytest.skip(str(reason))
    before = _machine()
    command = [sys.executable, "-m", "testbed", "node", "up"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as owner:
        assert owner.stdout
        said = owner.stdout.readline() + owner.stdout.readline()
        found = re.search(r"the real node \S+ in (\S+);.*KUBECONFIG=(\S+)", said, re.DOTALL)
        assert found, said
        folder, kubeconfig = Path(found[1]), found[2]
        for arguments in (["run", "web", f"--image={images.WEB}"], ["wait", "pod/web", "--for=condition=Ready"]):
            subprocess.run([kubectl, f"--kubeconfig={kubeconfig}", *arguments], check=True, capture_output=True)
        assert _machine() == before, "seen from outside, the machine is as it was while the node is up"
        assert _left(folder)
        owner.send_signal(ending)
        owner.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while left := _left(folder):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)
    assert _machine() == before


def _machine() -> dict[str, object]:
    """What a node could change for everybody else."""
    return {
        "settings": [Path("/proc/sys", name).read_text() for name in _SETTINGS],
        "places": [place for place in _PLACES if Path(place).exists()],
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "mounts": [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()],
    }


def _left(folder: Path) -> list[str]:
    """Traces of the node in `folder`: it, its cgroups, and processes that have it on their command line or as root."""
    found = [str(folder)] if folder.exists() else []
    for hierarchy in cgroups.hierarchies():
        # Unlike rglob it passes over what goes away meanwhile.
        found += [f"{place}/{folder.name}" for place, names, _ in os.walk(hierarchy.mount) if folder.name in names]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text()
            mounts = (process / "mountinfo").read_text()
        except OSError:
            continue
        if str(folder) in words or f"{folder}/" in mounts:
            found.append(words.replace("\0", " "))
    return found
