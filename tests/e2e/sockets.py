"""A client of the streams to instances, as anybody could write one: WebSockets with a bearer token."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

CHANNELS = "v5.channel.k8s.io"


@dataclass
class Said:
    """What a command said, and how it ended."""

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
        return next((int(cause["message"]) for cause in causes if cause["reason"] == "ExitCode"), None)


class Refused(Exception):
    """The HTTP answer to a handshake."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


@asynccontextmanager
async def opened(
    url: str, token: str, path: str, *, protocol: str | None = None, **more: Any
) -> AsyncIterator[ClientConnection]:
    """`path` below /api/v1. Raises Refused."""
    address = f"{url.replace('http', 'ws', 1)}/api/v1{path}"
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    protocols = [Subprotocol(protocol)] if protocol else None
    options = {"compression": None, "max_size": None, "max_queue": 4, **more}
    try:
        connection = await connect(address, subprotocols=protocols, additional_headers=headers, **options)
    except InvalidStatus as error:
        assert error.response.headers["Content-Type"] == "application/problem+json", error.response
        raise Refused(error.response.status_code, json.loads(error.response.body or b"{}")) from error
    async with connection:
        yield connection


def executing(url: str, token: str, instance: str, *command: str, tty: bool = False, stdin: bool = False) -> Any:
    from urllib.parse import urlencode

    query = urlencode(
        [("command", word) for word in command] + [("tty", str(tty).lower()), ("stdin", str(stdin).lower())]
    )
    return opened(url, token, f"/instances/{instance}/exec?{query}", protocol=CHANNELS)


async def heard(connection: ClientConnection) -> Said:
    """Everything until the end."""
    said = Said()
    try:
        async for message in connection:
            take(said, message)
    except ConnectionClosed:
        pass
    said.code, said.why = connection.close_code or 0, connection.close_reason or ""
    return said


def take(said: Said, message: str | bytes) -> None:
    assert isinstance(message, bytes)
    match message[0]:
        case 1:
            said.out += message[1:]
        case 2:
            said.err += message[1:]
        case 3:
            said.status = json.loads(message[1:]) if len(message) > 1 else said.status
