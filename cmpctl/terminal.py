"""This terminal, joined to a stream: a command's, a console's, a port's.

A thread carries what is typed; the main one what comes. Neither is waited for when the stream ends.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from httpx2.websockets import HTTPXWSException, WebSocketDisconnect, WebSocketSession
from wsproto.events import CloseConnection

from cmpctl.client.core import at
from cmpctl.client.errors import CmpError
from cmpctl.client.streams import CHANNELS, INPUT_ENDS, SIZE, STDERR, STDIN, STDOUT, Said, exec_path, exec_query

if TYPE_CHECKING:
    from cmpctl.client.client import Client

_LEAVE = b"\x1d"  # Ctrl-]
_PIECE = 32_768


def execute(client: "Client", instance: str, command: Sequence[str], *, tty: bool, stdin: bool) -> int:
    """The command's exit code."""
    query = exec_query(command, tty=tty, stdin=stdin)
    with client.connected(exec_path(instance), query, CHANNELS) as session, _raw(tty):
        if tty:
            _sized(session)
        if stdin:
            _carry(lambda: _typed(session))
        said = Said()
        for message in _messages(session):
            if message[0] in (STDOUT, STDERR):
                _write(1 if message[0] == STDOUT else 2, message[1:])
            else:
                said.take(message)
    return said.exit_code


def console(client: "Client", instance: str, connected: Callable[[], None]) -> None:
    """Until Ctrl-], or until the stream ends. What is typed once `connected` was called goes there."""
    with client.connected(at("/api/v1/instances/{}/console", instance)) as session:
        connected()
        with _raw(sys.stdin.isatty()):
            _carry(lambda: _typed_plain(session))
            for message in _messages(session):
                _write(1, message)


def one_connection(client: "Client", instance: str, port: int) -> None:
    """A port of the instance on this process's stdin and stdout."""
    with client.connected(at("/api/v1/instances/{}/port-forward/{}", instance, str(port))) as session:
        _carry(lambda: _typed_plain(session, leave=False))
        for message in _messages(session):
            _write(1, message)


def forward(client: "Client", instance: str, ports: Sequence[tuple[int, int]], say: Callable[[str], None]) -> None:
    """Listens on 127.0.0.1 until Ctrl-C."""
    listeners = []
    for local, port in ports:
        try:
            listener = socket.create_server(("127.0.0.1", local))
        except OSError as error:
            raise click.ClickException(f"Port {local} cannot be listened on: {error.strerror}.") from error
        listeners.append(listener)
        say(f"127.0.0.1:{listener.getsockname()[1]} is port {port} there. Ctrl-C ends.")
        threading.Thread(target=_accept, args=(client, instance, port, listener, say), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    say("")
    for listener in listeners:
        listener.close()


def _accept(client: "Client", instance: str, port: int, listener: socket.socket, say: Callable[[str], None]) -> None:
    with contextlib.suppress(OSError):  # the listener is closed at the end
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_joined, args=(client, instance, port, connection, say), daemon=True).start()


def _joined(client: "Client", instance: str, port: int, connection: socket.socket, say: Callable[[str], None]) -> None:
    path = at("/api/v1/instances/{}/port-forward/{}", instance, str(port))
    try:
        with connection, client.connected(path) as session:
            _carry(lambda: _received(connection, session))
            for message in _messages(session):
                connection.sendall(message)
    except (CmpError, OSError, HTTPXWSException) as error:
        say(f"port {port}: {error}")


def _received(connection: socket.socket, session: WebSocketSession) -> None:
    while data := connection.recv(_PIECE):
        session.send_bytes(data)
    session.send(CloseConnection(1000))


def _messages(session: WebSocketSession) -> Iterator[bytes]:
    """Until the other end closes, also in answer to a CloseConnection of ours: `close` would leave this waiting."""
    while True:
        try:
            yield session.receive_bytes()
        except WebSocketDisconnect as end:
            if end.code not in (1000, 1005, 1006):
                raise CmpError(end.reason or f"The stream ended with {end.code}.") from end
            return


def _typed(session: WebSocketSession) -> None:
    while data := os.read(0, _PIECE):
        session.send_bytes(bytes([STDIN]) + data)
    session.send_bytes(INPUT_ENDS)


def _typed_plain(session: WebSocketSession, leave: bool = True) -> None:
    while data := os.read(0, _PIECE):
        if leave and _LEAVE in data:
            break
        session.send_bytes(data)
    if leave:
        session.send(CloseConnection(1000))


def _carry(work: Callable[[], None]) -> None:
    def safely() -> None:
        with contextlib.suppress(HTTPXWSException, OSError):  # the stream ended first
            work()

    threading.Thread(target=safely, daemon=True).start()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sized(session: WebSocketSession) -> None:
    def send(*_: object) -> None:
        size = os.get_terminal_size(1)
        session.send_bytes(bytes([SIZE]) + json.dumps({"Width": size.columns, "Height": size.lines}).encode())

    with contextlib.suppress(OSError):
        send()
        signal.signal(signal.SIGWINCH, send)


@contextmanager
def _raw(wanted: bool) -> Iterator[None]:
    """Keys go through one by one, Ctrl-C too; also those that were typed before."""
    if not wanted or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
