"""What is started, in which order, with which settings."""

import ssl
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Self

import yaml

from app.rules.sealing import new_key
from stack.front import site
from testbed import proxies
from testbed.databases import PostgreSQL
from testbed.kubernetes.certificates import Authority
from testbed.processes import Process, Scratch, free_port, spawn
from testbed.prometheus import Prometheus
from testbed.redis import Redis

ROOT = Path(__file__).parents[1]
_MONITORING = ROOT / "deploy/monitoring"
_START_TIMEOUT = 90.0


class Stack:
    """`port` is nginx's. `rules` stand for those of deploy/monitoring; `settings` are CMP's, for all processes.

    Kubernetes is a simulator unless `settings` name another. `certificate_days`: how long the API's is good.
    """

    def __init__(
        self,
        port: int,
        *,
        seconds: float = 5.0,
        rules: str | None = None,
        settings: dict[str, str] | None = None,
        certificate_days: float = 90,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.apis: list[Process] = []
        self.workers: list[Process] = []
        self._port = port
        self._seconds = seconds
        self._rules = rules or (_MONITORING / "alerts.yaml").read_text()
        self._settings = settings or {}
        self._certificate_days = certificate_days
        self._commands: dict[str, list[str]] = {}
        self._stack = ExitStack()
        self._kubernetes: Process | None = None
        self._kubernetes_port = free_port()
        self.kubernetes_url = f"http://127.0.0.1:{self._kubernetes_port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def token_file(self) -> Path:
        return self._folder / "data" / "admin-token"

    def kubernetes_away(self) -> None:
        """The simulator's end, without a word."""
        assert self._kubernetes is not None
        self._kubernetes.kill()

    def kubernetes_back(self) -> None:
        state = self._folder / "simulator.json"
        options = ["--port", str(self._kubernetes_port), "--state", str(state)]
        self._kubernetes = self._process("simulator", [sys.executable, "-m", "simulator", *options])
        self._kubernetes.wait_until(lambda: _answers(f"{self.kubernetes_url}/version"), _START_TIMEOUT)

    def renew_certificate(self, days: float) -> None:
        """Of the API, one process after the other."""
        self._certify(days)
        for number, process in enumerate(self.apis):
            process.stop()
            self.apis[number] = self._api(process.name)

    def _start(self) -> None:
        scratch = Scratch("stack")
        self._stack.callback(scratch.remove)
        self._folder = scratch.path
        self.database = self._stack.enter_context(PostgreSQL(fast=True))
        self.redis = self._stack.enter_context(Redis())
        if "CMP_KUBERNETES" not in self._settings:
            self.kubernetes_back()
        self._authority = Authority(self._folder)
        certificate, key = self._certify(self._certificate_days)
        self._ports = {
            f"{kind}-{number}": (free_port(), free_port()) for kind in ("api", "worker") for number in (1, 2)
        }
        common = {
            "CMP_DATABASE_URL": self.database.create_database("cmp"),
            "CMP_REDIS_URL": self.redis.url,
            "CMP_DATA_DIR": str(self._folder / "data"),
            "CMP_KUBERNETES": self.kubernetes_url,
            "CMP_SECRET_KEY": new_key(),
            "CMP_WORKER": "separate",
            "CMP_TRUSTED_PROXIES": "1",
            "CMP_PUBLIC_URL": self.url,
            "CMP_CONSOLE_DIR": str(ROOT / "console/dist"),
            "CMP_TLS_CERTIFICATE": str(certificate),
            "CMP_TLS_KEY": str(key),
            "CMP_METRICS_SECONDS": str(self._seconds),
            **self._settings,
        }
        for name, (port, metrics_port) in self._ports.items():
            own = {"CMP_PORT": str(port), "CMP_METRICS_PORT": str(metrics_port)}
            program = ["main.py"] if name.startswith("api") else ["-m", "app.worker"]
            settings = [f"{word}={value}" for word, value in (common | own).items()]
            self._commands[name] = ["env", *settings, sys.executable, *program]
            if name.startswith("api"):
                self.apis.append(self._api(name))
            else:
                self.workers.append(self._process(name, self._commands[name]))
        upstreams = [port for name, (port, _) in self._ports.items() if name.startswith("api")]
        self._stack.enter_context(proxies.nginx(site(self._port, upstreams, self._authority.certificate), self._port))
        self.prometheus = self._stack.enter_context(Prometheus(self._configuration()))

    def _certify(self, days: float) -> tuple[Path, Path]:
        return self._authority.server("api", ["localhost"], ["127.0.0.1"], timedelta(days=days))

    def _api(self, name: str) -> Process:
        process = self._process(name, self._commands[name])
        trusting = ssl.create_default_context(cafile=str(self._authority.certificate))
        ready = f"https://127.0.0.1:{self._ports[name][0]}/readyz"
        process.wait_until(lambda: _answers(ready, trusting), _START_TIMEOUT)
        return process

    def _process(self, name: str, command: Sequence[str | Path]) -> Process:
        process = spawn(name, ["env", "--chdir", ROOT, *command], self._folder)
        self._stack.callback(process.stop)
        return process

    def _configuration(self) -> str:
        """deploy/monitoring/prometheus.yaml, of these processes and rules, and as often as is wanted here."""
        rules = self._folder / "alerts.yaml"
        rules.write_text(self._rules)
        wanted = yaml.safe_load((_MONITORING / "prometheus.yaml").read_text())
        often = f"{self._seconds:g}s"
        wanted["global"] = {"scrape_interval": often, "evaluation_interval": often}
        wanted["rule_files"] = [str(rules)]
        for job in wanted["scrape_configs"]:
            kind = job["job_name"].removeprefix("cmp-")
            targets = [f"127.0.0.1:{metrics}" for name, (_, metrics) in self._ports.items() if name.startswith(kind)]
            job["static_configs"] = [{"targets": targets}]
        return yaml.safe_dump(wanted)


def _answers(url: str, trusting: ssl.SSLContext | None = None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2, context=trusting) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
