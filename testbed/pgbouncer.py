"""Debian's PgBouncer in front of a private PostgreSQL, with a given configuration; gone when stopped."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from testbed import packages
from testbed.databases.server import give, private_directory, unprivileged
from testbed.processes import Process, Scratch, spawn

_START_TIMEOUT = 30.0
_SUITE = "trixie"  # bookworm's is too old to know of prepared statements


@contextmanager
def pgbouncer(configuration: str, users: str, port: int) -> Iterator[Process]:
    """`{auth_file}` in it becomes the file that holds `users`. Raises Unavailable."""
    program = packages.command(packages.unpacked("pgbouncer", _SUITE), "usr/sbin/pgbouncer")
    scratch, user = Scratch("pgbouncer"), unprivileged("nobody")
    try:
        folder = private_directory(scratch.path / "server", user)
        for name, text in (("users", users), ("ini", configuration.replace("{auth_file}", str(folder / "users")))):
            (folder / name).write_text(text)
            give(folder / name, user)
        process = spawn("pgbouncer", [*program, folder / "ini"], folder, user=user)
        try:
            process.wait_until(lambda: _listens(port), _START_TIMEOUT)
            yield process
        finally:
            process.stop()
    finally:
        scratch.remove()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
