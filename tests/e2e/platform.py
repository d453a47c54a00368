"""CMP as processes: the API with or without its worker, workers of their own, a simulator that outlives them."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.secrets_in_logs import found_in

ROOT = Path(__file__).parents[2]
START = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """The URL of a simulator with a process of its own."""
    command = [sys.executable, "-m", "simulator", "--port", "0", "--exit-with-parent", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            _, found, url = line.strip().partition("simulator ready on ")
            if found:
                yield url
                return
        raise RuntimeError("the simulator ended before it was ready")
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@dataclass
class Platform:
    """One installation: its settings, its processes, its administrator's token. `root`: which tree it runs from."""

    data_dir: Path
    kubernetes: str
    database_url: str | None = None
    separate_worker: bool = False
    extra: dict[str, str] = field(default_factory=dict)
    workers_own: dict[str, str] = field(default_factory=dict)
    """Settings that differ from the API's."""
    root: Path = ROOT
    port: int = field(default_factory=free_port)
    trusting: ssl.SSLContext | None = None
    """Whom to believe, where it serves HTTPS."""
    api: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.trusting is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.data_dir / "admin-token").read_text().strip()

    def start(self) -> None:
        self.start_api()
        if self.separate_worker:
            self.start_worker()

    def start_api(self) -> None:
        self.api = self._process("api", "main.py")
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            if self.api.poll() is not None:
                raise RuntimeError(f"the API ended with {self.api.returncode}:\n{self.log('api')}")
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=2, verify=self.trusting or True).status_code == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the API is not ready after {START} s:\n{self.log('api')}")

    def start_worker(self) -> None:
        self.worker = self._process("worker", "-m", "app.worker", **self.workers_own)

    def kill(self, which: str) -> None:
        """SIGKILL: nothing gets a chance to tidy up."""
        process = self.api if which == "api" else self.worker
        assert process is not None
        process.kill()
        process.wait(20)

    def stop(self) -> None:
        for process in (self.worker, self.api):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (self.worker, self.api):
            if process is not None:
                process.wait(30)
        for log in self.data_dir.glob("*.log"):
            secret = found_in(log.read_text(errors="replace"))
            assert secret is None, f"{log.name} holds a secret: {secret}"

    def log(self, which: str, lines: int = 60) -> str:
        path = self.data_dir / f"{which}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {token or self.token}"},
            timeout=60,
        )

    def _process(self, name: str, *command: str, **own: str) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CMP_")}
        environment |= {
            "CMP_PORT": str(self.port),
            "CMP_DATA_DIR": str(self.data_dir),
            "CMP_KUBERNETES": self.kubernetes,
            "CMP_WORKER": "separate" if self.separate_worker else "embedded",
            "CMP_LOG_LEVEL": "info",
            **{f"CMP_RATE_{name}": "0" for name in ("ADDRESS", "TOKEN", "ACCOUNT")},
        }
        if self.database_url is not None:
            environment["CMP_DATABASE_URL"] = self.database_url
        environment |= self.extra | own
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / f"{name}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, *command], cwd=self.root, env=environment, stdout=log, stderr=log)


@contextmanager
def running(platform: Platform) -> Iterator[Platform]:
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@asynccontextmanager
async def user(platform: Platform, name: str, **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks for a new user of that name."""
    async with platform.client() as admin:
        made = await admin.post("/users/", json={"username": name, **limits})
        assert made.status_code == 201, made.text
    async with platform.client(made.json()["token"]) as client:
        yield client


async def eventually(look: Any, what: str, seconds: float = 60.0) -> Any:
    """The first answer of `look` that is true; `look` is awaited again and again."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.1)
