"""What every private database server shares: a port, a directory, a password, and a life that ends with ours."""

import asyncio
import os
import pwd
import re
import secrets
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import asyncmy
import asyncpg

from testbed.processes import Process, Scratch, free_port, group_of

_START_TIMEOUT = 60.0

USER = "cmp"


class DatabaseServer(ABC):
    """What all of them have in common. Use as a context manager: `with PostgreSQL(fast=True) as server: …`.

    `settings` are further server variables by name. Raises Unavailable when the server cannot be had here.
    """

    name: str

    def __init__(self, *, fast: bool = False, settings: Mapping[str, str | int] | None = None) -> None:
        self.fast = fast
        self.host = "127.0.0.1"
        self.port = 0
        self.version = ""
        self._settings = dict(settings or {})
        self._password = secrets.token_hex(16)
        self._scratch: Scratch | None = None
        self._process: Process | None = None

    def start(self) -> Self:
        """Returns when the server answers queries; `version` is set from then on."""
        root = self._root()
        self._scratch = Scratch(self.name.lower())
        try:
            data = private_directory(self._scratch.path / "server", self._system_user())
            self._initialise(root, data)
            self.port = free_port()
            self._process = self._spawn(root, data)
            self._process.wait_until(self._answers, _START_TIMEOUT)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process:
            self._process.stop()
        if self._scratch:
            self._scratch.remove()
        self._process = self._scratch = None

    def kill(self) -> None:
        """kill -9, for tests of what survives; `restart` brings it back on the same data and port."""
        assert self._process
        self._process.kill()

    def restart(self) -> None:
        assert self._scratch
        if self._process:
            self._process.stop()
        self._process = self._spawn(self._root(), self._scratch.path / "server")
        self._process.wait_until(self._answers, _START_TIMEOUT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def url(self, database: str) -> str:
        """The SQLAlchemy URL of `database` for this server's asyncio driver."""

    def create_database(self, name: str) -> str:
        """Returns its URL. Names are of letters, digits and underscores."""
        self.execute(self._create_statement(_checked(name)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Also when clients are still connected to it, and when it does not exist."""
        self.execute(self._drop_statement(_checked(name)))

    def execute(self, statement: str) -> Any:
        """Run one statement as the server's administrator, outside a transaction; returns its first value or None."""
        return _finish(self._execute(statement))

    def _answers(self) -> bool:
        try:
            self.version = str(self.execute(self._version_statement))
        except (OSError, asyncpg.PostgresError, asyncmy.errors.MySQLError):
            return False
        return True

    _version_statement = "SELECT version()"

    @abstractmethod
    def _root(self) -> Path:
        """The directory below which the server's programs lie as Debian lays them out: / unless they were unpacked."""

    @abstractmethod
    def _system_user(self) -> str | None:
        """Whom it runs as, when that is not us."""

    @abstractmethod
    def _initialise(self, root: Path, data: Path) -> None: ...

    @abstractmethod
    def _spawn(self, root: Path, data: Path) -> Process: ...

    @abstractmethod
    def _create_statement(self, name: str) -> str: ...

    @abstractmethod
    def _drop_statement(self, name: str) -> str: ...

    @abstractmethod
    async def _execute(self, statement: str) -> Any: ...


def unprivileged(*candidates: str) -> str | None:
    """Whom to run a server as: nobody in particular unless we are root, who may not run one."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in candidates if name in known)


def private_directory(path: Path, user: str | None) -> Path:
    path.mkdir(mode=0o700)
    give(path, user)
    return path


def give(path: Path, user: str | None) -> None:
    if user:
        shutil.chown(path, user, group_of(user))


def run(argv: Sequence[str | Path], folder: Path, user: str | None, stdin: str | None = None) -> None:
    """One step of setting up; RuntimeError with its output when it fails."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=user,
        group=group_of(user) if user else None,
        extra_groups=[] if user else None,
    )
    if done.returncode != 0:
        raise RuntimeError(f"setting up {folder} failed with {done.returncode}:\n{done.stdout[-2000:]}")


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,63}", name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name


def _finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end from synchronous code, whether or not an event loop runs in this thread."""
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(asyncio.run, work).result()
