"""wrk, Debian's: so many connections that each send as soon as they were answered, or at a gentle rate."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed import packages

_SCRIPT = Path(__file__).with_name("requests.lua")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


@dataclass(frozen=True, slots=True)
class Shot:
    """Requests per second; latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


def shoot(url: str, connections: int, seconds: float, words: Sequence[str]) -> Shot:
    """`words` are the script's. RuntimeError when any answer was not a success."""
    argv = [*_wrk(), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", _SCRIPT, url, "--", *words]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    if done.returncode != 0 or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk on {url} {list(words)}:\n{done.stdout}{done.stderr}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    return Shot(float(found[1]), _percentile(done.stdout, 50), _percentile(done.stdout, 99))


def version() -> str:
    said = subprocess.run([str(word) for word in [*_wrk(), "-v"]], capture_output=True, text=True, check=False).stdout
    return said.split("[")[0].strip()


def _wrk() -> list[str | Path]:
    installed = shutil.which("wrk")
    return [installed] if installed else packages.command(packages.unpacked("wrk"), "usr/bin/wrk")


def _percentile(output: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([0-9.]+)(us|ms|s|m)$", output, re.MULTILINE)
    assert found is not None, output
    return float(found[1]) * _UNITS[found[2]]
