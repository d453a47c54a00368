"""The console as `make console` builds it, from what is in console/ now."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from testbed import Unavailable

ROOT = Path(__file__).parents[1]


def built() -> Path:
    """The folder of the built console; built once, whoever asks first. Raises Unavailable."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unavailable("no node and npm on this machine: install them by hand")
    lock = ROOT / "console/.building"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = subprocess.run(["make", "console"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the console cannot be built:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return ROOT / "console/dist"
