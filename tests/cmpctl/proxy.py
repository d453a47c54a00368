"""What may stand between a client and CMP: it answers itself, loses answers, and keeps count."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

LOSE = "lose"
"""The request goes through, and its answer is lost."""
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Proxy:
    url: str
    faults: list[Any] = field(default_factory=list)
    """For the next requests of `method`: LOSE, or an Answer."""
    method: str = "POST"
    seen: list[str] = field(default_factory=list)
    """Method and path of each request."""


@contextmanager
def between(target: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.seen.append(f"{self.command} {self.path}")
            fault = proxy.faults.pop(0) if proxy.faults and self.command == proxy.method else None
            if fault is None or fault == LOSE:
                hop = ("host", "connection", "content-length", "accept-encoding")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in hop}
                answer = httpx.request(self.command, target + self.path, headers=headers, content=body, timeout=60)
                given: Answer = (answer.status_code, dict(answer.headers), answer.content)
            else:
                given = fault
            if fault == LOSE:
                self.close_connection = True
                return
            self.send_response_only(given[0])
            for name, value in given[1].items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(given[2])))
            self.end_headers()
            self.wfile.write(given[2])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    proxy = Proxy(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
