"""CMP's image, built as deploy/Containerfile says with Debian's buildah, and run with runc. No registry is needed.

Its bases are made here: a Debian by mmdebstrap, and the same with this machine's Node.js. Needs root; what was built is
kept beside Debian's packages in the cache.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import Unavailable, build, cache, packages
from testbed.processes import Process, Scratch, spawn

NAME = "localhost/cmp:built"
_PYTHON, _NODE = "localhost/python-base", "localhost/node-base"
_ROOT = Path(__file__).parents[1]
_SUITE = "trixie"
_CERTIFICATES = "/etc/ssl/certs"
_TRUST = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
_WITH_LIBRARIES = 'mount --bind "$0" /etc/ld.so.cache; exec "$@"'


@dataclass(frozen=True)
class Image:
    config: Mapping[str, Any]
    """User, Env, Entrypoint, Cmd, WorkingDir."""
    root: Path
    """What it holds, unpacked."""


@contextmanager
def built() -> Iterator[Image]:
    """From this repository as it stands. Raises Unavailable."""
    if os.getuid() != 0:
        raise Unavailable("building an image needs root")
    folder = cache.shared_directory() / "image"
    with cache.locked(folder):
        buildah = _Buildah(folder)
        bases = buildah.bases()
        arguments: list[str | Path] = [
            word for name, image in bases.items() for word in ("--build-arg", f"{name}={image}")
        ]
        trust: list[str | Path] = ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
        where: list[str | Path] = ["--file", _ROOT / "deploy/Containerfile", "--tag", NAME, _ROOT]
        buildah("build", "--isolation", "chroot", "--pull-never", *buildah.policy, *trust, *arguments, *where)
        config = json.loads(buildah("inspect", "--type", "image", NAME))["OCIv1"]["config"]
        container = buildah("from", *buildah.policy, "--pull-never", NAME)
        try:
            root = folder / "root"
            shutil.rmtree(root, ignore_errors=True)
            # What `mount` shows is seen in its own mount namespace only.
            buildah.shell(f'cp --archive "$("$@" mount {container})" {root}')
            yield Image(config, root)
        finally:
            shutil.rmtree(root, ignore_errors=True)
            buildah("rm", container)
            buildah("rmi", "--prune")  # what had this name before


@contextmanager
def running(image: Image, *arguments: str, environment: Mapping[str, str], data: Path) -> Iterator[Process]:
    """With a root that cannot be written, no capability, the image's user, and `data` at /var/lib/cmp."""
    user = int(image.config["User"].partition(":")[0])
    os.chown(data, user, user)
    scratch = Scratch("image")
    bundle = scratch.path
    settings = [*image.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
    command = [*image.config["Entrypoint"], *(arguments or image.config["Cmd"])]
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "noexec"]},
        {"destination": "/var/lib/cmp", "type": "bind", "source": str(data), "options": ["bind", "rw"]},
    ]
    specification = {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.root), "readonly": True},
        "mounts": mounts,
        "process": {
            "user": {"uid": user, "gid": user},
            "args": command,
            "env": settings,
            "cwd": image.config["WorkingDir"],
            "capabilities": {name: [] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "noNewPrivileges": True,
        },
        "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts")]},
    }
    (bundle / "config.json").write_text(json.dumps(specification))
    runc: list[str | Path] = [build.directory(build.RUNC) / "runc", "--root", bundle / "state"]
    process = spawn("cmp", [*runc, "run", "--bundle", bundle, bundle.name], bundle)
    try:
        yield process
    finally:
        process.stop()
        subprocess.run([*runc, "delete", "--force", bundle.name], capture_output=True, check=False)
        scratch.remove()


class _Buildah:
    """Unpacked, not installed: it finds its libraries through a linker cache that is laid over the machine's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        root = packages.unpacked("buildah")
        libraries = next(root.glob("usr/lib/*-linux-gnu"))
        self._linker = folder / "ld.so.cache"
        subprocess.run(["/sbin/ldconfig", "-X", "-C", self._linker, libraries], check=True)
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "registries.conf").write_text("unqualified-search-registries = []\n")
        self.policy: list[str | Path] = ["--signature-policy", folder / "policy.json"]
        places: list[str | Path] = ["--root", folder / "storage", "--runroot", folder / "run"]
        self._command: list[str | Path] = [root / "usr/bin/buildah", *places]

    def __call__(self, *words: str | Path) -> str:
        return self._run([*self._command, *words])

    def shell(self, script: str) -> None:
        """`"$@"` in it is buildah."""
        self._run(["sh", "-ec", script, "-", *self._command])

    def bases(self) -> dict[str, str]:
        """By their digests, as they are to be named."""
        try:
            self("inspect", "--type", "image", _NODE)
        except Unavailable:
            self._make_bases()
        return {"PYTHON_BASE": self._pinned(_PYTHON), "NODE_BASE": self._pinned(_NODE)}

    def _pinned(self, image: str) -> str:
        return f"{image}@{json.loads(self('inspect', '--type', 'image', image))['FromImageDigest']}"

    def _make_bases(self) -> None:
        node = shutil.which("node")
        if node is None:
            raise Unavailable("no node on this machine: install Node.js 20 or newer")
        system = self._folder / "base.tar"
        bootstrap = packages.unpacked("mmdebstrap") / "usr/bin/mmdebstrap"
        include = "--include=python3,python3-pip,ca-certificates"
        self._run([bootstrap, "--quiet", "--variant=minbase", include, _SUITE, system, packages.mirror()])
        container = self("from", *self.policy, "scratch")
        self("add", "--quiet", container, system, "/")
        for name in _TRUST:
            self("config", "--env", f"{name}={_CERTIFICATES}/ca-certificates.crt", container)
        self("commit", "--quiet", *self.policy, container, _PYTHON)
        npm = Path(shutil.which("npm") or "npm").resolve().parents[1]
        self("add", "--quiet", container, Path(node).resolve(), "/usr/bin/node")
        self("add", "--quiet", container, npm, "/usr/lib/node_modules/npm")
        link = "ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/bin/npm"
        self("run", "--isolation", "chroot", container, "--", "sh", "-c", link)
        self("commit", "--quiet", *self.policy, container, _NODE)
        self("rm", container)
        system.unlink()

    def _run(self, command: Sequence[str | Path]) -> str:
        confined = ["unshare", "--mount", "sh", "-ec", _WITH_LIBRARIES, self._linker, *command]
        environment = os.environ | {"CONTAINERS_REGISTRIES_CONF": str(self._folder / "registries.conf")}
        done = subprocess.run(confined, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(f"{command[0]} failed: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout.strip()
