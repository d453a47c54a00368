"""Holds one node's namespaces and cgroups for as long as its starter lives, and clears all of it away afterwards.

A process of its own, because it must outlive a starter that is killed: when its standard input closes, however that
comes, it kills the first process of the namespaces, with which every other process, mount and interface in them goes.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from testbed.node import cgroups, inside

_NAMESPACES = ("--mount", "--cgroup", "--net", "--pid", "--uts", "--ipc")


def main() -> None:
    folder, name, address = Path(sys.argv[1]), *sys.argv[2:4]
    # Ctrl-C in a terminal is for the starter, which then closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cgroups.sweep(folder.parent)
    made = cgroups.create(folder.name)
    try:
        _hold(folder, name, address, made)
    finally:
        cgroups.remove(made)
        shutil.rmtree(folder, ignore_errors=True)


def _hold(folder: Path, name: str, address: str, made: list[Path]) -> None:
    """Say on standard output which process is the first one, then wait for the end of either side."""
    first = [sys.executable, "-m", inside.__name__, str(folder), name, address]
    isolated = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc", "--propagation", "private", *first]
    unshare = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *isolated],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: cgroups.join(made),
    )
    assert unshare.stdout
    try:
        if unshare.stdout.readline().strip() == inside.READY:
            child = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()[0]
            cgroups.settle(made)
            print(child, flush=True)
            threading.Thread(target=_end_with_input, args=(int(child),), daemon=True).start()
    finally:
        unshare.wait()
        unshare.stdout.close()


def _end_with_input(first: int) -> None:
    sys.stdin.read()
    os.kill(first, signal.SIGKILL)


if __name__ == "__main__":
    main()
