"""How much CPU it takes until cmpctl has said something, beside kubectl on the same machine at the same time.

What is run is cmpctl as `uv tool install` puts it. The reference is the kubectl that the testbed built.
"""

import os
import resource
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from testbed import build
from tests.e2e.platform import ROOT, Platform, running

ROUNDS = 15


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cmpctl, kubectl = str(_installed(folder)), str(build.build() / "kubectl")
        with running(Platform(folder / "platform", kubernetes="simulator")) as platform:
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": scratch,
                "CMPCTL_URL": platform.url,
                "CMPCTL_TOKEN": platform.token,
            }
            lines = {
                "python -c pass": [str(folder / "tools/cmpctl/bin/python"), "-c", "pass"],
                "kubectl --help": [kubectl, "--help"],
                "cmpctl --help": [cmpctl, "--help"],
                "cmpctl ps": [cmpctl, "ps"],
            }
            taken: dict[str, list[float]] = {name: [] for name in lines}
            for _ in range(ROUNDS + 1):
                for name, line in lines.items():
                    taken[name].append(_cpu(line, environment))
    medians = {name: statistics.median(times[1:]) for name, times in taken.items()}
    for name, times in taken.items():
        ratio = medians[name] / medians["kubectl --help"]
        spread = f"{medians[name]:.0f} ms ({min(times[1:]):.0f} to {max(times[1:]):.0f})"
        print(f"{name}: {spread}, {ratio:.2f} of kubectl --help")


def _installed(folder: Path) -> Path:
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    where = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin"), "UV_COMPILE_BYTECODE": "1"}
    subprocess.run([uv, "tool", "install", "--quiet", "./cmpctl"], cwd=ROOT, env={**os.environ, **where}, check=True)
    return folder / "bin/cmpctl"


def _cpu(line: list[str], environment: dict[str, str]) -> float:
    """Milliseconds, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(line, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    main()
