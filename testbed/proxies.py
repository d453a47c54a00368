"""nginx and HAProxy, this machine's or Debian's, started with a given configuration; gone when stopped."""

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed import packages
from testbed.processes import Process, Scratch, spawn

_START_TIMEOUT = 30.0
_NGINX = """
pid {folder}/nginx.pid;
worker_processes 1;
user nobody nogroup;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@contextmanager
def nginx(site: str, port: int) -> Iterator[Process]:
    """`site` is what stands in its http block. Raises Unavailable."""
    scratch = Scratch("nginx")
    try:
        (scratch.path / "site.conf").write_text(site)
        (scratch.path / "nginx.conf").write_text(_NGINX.format(folder=scratch.path))
        options: list[str | Path] = [
            "-p",
            scratch.path,
            "-c",
            scratch.path / "nginx.conf",
            "-e",
            "stderr",
            "-g",
            "daemon off;",
        ]
        with _started("nginx", [*_program("nginx-light", "usr/sbin/nginx"), *options], scratch.path, port) as process:
            yield process
    finally:
        scratch.remove()


@contextmanager
def haproxy(configuration: str, port: int) -> Iterator[Process]:
    """Raises Unavailable."""
    scratch = Scratch("haproxy")
    try:
        (scratch.path / "haproxy.cfg").write_text(configuration)
        program = _program("haproxy", "usr/sbin/haproxy")
        with _started("haproxy", [*program, "-f", scratch.path / "haproxy.cfg"], scratch.path, port) as process:
            yield process
    finally:
        scratch.remove()


def _program(package: str, path: str) -> list[str | Path]:
    here = shutil.which(Path(path).name, path="/usr/sbin:/usr/bin")
    return [here] if here else packages.command(packages.unpacked(package), path)


@contextmanager
def _started(name: str, argv: Sequence[str | Path], folder: Path, port: int) -> Iterator[Process]:
    process = spawn(name, argv, folder)
    try:
        process.wait_until(lambda: _listens(port), _START_TIMEOUT)
        yield process
    finally:
        process.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
