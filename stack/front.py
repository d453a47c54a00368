"""nginx before the API processes, which it speaks TLS with; on loopback, for the stack alone."""

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed import packages
from testbed.processes import Process, Scratch, spawn

_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
user nobody nogroup;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_wanted {{ default upgrade; "" ""; }}
    upstream cmp {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://cmp;
            proxy_ssl_name localhost;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {authority};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection $connection_wanted;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 330s;
        }}
    }}
}}
"""


@contextmanager
def front(port: int, upstreams: Sequence[int], authority: Path) -> Iterator[Process]:
    """Raises Unavailable."""
    scratch = Scratch("nginx")
    servers = " ".join(f"server 127.0.0.1:{upstream};" for upstream in upstreams)
    written = scratch.path / "nginx.conf"
    written.write_text(_CONFIGURATION.format(folder=scratch.path, servers=servers, port=port, authority=authority))
    here = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    program = [here] if here else packages.command(packages.unpacked("nginx-light"), "usr/sbin/nginx")
    process = spawn("nginx", [*program, "-p", scratch.path, "-c", written, "-e", "stderr"], scratch.path)
    try:
        process.wait_until(lambda: _listens(port), 30)
        yield process
    finally:
        process.stop()
        scratch.remove()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
