"""A client of the streams to instances, as anybody could write one: WebSockets with a bearer token."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

CHANNELS = "v5.channel.k8s.io"
END_OF_INPUT = b"\xff\x00"


class Refused(Exception):
    """The HTTP answer to a handshake."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


@dataclass
class Said:
    """What was said until the end, and how it ended. `out` is everything where there are no channels."""

    out: bytes = b""
    err: bytes = b""
    status: dict[str, Any] = field(default_factory=dict)
    code: int = 0
    why: str = ""

    @property
    def exit_code(self) -> int | None:
        """None where the command did not come to its own end."""
        if self.status.get("status") == "Success":
            return 0
        causes = self.status.get("details", {}).get("causes", [])
        return next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), None)


class Streams:
    """Opens streams to instances as one user."""

    def __init__(self, url: str, token: str, trusting: ssl.SSLContext | None = None) -> None:
        self._trusting = trusting
        self._url = url.replace("http", "ws", 1) + "/api/v1/instances"
        self._token = token

    def exec(
        self, instance: str, *command: str, tty: bool = False, stdin: bool = False
    ) -> AbstractAsyncContextManager[ClientConnection]:
        words = [("command", word) for word in command]
        query = urlencode([*words, ("tty", str(tty).lower()), ("stdin", str(stdin).lower())])
        return self.open(f"{instance}/exec?{query}", protocol=CHANNELS)

    async def run(self, instance: str, *command: str) -> Said:
        async with self.exec(instance, *command) as connection:
            return await heard(connection, channels=True)

    @asynccontextmanager
    async def open(
        self, path: str, *, protocol: str | None = None, headers: dict[str, str] | None = None
    ) -> AsyncIterator[ClientConnection]:
        """`path` begins with the instance. Raises Refused."""
        try:
            connection = await connect(
                f"{self._url}/{path}",
                subprotocols=[Subprotocol(protocol)] if protocol else None,
                additional_headers={"Authorization": f"Bearer {self._token}"} | (headers or {}),
                compression=None,
                max_size=None,
                max_queue=4,
                close_timeout=2,
                proxy=None,
                ssl=self._trusting,
            )
        except InvalidStatus as error:
            answer = error.response
            assert answer.headers["Content-Type"] == "application/problem+json", answer
            raise Refused(answer.status_code, json.loads(answer.body or b"{}")) from error
        async with connection:
            yield connection

    async def refused(self, path: str, **more: Any) -> Refused:
        """How a handshake is refused, which it must be."""
        try:
            async with self.open(path, **more):
                pass
        except Refused as error:
            return error
        raise AssertionError(f"{path} was opened")


async def heard(connection: ClientConnection, *, channels: bool = False) -> Said:
    """Everything until the end."""
    said = Said()
    out, err = bytearray(), bytearray()
    try:
        async for message in connection:
            assert isinstance(message, bytes)
            if not channels:
                out += message
            elif message[0] == 1:
                out += message[1:]
            elif message[0] == 2:
                err += message[1:]
            elif message[0] == 3 and len(message) > 1:
                said.status = json.loads(message[1:])
    except ConnectionClosed:
        pass
    said.out, said.err = bytes(out), bytes(err)
    said.code, said.why = connection.close_code or 0, connection.close_reason or ""
    return said


async def until(connection: ClientConnection, wanted: bytes) -> bytes:
    """What was said, to the point where `wanted` is part of it. Channels are left in place."""
    seen = b""
    while wanted not in seen:
        message = await connection.recv()
        assert isinstance(message, bytes)
        seen += message
    return seen
