"""The cgroups of a node are made, entered and removed in either version, whichever of them the machine uses."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from testbed.node import cgroups

pytestmark = pytest.mark.node


def _hierarchies(kind: str) -> list[cgroups.Hierarchy]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    if any(words[2] == "cgroup" for words in mounts) and kind == "version 1":
        return cgroups.hierarchies()
    v2 = [Path(words[1]) for words in mounts if words[2] == "cgroup2"]
    return [cgroups.Hierarchy(mount, frozenset()) for mount in v2] if kind == "version 2" else []


@pytest.mark.parametrize("kind", ["version 1", "version 2"])
def test_they_take_processes_and_leave_nothing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    known = _hierarchies(kind)
    if os.getuid() != 0 or not known:
        pytest.skip(f"needs root and cgroups of {kind}")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: known)
    made = cgroups.create(f"{cgroups.PREFIX}test-{os.getpid()}")
    try:
        with subprocess.Popen(["sleep", "60"], preexec_fn=lambda: cgroups.join(made)) as process:
            cgroups.settle(made)
            cgroups.sweep(Path(tempfile.gettempdir()))
            for folder in made:
                assert (folder / cgroups.DAEMONS / "cgroup.procs").read_text().split() == [str(process.pid)]
            process.kill()
    finally:
        cgroups.remove(made)
    assert not any(folder.exists() for folder in made)


def test_what_was_left_is_swept(tmp_path: Path) -> None:
    if os.getuid() != 0 or not cgroups.hierarchies():
        pytest.skip("needs root and cgroups")
    made = cgroups.create(f"{cgroups.PREFIX}left-{os.getpid()}")
    (tmp_path / made[0].name).mkdir()
    cgroups.sweep(tmp_path)
    assert all(folder.exists() for folder in made), "its node is being started"
    (tmp_path / made[0].name).rmdir()
    cgroups.sweep(tmp_path)
    assert not any(folder.exists() for folder in made)
