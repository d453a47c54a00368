"""A private PostgreSQL."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from testbed import Unavailable, packages
from testbed.databases.server import USER, DatabaseServer, give, run, unprivileged
from testbed.processes import Process, spawn


class PostgreSQL(DatabaseServer):
    """The newest PostgreSQL of the machine, else Debian's."""

    name = "PostgreSQL"
    _version_statement = "SHOW server_version"

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{USER}:{self._password}@{self.host}:{self.port}/{database}"

    def _system_user(self) -> str | None:
        return unprivileged("postgres", "nobody")

    def _root(self) -> Path:
        return _programs_root()

    def _initialise(self, root: Path, data: Path) -> None:
        secret = data / "password"
        secret.write_text(self._password)
        give(secret, self._system_user())
        access: list[str | Path] = ["-U", USER, "--pwfile", secret, "-A", "scram-sha-256"]
        argv = [*_program(root, "initdb"), "-D", data / "data", *access, "-E", "UTF8", "--no-locale", "--no-sync"]
        run(argv, data, self._system_user())
        secret.unlink()

    def _spawn(self, root: Path, data: Path) -> Process:
        settings: dict[str, str | int] = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
        }
        if self.fast:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = [part for key, value in (settings | self._settings).items() for part in ("-c", f"{key}={value}")]
        argv = [*_program(root, "postgres"), "-D", data / "data", *flags]
        return spawn("postgres", argv, data, user=self._system_user())

    def stop(self) -> None:
        if self._process:
            # "Fast shutdown": do not wait for clients that forgot to disconnect.
            self._process.stop(signal.SIGINT)
        super().stop()

    def pids(self) -> list[int]:
        """Of all its processes; each is a group of its own."""
        assert self._process is not None
        pid = self._process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def cpu(self) -> float:
        """Seconds that it had so far, those of its processes that ended among them."""
        first, *others = self.pids()
        ticks = 0
        for pid in others:
            with suppress(FileNotFoundError):  # it just ended, and counts below
                ticks += sum(map(int, _stat(pid)[11:13]))
        return (ticks + sum(map(int, _stat(first)[11:15]))) / os.sysconf("SC_CLK_TCK")

    def _create_statement(self, name: str) -> str:
        return f'CREATE DATABASE "{name}"'

    def _drop_statement(self, name: str) -> str:
        return f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'

    async def _execute(self, statement: str) -> Any:
        connection = await asyncpg.connect(
            host=self.host, port=self.port, user=USER, password=self._password, database="postgres", timeout=10
        )
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()


class Standby(PostgreSQL):
    """A copy of a running server, which follows it until `promote`."""

    def __init__(self, primary: PostgreSQL) -> None:
        super().__init__()
        self._primary = primary
        self._password = primary._password

    def promote(self) -> None:
        """Returns when it takes writes."""
        assert self.execute("SELECT pg_promote()")

    def _initialise(self, root: Path, data: Path) -> None:
        there = f"host={self._primary.host} port={self._primary.port} user={USER} password={self._password}"
        argv = [*_program(root, "pg_basebackup"), "-d", there, "-D", data / "data", "-R", "--no-sync", "-c", "fast"]
        run(argv, data, self._system_user())


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def program(name: str) -> list[str | Path]:
    """The first words of a command line with one of PostgreSQL's own programs, such as pg_dump."""
    return _program(_programs_root(), name)


def _programs_root() -> Path:
    if _folder(Path("/")) or shutil.which("initdb"):
        return Path("/")
    root = packages.unpacked("postgresql")
    if _folder(root) is None:
        raise Unavailable("PostgreSQL's programs were not found: install the package postgresql")
    return root


def _program(root: Path, name: str) -> list[str | Path]:
    folder = _folder(root)
    if folder is None:
        return [shutil.which(name) or name]
    return packages.command(root, str((folder / name).relative_to(root)))


def _folder(root: Path) -> Path | None:
    """The bin directory of the highest version below `root`, in Debian's layout."""
    found = [p.parent for p in root.glob("usr/lib/postgresql/*/bin/initdb") if p.parts[-3].isdigit()]
    return max(found, key=lambda path: int(path.parts[-2]), default=None)
