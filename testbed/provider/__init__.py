"""A real OpenID Connect provider for single sign-on: node's certified oidc-provider, on loopback, gone when stopped.

Its packages are what package-lock.json names, kept in the cache. Needs node and npm.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import httpx

from testbed import Unavailable, cache
from testbed.processes import Process, Scratch, free_port, spawn

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json")
_START_TIMEOUT = 60.0


class OpenIDProvider:
    """`redirect_uri`: where the client `cmp` may be sent back to. Raises Unavailable when it cannot be had here."""

    def __init__(self, redirect_uri: str, secret: str) -> None:
        self.version = json.loads((_HERE / "package.json").read_text())["dependencies"]["oidc-provider"]
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._clients = [{"client_id": "cmp", "client_secret": secret, "redirect_uris": [redirect_uri]}]
        self._scratch: Scratch | None = None
        self._process: Process | None = None

    def __enter__(self) -> Self:
        folder = _installed()
        self._scratch = Scratch("provider")
        options = json.dumps({"port": self.port, "clients": self._clients})
        self._process = spawn("provider", ["node", folder / "server.js", options], self._scratch.path)
        self._process.wait_until(self._answers, _START_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.stop()
        if self._scratch:
            self._scratch.remove()

    def _answers(self) -> Any:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def _installed() -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unavailable("no node and npm on this machine: install them by hand")
    named = b"".join((_HERE / name).read_bytes() for name in (*_FILES, "server.js"))
    target = cache.directory() / f"provider-{hashlib.sha256(named).hexdigest()[:12]}"
    with cache.locked(cache.directory()):
        if not target.is_dir():
            _install(target)
    return target


def _install(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".provider-") as scratch:
        folder = Path(scratch) / "provider"
        folder.mkdir()
        for name in (*_FILES, "server.js"):
            shutil.copy(_HERE / name, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(f"npm could not install the provider ({done.stderr.strip()[-300:]})")
        folder.rename(target)
