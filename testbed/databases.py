"""Private PostgreSQL, MariaDB and MySQL servers on loopback, with a data directory of their own, gone when stopped.

They run as an unprivileged user when we are root. They are as durable as in production unless `fast=True`, which is for
tests that never pull the plug. Knows nothing of CMP's tables.
"""

import asyncio
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import asyncmy
import asyncpg

from testbed import Unavailable, packages
from testbed.processes import Process, Scratch, free_port, group_of, spawn

_START_TIMEOUT = 60.0
_USER = "cmp"


class DatabaseServer(ABC):
    """What the three have in common. Use as a context manager: `with PostgreSQL(fast=True) as server: …`.

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
        prepared = self._binaries()
        self._scratch = Scratch(self.name.lower())
        try:
            data = _private_directory(self._scratch.path / "server", self._system_user())
            self._initialise(prepared, data)
            self.port = free_port()
            self._process = self._spawn(prepared, data)
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
        self._process = self._spawn(self._binaries(), self._scratch.path / "server")
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
    def _binaries(self) -> Path:
        """The directory everything else is found from."""

    def _system_user(self) -> str | None:
        return _system_user("nobody")

    @abstractmethod
    def _initialise(self, prepared: Path, data: Path) -> None: ...

    @abstractmethod
    def _spawn(self, prepared: Path, data: Path) -> Process: ...

    @abstractmethod
    def _create_statement(self, name: str) -> str: ...

    @abstractmethod
    def _drop_statement(self, name: str) -> str: ...

    @abstractmethod
    async def _execute(self, statement: str) -> Any: ...


class PostgreSQL(DatabaseServer):
    """The newest PostgreSQL of the machine, else Debian's."""

    name = "PostgreSQL"
    _version_statement = "SHOW server_version"

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://{_USER}:{self._password}@{self.host}:{self.port}/{database}"

    def _system_user(self) -> str | None:
        return _system_user("postgres", "nobody")

    def _binaries(self) -> Path:
        found = _postgresql_directory(Path("/"))
        if found is None and (on_path := shutil.which("postgres")) and shutil.which("initdb"):
            found = Path(on_path).resolve().parent
        if found is None:
            found = _postgresql_directory(packages.unpacked("postgresql"))
        if found is None:
            raise Unavailable("PostgreSQL's programs were not found: install the package postgresql")
        return found

    def _initialise(self, prepared: Path, data: Path) -> None:
        user = self._system_user()
        secret = data / "password"
        secret.write_text(self._password)
        _give(secret, user)
        argv: list[str | Path] = [
            prepared / "initdb",
            "-D",
            data / "data",
            "-U",
            _USER,
            "--pwfile",
            secret,
            "-A",
            "scram-sha-256",
        ]
        _run([*argv, "-E", "UTF8", "--no-locale", "--no-sync"], data, user, self._environment(prepared))
        secret.unlink()

    def _spawn(self, prepared: Path, data: Path) -> Process:
        settings: dict[str, str | int] = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
        }
        if self.fast:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        flags = [part for key, value in (settings | self._settings).items() for part in ("-c", f"{key}={value}")]
        argv: list[str | Path] = [prepared / "postgres", "-D", data / "data", *flags]
        return spawn("postgres", argv, data, env=self._environment(prepared), user=self._system_user())

    def stop(self) -> None:
        if self._process:
            # "Fast shutdown": do not wait for clients that forgot to disconnect.
            self._process.stop(signal.SIGINT)
        super().stop()

    def _create_statement(self, name: str) -> str:
        return f'CREATE DATABASE "{name}"'

    def _drop_statement(self, name: str) -> str:
        return f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'

    async def _execute(self, statement: str) -> Any:
        connection = await asyncpg.connect(
            host=self.host, port=self.port, user=_USER, password=self._password, database="postgres", timeout=10
        )
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    @staticmethod
    def _environment(prepared: Path) -> Mapping[str, str]:
        # <root>/usr/lib/postgresql/15/bin
        return packages.library_path(prepared.parents[4]) if "debian" in prepared.parts else {}


class MySQLFamily(DatabaseServer):
    """What MariaDB and MySQL share: the protocol, the settings and the file layout."""

    _server: str
    _package: str

    def url(self, database: str) -> str:
        return f"mysql+asyncmy://{_USER}:{self._password}@{self.host}:{self.port}/{database}"

    def _system_user(self) -> str | None:
        return _system_user("mysql", "nobody")

    def _binaries(self) -> Path:
        """The root below which usr/sbin/<server> lies."""
        if (Path("/usr/sbin") / self._server).exists():
            return Path("/")
        return packages.unpacked(self._package)

    def _spawn(self, prepared: Path, data: Path) -> Process:
        settings: dict[str, str | int] = {
            "bind-address": self.host,
            "port": self.port,
            "max-connections": 500,
            "character-set-server": "utf8mb4",
            "innodb-buffer-pool-size": "256M",
        }
        if self.fast:
            settings |= {"innodb-flush-log-at-trx-commit": 0, "innodb-doublewrite": 0, "sync-binlog": 0}
        flags = [f"--{key}={value}" for key, value in (settings | self._settings).items()]
        argv = [*self._command(prepared, data), "--skip-name-resolve", f"--init-file={data / 'accounts.sql'}", *flags]
        return spawn(self._server, argv, data, env=packages.library_path(prepared), user=self._system_user())

    def _command(self, prepared: Path, data: Path) -> list[str | Path]:
        return [
            prepared / "usr/sbin" / self._server,
            "--no-defaults",
            f"--basedir={prepared / 'usr'}",
            f"--datadir={data / 'data'}",
            f"--tmpdir={data}",
            f"--socket={data / 'socket'}",
            f"--pid-file={data / 'pid'}",
        ]

    def _write_accounts(self, data: Path) -> None:
        """The server runs this at each start, before it listens."""
        accounts = data / "accounts.sql"
        accounts.write_text(
            f"CREATE USER IF NOT EXISTS '{_USER}'@'%' IDENTIFIED BY '{self._password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{_USER}'@'%' WITH GRANT OPTION;\n"
        )
        _give(accounts, self._system_user())

    def _create_statement(self, name: str) -> str:
        return f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"

    def _drop_statement(self, name: str) -> str:
        return f"DROP DATABASE IF EXISTS `{name}`"

    async def _execute(self, statement: str) -> Any:
        connection = await asyncmy.connect(
            host=self.host, port=self.port, user=_USER, password=self._password, autocommit=True, connect_timeout=10
        )
        try:
            async with connection.cursor() as cursor:
                await cursor.execute(statement)
                row = await cursor.fetchone() if cursor.description else None
                return row[0] if row else None
        finally:
            connection.close()


class MariaDB(MySQLFamily):
    """The machine's MariaDB, else Debian's, with its default (strict) SQL mode.

    `innodb_snapshot_isolation` turns that setting on or off; None leaves the server's own default.
    """

    name = "MariaDB"
    _server = "mariadbd"
    _package = "mariadb-server-core"

    def __init__(
        self,
        *,
        innodb_snapshot_isolation: bool | None = None,
        fast: bool = False,
        settings: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(fast=fast, settings=settings)
        if innodb_snapshot_isolation is not None:
            self._settings.setdefault("innodb-snapshot-isolation", "ON" if innodb_snapshot_isolation else "OFF")

    def _initialise(self, prepared: Path, data: Path) -> None:
        self._write_accounts(data)
        scripts = prepared / "usr/share/mysql"
        parts = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
        sql = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket='nobody';\n"
        sql += "".join((scripts / part).read_text() for part in parts)
        _private_directory(data / "data", self._system_user())
        argv = [*self._command(prepared, data), "--bootstrap", "--innodb-flush-log-at-trx-commit=0"]
        _run(argv, data, self._system_user(), packages.library_path(prepared), sql)

    def _command(self, prepared: Path, data: Path) -> list[str | Path]:
        return [*super()._command(prepared, data), f"--lc-messages-dir={prepared / 'usr/share/mysql'}"]


def _postgresql_directory(root: Path) -> Path | None:
    """The bin directory of the highest version below `root`, in Debian's layout."""
    found = [p.parent for p in root.glob("usr/lib/postgresql/*/bin/initdb") if p.parts[-3].isdigit()]
    return max(found, key=lambda path: int(path.parts[-2]), default=None)


def _system_user(*candidates: str) -> str | None:
    """Whom to run a server as: nobody in particular unless we are root, who may not run one."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in candidates if name in known)


def _private_directory(path: Path, user: str | None) -> Path:
    path.mkdir(mode=0o700)
    _give(path, user)
    return path


def _give(path: Path, user: str | None) -> None:
    if user:
        shutil.chown(path, user, group_of(user))


def _run(
    argv: list[str | Path], folder: Path, user: str | None, env: Mapping[str, str], stdin: str | None = None
) -> None:
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **env, "LC_ALL": "C"},
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
        raise RuntimeError(f"{Path(argv[0]).name} could not set up its data directory:\n{done.stdout[-2000:]}")


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,63}", name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name


def _finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end from synchronous code, whether or not an event loop runs in this thread."""
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(asyncio.run, work).result()
