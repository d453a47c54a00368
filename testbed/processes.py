"""Child processes that never outlive the test run, and the scratch directories they live in.

Knows nothing about what the processes are. A child gets SIGKILL from the kernel when its parent dies, however the
parent dies; a directory whose owner is gone is removed by the next run.
"""

import contextlib
import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testbed import Unavailable

# The kernel sends the parent-death signal when the *thread* that forked ends, so every child is forked from this one,
# which lives as long as the process does.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="testbed-spawner")

_PREFIX = "cmp-testbed-"
_YOUNG = 60.0  # seconds in which a directory may not yet be locked by its owner


class Process:
    """One running child and its log file."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, signal_number: int = signal.SIGTERM, timeout: float = 20.0) -> None:
        """Ask it to end, and kill it when it has not after `timeout` seconds."""
        if self.running:
            self._popen.send_signal(signal_number)
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines: int = 30) -> str:
        return f"--- {self.log} ---\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], timeout: float, what: str = "ready") -> None:
        """Raises RuntimeError with the tail of the log when the process ends first or `timeout` seconds pass."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise RuntimeError(f"{self.name} ended with {self._popen.returncode} before {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} was not {what} after {timeout:.0f} s\n{self.tail()}")
            time.sleep(0.05)


def spawn(
    name: str,
    argv: Sequence[str | Path],
    directory: Path,
    *,
    user: str | None = None,
) -> Process:
    """Start `argv` in `directory`, output appended to `<directory>/<name>.log`; `user` only when we are root."""
    if shutil.which("setpriv") is None:
        raise Unavailable("setpriv is missing (package util-linux): children could outlive the test run without it")
    log = directory / f"{name}.log"

    def start() -> "subprocess.Popen[bytes]":
        with log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=group_of(user) if user else None,
                extra_groups=[] if user else None,
                # Ctrl-C in a terminal is for us; we then stop the children in order.
                start_new_session=True,
            )

    return Process(name, _spawner.submit(start).result(), log)


def group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


class Scratch:
    """A directory of our own, locked for as long as this process lives and removed by `remove`."""

    def __init__(self, name: str) -> None:
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-"))
        # Servers that run as another user must be able to reach their own directory inside.
        self.path.chmod(0o711)
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def free_port() -> int:
    """A TCP port free on loopback, outside the ephemeral range: no outgoing connection takes it between two starts."""
    while True:
        port = random.randint(20_000, 29_999)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _sweep() -> None:
    """Remove what earlier runs left behind when they were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid != os.getuid() or time.time() - path.stat().st_ctime < _YOUNG:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
