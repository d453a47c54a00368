"""The cgroups of one node: a child of its starter's own in every hierarchy, version 1 or 2, made and removed here.

So what the node takes counts where its starter's use counts. Knows nothing of Kubernetes.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

PREFIX = "cmp-testbed-node-"
# Daemons live in a leaf of their own: in version 2 a cgroup that hands out controllers holds no process.
DAEMONS = "daemons"
_PATIENCE = 10.0  # seconds in which the kernel lets go of the last dead process


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup filesystem; `options` such as {"cpu", "cpuacct"} are empty in version 2."""

    mount: Path
    options: frozenset[str]

    @property
    def v2(self) -> bool:
        return not self.options

    def own(self) -> Path:
        """The cgroup of this process."""
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if set(filter(None, controllers.split(","))) == self.options:
                place = self.mount / path.lstrip("/")
                return place if place.is_dir() else self.mount
        return self.mount


def hierarchies() -> list[Hierarchy]:
    """Those of version 1 where there are any, for they then hold the controllers; else the one of version 2."""
    known = {line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    controllers = {name for names in known for name in names.split(",") if name}
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    v1 = [Hierarchy(Path(w[1]), frozenset(w[3].split(",")) & controllers) for w in mounts if w[2] == "cgroup"]
    return v1 or [Hierarchy(Path(w[1]), frozenset()) for w in mounts if w[2] == "cgroup2"]


def create(name: str) -> list[Path]:
    """The new cgroups, called `name`, which starts with `PREFIX`. OSError where one may not be made."""
    made: list[Path] = []
    try:
        for hierarchy in hierarchies():
            folder = _place(hierarchy) / name
            folder.mkdir()
            made.append(folder)
            _inherit(folder)
    except OSError:
        remove(made)
        raise
    return made


def join(folders: list[Path]) -> None:
    """Move this process in: a cgroup namespace made next shows them as its roots."""
    for folder in folders:
        (folder / "cgroup.procs").write_text(str(os.getpid()))


def settle(folders: list[Path]) -> None:
    """Move all that have joined into the leaf, and let the kubelet's own cgroups be made beside it."""
    for folder in folders:
        leaf = folder / DAEMONS
        leaf.mkdir()
        _inherit(leaf)
        for process in (folder / "cgroup.procs").read_text().split():
            (leaf / "cgroup.procs").write_text(process)
        if (folder / "cgroup.subtree_control").exists():
            _hand_down(folder)


def remove(folders: list[Path]) -> None:
    """With all that is below them. OSError when something goes on living in one."""
    for folder in folders:
        for below in sorted(_tree(folder), key=lambda path: len(path.parts), reverse=True):
            _remove(below)


def sweep(nodes: Path) -> None:
    """Remove what is left of nodes whose keeper was killed itself: those without a process or a folder in `nodes`."""
    for hierarchy in hierarchies():
        for folder in list(hierarchy.mount.rglob(f"{PREFIX}*")):
            with contextlib.suppress(OSError):
                in_use = any((below / "cgroup.procs").read_text() for below in _tree(folder))
                if not in_use and not (nodes / folder.name).exists():
                    remove([folder])


def _place(hierarchy: Hierarchy) -> Path:
    """Below which the node's cgroup goes. In version 2 that must be one without processes, or the root."""
    place = hierarchy.own()
    if hierarchy.v2:
        while place != hierarchy.mount and (place / "cgroup.procs").read_text():
            place = place.parent
        _hand_down(place)
    return place


def _hand_down(folder: Path) -> None:
    available = (folder / "cgroup.controllers").read_text().split()
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in available))


def _inherit(folder: Path) -> None:
    """A new cpuset of version 1 takes no process before it has processors and memory."""
    for limit in ("cpuset.cpus", "cpuset.mems"):
        if (folder / limit).exists() and not (folder / "cgroup.controllers").exists():
            (folder / limit).write_text((folder.parent / limit).read_text())


def _tree(folder: Path) -> list[Path]:
    return [Path(path) for path, _, _ in os.walk(folder)]


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while folder.is_dir():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
