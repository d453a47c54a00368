"""How each way into an instance is spoken on the wire, and how it says that it ended."""

import orjson

from app.instance_types.values import Door
from app.k8s_service.errors import answered
from app.kube.errors import Unreachable
from app.kube.streams import KubeSocket
from app.rules.reach import ENDED, LOST, UNSAID, Ending

_STATUS_CHANNEL = 3
_REFUSED = "connection refused"


class Plain:
    """Bytes as they are. KubeVirt hangs up without a farewell, whatever the reason was."""

    def __init__(self, socket: KubeSocket) -> None:
        self._socket = socket

    async def receive(self) -> bytes | Ending:
        """What the instance says, until it ends."""
        data = await self._socket.receive()
        return self._end() if data is None else data

    async def send(self, data: bytes) -> None:
        """Waits while the instance does not take it. Raises Unavailable once it is gone."""
        try:
            await self._socket.send(data)
        except Unreachable as error:
            raise answered(error) from error

    async def close(self) -> None:
        await self._socket.close()

    def _end(self) -> Ending:
        return UNSAID if self._socket.broken else ENDED


class Channels(Plain):
    """Kubernetes' channels pass through; a command that ran to its end has said so on channel 3."""

    def __init__(self, socket: KubeSocket) -> None:
        super().__init__(socket)
        self._outcome: Ending | None = None

    async def receive(self) -> bytes | Ending:
        data = await super().receive()
        if isinstance(data, bytes) and data[:1] == bytes([_STATUS_CHANNEL]) and len(data) > 1:
            self._outcome = _outcome(data[1:])
        return data

    def _end(self) -> Ending:
        return self._outcome or LOST


class Port(Plain):
    """One TCP connection as a pair of channels, 0 data and 1 errors, each of which begins with the port's number.

    Source: k8s.io/cri-streaming/pkg/streaming/portforward/websocket.go
    """

    def __init__(self, socket: KubeSocket, port: str) -> None:
        super().__init__(socket)
        self._port = port
        self._begun: set[int] = set()
        self._said = ""

    async def receive(self) -> bytes | Ending:
        while True:
            data = await super().receive()
            if isinstance(data, Ending):
                return self._refused() if self._said else data
            if not data:
                continue
            channel, rest = data[0], data[1:]
            if channel not in self._begun:
                self._begun.add(channel)
                rest = rest[2:]
            if channel == 1:
                self._said += rest.decode(errors="replace")
            elif rest:
                return rest

    async def send(self, data: bytes) -> None:
        await super().send(b"\0" + data)

    def _end(self) -> Ending:
        return LOST if self._socket.broken else ENDED

    def _refused(self) -> Ending:
        if _REFUSED in self._said:
            return Ending(4006, "refused", f"Nothing listens on port {self._port} of the instance.")
        return Ending(4006, "refused", f"Port {self._port} of the instance cannot be reached.")


def framed(door: Door, socket: KubeSocket) -> Plain:
    match door.framing:
        case "channels":
            return Channels(socket)
        case "port":
            return Port(socket, dict(door.params)["ports"])
        case "plain":
            return Plain(socket)


def _outcome(status: bytes) -> Ending:
    """From the Status that ends a command. https://kubernetes.io/docs/reference/kubernetes-api/ (v1.Status)"""
    try:
        said = orjson.loads(status)
    except orjson.JSONDecodeError:
        return LOST
    if said.get("status") == "Success":
        return Ending(1000, "exit 0", "The command ended with exit code 0.")
    for cause in (said.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            code = str(cause.get("message"))[:10]
            return Ending(1000, f"exit {code}", f"The command ended with exit code {code}.")
    return Ending(1000, "failed", "The command could not be run; channel 3 says why.")
