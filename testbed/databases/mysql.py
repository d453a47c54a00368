"""Private MariaDB and MySQL servers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncmy

from testbed import packages
from testbed.databases.server import USER, DatabaseServer, give, private_directory, run, unprivileged
from testbed.processes import Process, spawn


class MySQLFamily(DatabaseServer):
    """What MariaDB and MySQL share: the protocol, the settings and the file layout."""

    _server: str

    def url(self, database: str) -> str:
        return f"mysql+asyncmy://{USER}:{self._password}@{self.host}:{self.port}/{database}"

    def _system_user(self) -> str | None:
        return unprivileged("mysql", "nobody")

    def _spawn(self, root: Path, data: Path) -> Process:
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
        argv = [*self._command(root, data), "--skip-name-resolve", f"--init-file={data / 'accounts.sql'}", *flags]
        return spawn(self._server, argv, data, user=self._system_user())

    def _command(self, root: Path, data: Path) -> list[str | Path]:
        return [
            *packages.command(root, f"usr/sbin/{self._server}"),
            "--no-defaults",
            f"--basedir={root / 'usr'}",
            f"--datadir={data / 'data'}",
            f"--tmpdir={data}",
            f"--socket={data / 'socket'}",
            f"--pid-file={data / 'pid'}",
            f"--lc-messages-dir={root / 'usr/share/mysql'}",
        ]

    def _write_accounts(self, data: Path) -> None:
        """The server runs this at each start, before it listens."""
        accounts = data / "accounts.sql"
        accounts.write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{self._password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        give(accounts, self._system_user())

    def _create_statement(self, name: str) -> str:
        return f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"

    def _drop_statement(self, name: str) -> str:
        return f"DROP DATABASE IF EXISTS `{name}`"

    async def _execute(self, statement: str) -> Any:
        connection = await asyncmy.connect(
            host=self.host, port=self.port, user=USER, password=self._password, autocommit=True, connect_timeout=10
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

    def _root(self) -> Path:
        return Path("/") if Path("/usr/sbin/mariadbd").exists() else packages.unpacked("mariadb-server-core")

    def _initialise(self, root: Path, data: Path) -> None:
        self._write_accounts(data)
        scripts = root / "usr/share/mysql"
        parts = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
        sql = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket='nobody';\n"
        sql += "".join((scripts / part).read_text() for part in parts)
        private_directory(data / "data", self._system_user())
        argv = [*self._command(root, data), "--bootstrap", "--innodb-flush-log-at-trx-commit=0"]
        run(argv, data, self._system_user(), sql)


class MySQL(MySQLFamily):
    """The machine's MySQL, else the one of Debian's newest suite, with everything it needs down to the C library."""

    name = "MySQL"
    _server = "mysqld"

    def _root(self) -> Path:
        installed = Path("/usr/sbin/mysqld")
        # MariaDB's packages leave a link of that name.
        if installed.exists() and installed.resolve().name == "mysqld":
            return Path("/")
        return packages.unpacked("mysql-server-core", "sid")

    def _initialise(self, root: Path, data: Path) -> None:
        self._write_accounts(data)
        run([*self._command(root, data), "--initialize-insecure"], data, self._system_user())

    def _command(self, root: Path, data: Path) -> list[str | Path]:
        # No second protocol on a port of its own, and no directory of the package's for file exchange.
        return [*super()._command(root, data), "--mysqlx=OFF", "--secure-file-priv=NULL"]
