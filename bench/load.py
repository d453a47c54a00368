"""wrk, Debian's: so many connections that each send as soon as they were answered, or at a gentle rate."""

import os
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
    """Requests per second; latencies in milliseconds; `cpu` is what the serving process spent on one, in them too."""

    rate: float
    p50: float
    p99: float
    cpu: float


def shoot(url: str, pid: int, connections: int, seconds: float, words: Sequence[str]) -> Shot:
    """`words` are the script's, `pid` serves `url`. RuntimeError when any answer was not a success."""
    argv = [*_wrk(), "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", _SCRIPT, url, "--", *words]
    before = _cpu(pid)
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    spent = _cpu(pid) - before
    if done.returncode != 0 or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk on {url} {list(words)}:\n{done.stdout}{done.stderr}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    served = re.search(r"([0-9]+) requests in", done.stdout)
    assert found is not None, done.stdout
    assert served is not None, done.stdout
    cpu = spent * 1000 / int(served[1])
    return Shot(float(found[1]), _percentile(done.stdout, 50), _percentile(done.stdout, 99), cpu)


def version() -> str:
    said = subprocess.run([str(word) for word in [*_wrk(), "-v"]], capture_output=True, text=True, check=False).stdout
    return said.split("[")[0].strip()


def _wrk() -> list[str | Path]:
    installed = shutil.which("wrk")
    return [installed] if installed else packages.command(packages.unpacked("wrk"), "usr/bin/wrk")


def _cpu(pid: int) -> float:
    """Seconds that a process has had, its own and the kernel's for it."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _percentile(output: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([0-9.]+)(us|ms|s|m)$", output, re.MULTILINE)
    assert found is not None, output
    return float(found[1]) * _UNITS[found[2]]
