"""The freezer of each Pod's cgroup, in either version of cgroups and however the kubelet lays them out.

Nothing here waits: what is asked for is asked again until the kernel says that it is so.
https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html
https://docs.kernel.org/admin-guide/cgroup-v2.html#core-interface-files
"""

import re
from collections.abc import Iterator
from pathlib import Path

# kubepods/burstable/pod<uid>, or kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice.
_POD = re.compile(r"(?:^|-)pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?$")
_ROOT = "kubepods"
# A kubelet may be told a root of its own below which it makes `kubepods`.
_DEEPEST_ROOT = 3


class Freezer:
    """`mount`: where the node's /sys/fs/cgroup is seen. Raises ValueError where no freezer is below it."""

    def __init__(self, mount: Path) -> None:
        self.version = 2 if (mount / "cgroup.controllers").exists() else 1
        self._top = mount if self.version == 2 else mount / "freezer"
        if not self._top.is_dir():
            raise ValueError(f"there is no cgroup freezer at {mount}: is the node's /sys/fs/cgroup mounted there?")

    def pods(self) -> dict[str, Path]:
        """The cgroup of each Pod on this node, by the Pod's uid."""
        return dict(_pods(self._top, 0))

    def freeze(self, cgroup: Path) -> bool:
        """Asks for it; whether all that is in there stands still already."""
        if self.version == 2:
            (cgroup / "cgroup.freeze").write_text("1")
            return "frozen 1" in (cgroup / "cgroup.events").read_text().splitlines()
        (cgroup / "freezer.state").write_text("FROZEN")
        return _read(cgroup / "freezer.state") == "FROZEN"

    def thaw(self, cgroup: Path) -> None:
        if self.version == 2:
            (cgroup / "cgroup.freeze").write_text("0")
        else:
            (cgroup / "freezer.state").write_text("THAWED")

    def asked(self, cgroup: Path) -> bool:
        """Whether this cgroup itself was told to freeze, be it frozen yet or not."""
        return _read(cgroup / ("cgroup.freeze" if self.version == 2 else "freezer.self_freezing")) == "1"


def _pods(folder: Path, depth: int, inside: bool = False) -> Iterator[tuple[str, Path]]:
    """`inside`: the kubelet's root, or something below it, was entered."""
    for below in _folders(folder):
        if inside and (found := _POD.search(below.name)):
            yield found[1].replace("_", "-"), below
        elif inside or _ROOT in below.name:
            if depth <= _DEEPEST_ROOT + 1:
                yield from _pods(below, depth + 1, True)
        elif depth < _DEEPEST_ROOT:
            yield from _pods(below, depth + 1)


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except FileNotFoundError:
        # It went while we came.
        return []


def _read(path: Path) -> str:
    return path.read_text().strip()
