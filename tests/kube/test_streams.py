"""Long conversations with a server that answers word for word what a test tells it to."""

import asyncio
import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from app.kube.credentials import Credentials
from app.kube.errors import Refusal, Unreachable
from app.kube.streams import StreamClient
from tests.kube.tls import Authority

Connection = socket.socket
PIECE = b"x" * 32_000
PIECES = 200
GREETING = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def served(talk: Callable[[Connection, bytes], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server with which one connection at a time can talk; `talk` gets the request's head."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = listening.accept()
            except OSError:
                return
            with context.wrap_socket(raw, server_side=True) if context else raw as connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(4096)
                talk(connection, head)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def frame(data: bytes, opcode: int = 2) -> bytes:
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + data


def upgraded(connection: Connection, head: bytes) -> None:
    key = next(line.split()[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    lines += [b"Sec-WebSocket-Accept: " + accept, b"Sec-WebSocket-Protocol: p"]
    connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")


def says_much_and_goes(connection: Connection, head: bytes) -> None:
    """As a Go server does at the end of a command: a close frame, and the connection is closed."""
    upgraded(connection, head)
    for _ in range(PIECES):
        connection.sendall(frame(PIECE))
    connection.sendall(frame(b"the end") + frame((1000).to_bytes(2, "big"), 8))


def refuses(connection: Connection, _head: bytes) -> None:
    body = b'{"kind":"Status","code":409,"reason":"Conflict","message":"VMI is paused"}'
    connection.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def cut(connection: Connection, _head: bytes) -> None:
    connection.sendall(GREETING.encode() + b"5\r\nhello\r\n")


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_slow_reader_gets_everything_that_was_said(loop: Any, tls: bool, tmp_path: Path) -> None:
    authority = Authority()
    context = authority.server_context(tmp_path) if tls else None

    async def read(port: int) -> tuple[int, bytes, bool]:
        async with _client(port, authority if tls else None, tmp_path) as client:
            connection = await client.websocket("/", [], "p")
            pieces, last = 0, b""
            while (message := await connection.receive()) is not None:
                pieces += message == PIECE
                last = message
                await asyncio.sleep(0.002)
            await connection.close()
        return pieces, last, connection.broken

    with served(says_much_and_goes, context) as port, asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(read(port)) == (PIECES, b"the end", False)


async def test_a_refused_handshake_is_told_in_the_servers_words() -> None:
    with served(refuses) as port:
        async with _client(port) as client:
            for opening in (client.websocket("/", [], "p"), client.body("/", []), client.picture("/", [])):
                with pytest.raises(Refusal) as refused:
                    await opening
                assert (refused.value.code, refused.value.message) == (409, "VMI is paused")


async def test_redirects_are_not_followed() -> None:
    asked: list[bytes] = []

    def elsewhere(connection: Connection, head: bytes) -> None:
        asked.append(head)
        connection.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )

    with served(elsewhere) as port:
        async with _client(port) as client:
            for opening in (client.websocket("/", [], "p"), client.body("/", []), client.picture("/", [])):
                with pytest.raises(Refusal) as refused:
                    await opening
                assert refused.value.code == 302
    assert len(asked) == 3


async def test_a_body_that_is_cut_is_not_taken_for_a_whole_one() -> None:
    with served(cut) as port:
        async with _client(port) as client:
            body = await client.body("/", [])
            with pytest.raises(Unreachable):
                assert [chunk async for chunk in _until(body, b"never said")] == []


async def test_a_log_that_says_nothing_yet_has_begun_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubelet sends no headers before the first line."""
    monkeypatch.setattr("app.kube.streams.QUIET_SECONDS", 0.1)
    speak, gone = threading.Event(), threading.Event()

    def quiet(connection: Connection, _head: bytes) -> None:
        speak.wait(10)
        connection.sendall(GREETING.encode() + b"5\r\nhello\r\n")
        if connection.recv(1) == b"":
            gone.set()

    with served(quiet) as port:
        async with _client(port) as client:
            body = await client.body("/", [])
            speak.set()
            assert [chunk async for chunk in _until(body, b"hello")][-1] == b"hello"
            await body.aclose()
            assert await asyncio.to_thread(gone.wait, 10), "who ends early hangs up"


async def test_what_was_not_begun_is_hung_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.kube.streams.QUIET_SECONDS", 0.1)
    gone = threading.Event()

    def silent(connection: Connection, _head: bytes) -> None:
        if connection.recv(1) == b"":
            gone.set()

    with served(silent) as port:
        async with _client(port) as client:
            body = await client.body("/", [])
            await body.aclose()
            assert await asyncio.to_thread(gone.wait, 10)


async def test_closing_does_not_wait_for_who_does_not_read() -> None:
    done = threading.Event()

    def deaf(connection: Connection, head: bytes) -> None:
        upgraded(connection, head)
        done.wait(30)

    with served(deaf) as port:
        async with _client(port) as client:
            connection = await client.websocket("/", [], "p")
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    while True:
                        await connection.send(b"x" * 65_536)
            async with asyncio.timeout(10):
                await connection.close()
            done.set()


async def _until(body: Any, last: bytes) -> Any:
    async for chunk in body:
        yield chunk
        if chunk == last:
            return


@asynccontextmanager
async def _client(
    port: int, authority: Authority | None = None, folder: Path | None = None
) -> AsyncIterator[StreamClient]:
    client = StreamClient(await _credentials(port, authority, folder))
    try:
        yield client
    finally:
        await client.close()


async def _credentials(port: int, authority: Authority | None = None, folder: Path | None = None) -> Credentials:
    if authority is None or folder is None:
        return Credentials(f"http://127.0.0.1:{port}", "test")
    certificate, key = authority.client()
    for name, content in (("ca", authority.certificate), ("cert", certificate), ("key", key)):
        (folder / name).write_bytes(content)

    async def no_token(_name: str) -> None:
        return None

    trust = SimpleNamespace(
        ssl_ca_cert=str(folder / "ca"),
        cert_file=str(folder / "cert"),
        key_file=str(folder / "key"),
        verify_ssl=True,
        get_api_key_with_prefix=no_token,
    )
    return Credentials(f"https://127.0.0.1:{port}", "test", trust)
