"""Debian's Prometheus on loopback, with a configuration that is given to it; gone, with all it kept, when stopped."""

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

from testbed import packages
from testbed.processes import Process, Scratch, free_port, spawn

_START_TIMEOUT = 60.0


class Prometheus:
    """`configuration` is prometheus.yml's text. Raises Unavailable when it cannot be had here."""

    def __init__(self, configuration: str, port: int | None = None) -> None:
        self._root = packages.unpacked("prometheus")
        self._scratch = Scratch("prometheus")
        self._configuration = configuration
        self._process: Process | None = None
        self.port = port or free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        folder = self._scratch.path
        (folder / "prometheus.yml").write_text(self._configuration)
        options: list[str | Path] = ["--config.file", folder / "prometheus.yml", "--storage.tsdb.path", folder / "data"]
        options += ["--web.listen-address", f"127.0.0.1:{self.port}", "--log.level", "warn"]
        program = packages.command(self._root, "usr/bin/prometheus")
        self._process = spawn("prometheus", [*program, *options], folder)
        self._process.wait_until(self._ready, _START_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()
        self._scratch.remove()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What it answers at this moment: labels as `metric`, and `value`. RuntimeError for what is no PromQL."""
        return list(self._asked(f"query?{urllib.parse.urlencode({'query': expression})}")["result"])

    def firing(self) -> set[str]:
        """Names of the alerts."""
        alerts = self._asked("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _asked(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)["data"]
                return found
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
