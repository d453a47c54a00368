"""Servers from Debian's packages without installing them: downloaded, unpacked into the cache, run from there.

So no service is started, nothing on the machine is upgraded and no root is needed. Only apt's own lists are refreshed,
when we are root and they are stale.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed import Unavailable, cache


def unpacked(package: str, suite: str | None = None, *more: str) -> Path:
    """A root directory holding `package`, `more` beside it, and those of their dependencies that this machine lacks.

    With `suite` (such as "sid") all comes from that one of Debian's suites, with all of its dependencies down to the C
    library. Raises Unavailable when apt cannot provide it.
    """
    name = "-".join([package, *([suite] if suite else []), *([_digest(more)] if more else [])])
    target = cache.shared_directory() / "debian" / name
    if target.is_dir():
        return target
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable(f"no {package} on this machine and no apt-get to fetch it with: install it by hand")
    with cache.locked(target.parent):
        if not target.is_dir():
            _fetch((package, *more), suite, target)
    return target


def command(root: Path, program: str) -> list[str | Path]:
    """The first words of a command line that runs `program`, a path below `root`, with the libraries unpacked there."""
    if root == Path("/"):
        return [root / program]
    libraries = ":".join(str(path) for top in ("usr/lib", "lib") for path in (root / top).glob("*-linux-gnu*"))
    loader = next(root.glob("usr/lib/*-linux-gnu*/ld-linux-*.so.*"), None)
    if loader is None:
        return ["env", f"LD_LIBRARY_PATH={libraries}", root / program]
    return [loader, "--library-path", libraries, root / program]


def mirror() -> str:
    """Debian's, which this machine uses. Raises Unavailable."""
    form = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    known = [line.split() for line in _run(["apt-get", "indextargets", "--format", form], Path("/")).splitlines()]
    found = next((words[2] for words in known if words[0] == "Debian" and "-" not in words[1]), None)
    if found is None:
        raise Unavailable("this machine knows no mirror of Debian")
    return found


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(sorted(names)).encode()).hexdigest()[:8]


def _fetch(wanted: Sequence[str], suite: str | None, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpack-") as scratch:
        debs, root = Path(scratch) / "debs", Path(scratch) / "root"
        debs.mkdir()
        options = _foreign(suite, Path(scratch)) if suite else []
        try:
            _download(wanted, debs, options)
        except Unavailable:
            if os.getuid() != 0 and not suite:
                raise
            _run(["apt-get", "update", "-qq", *options], debs)
            _download(wanted, debs, options)
        for deb in sorted(debs.glob("*.deb")):
            _run(["dpkg", "-x", str(deb), str(root)], debs)
        root.chmod(0o755)
        root.rename(target)


def _foreign(suite: str, folder: Path) -> list[str]:
    """Options that give apt a state of its own, in which nothing is installed and only `suite` is known."""
    (folder / "lists").mkdir()
    (folder / "archives").mkdir()
    (folder / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirror()} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "archives",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "APT::Sandbox::User": "root",
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _download(wanted: Sequence[str], folder: Path, options: Sequence[str]) -> None:
    """What apt would newly install for these; what it would merely upgrade is left as it is."""
    plan = _run(["apt-get", "-s", "-qq", *options, "install", "--no-install-recommends", *wanted], folder)
    names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ") and line.split()[2][0] != "["]
    if not names:
        raise Unavailable(f"{wanted[0]} is installed, yet its programs were not found")
    # Unsandboxed: apt's own user cannot write into a private folder.
    _run(["apt-get", "-qq", *options, "-o", "APT::Sandbox::User=root", "download", *names], folder)


def _run(argv: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = done.stderr.strip()[-300:]
        raise Unavailable(f"{argv[0]} could not fetch the package ({why}): is a Debian mirror reachable?")
    return done.stdout
