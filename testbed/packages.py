"""Servers from Debian's packages without installing them: downloaded, unpacked into the cache, run from there.

So no service is started, nothing on the machine is upgraded and no root is needed. Only apt's own lists are refreshed,
when we are root and they are stale.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed import Unavailable, cache


def unpacked(package: str) -> Path:
    """A root directory holding `package` and those of its dependencies that this machine lacks.

    Raises Unavailable when apt cannot provide it.
    """
    target = cache.shared_directory() / "debian" / package
    if target.is_dir():
        return target
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable(f"no {package} on this machine and no apt-get to fetch it with: install it by hand")
    with cache.locked(target.parent):
        if not target.is_dir():
            _fetch(package, target)
    return target


def library_path(root: Path) -> Mapping[str, str]:
    """The environment that programs below `root` need to find the libraries unpacked with them."""
    folders = [str(folder) for top in ("usr/lib", "lib") for folder in (root / top).glob("*-linux-gnu*")]
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def _fetch(package: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpack-") as scratch:
        debs, root = Path(scratch) / "debs", Path(scratch) / "root"
        debs.mkdir()
        try:
            _download(package, debs)
        except Unavailable:
            if os.getuid() != 0:
                raise
            _run(["apt-get", "update", "-qq"], debs)
            _download(package, debs)
        for deb in sorted(debs.glob("*.deb")):
            _run(["dpkg", "-x", str(deb), str(root)], debs)
        root.chmod(0o755)
        root.rename(target)


def _download(package: str, folder: Path) -> None:
    """What apt would newly install for `package`; what it would merely upgrade is left as it is."""
    plan = _run(["apt-get", "-s", "-qq", "install", "--no-install-recommends", package], folder)
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ") and line.split()[2][0] != "["]
    if not names:
        raise Unavailable(f"{package} is installed, yet its programs were not found")
    # Unsandboxed: apt's own user cannot write into a private folder.
    _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names], folder)


def _run(argv: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(argv[:3])} failed ({done.stderr.strip()[-300:]}): is a Debian mirror reachable?")
    return done.stdout
