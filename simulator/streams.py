"""Long conversations: followed logs, exec and port-forward of Pods, console, screen and ports of virtual machines.

Spoken as an API server 1.36 and virt-api 1.9 speak them over WebSocket: v5.channel.k8s.io, v4.channel.k8s.io and
plain.kubevirt.io. A container serves HTTP on port 80 and echoes on port 7; so does a guest.
"""

import asyncio
import contextlib
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from simulator import shell
from simulator.errors import StatusError, bad_request, conflict, not_found
from simulator.kubelet import SUSPENDED
from simulator.request import Request
from simulator.resources import PODS, VIRTUAL_MACHINE_INSTANCES, Resource
from simulator.shell import Terminal
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World, has_condition

EXEC, FORWARD, PLAIN = "v5.channel.k8s.io", "v4.channel.k8s.io", "plain.kubevirt.io"
STDIN, STATUS, RESIZE, CLOSE = 0, 3, 4, 255
HTTP_PORT, ECHO_PORT = 80, 7
_SCREEN_IN_USE = (
    "Can't connect to websocket (503): websocket: bad handshake: application info: Active VNC connection. "
    "Request denied."
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Socket:
    """An accepted WebSocket: binary messages."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def receive(self) -> bytes | None:
        """None once the client is gone."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return None
        data = message.get("bytes")
        return data if data is not None else str(message.get("text") or "").encode()

    async def send(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def send_to(self, channel: int, data: bytes) -> None:
        await self.send(bytes([channel]) + data)

    async def close(self) -> None:
        await self._send({"type": "websocket.close", "code": 1000})


Talk = Callable[[Socket], Awaitable[None]]


class Streams:
    def __init__(self, world: World) -> None:
        self._world = world
        self._ends: dict[str, set[asyncio.Event]] = {}
        """By the uid of what a stream leads to."""
        self._screens: dict[str, asyncio.Event] = {}
        self._consoles: dict[str, asyncio.Event] = {}
        self._pictures = _picture()
        for resource in (PODS, VIRTUAL_MACHINE_INSTANCES):
            world.store.on(resource, self._changed)

    def close_all(self) -> None:
        for ends in list(self._ends.values()):
            for end in ends:
                end.set()

    async def serve(self, request: Request, protocols: list[str], receive: Receive, send: Send) -> None:
        """One WebSocket. Raises StatusError for what is refused before anything was accepted."""
        stored, protocol, talk, end = self._understood(request)
        if protocol not in protocols:
            raise bad_request(f"unable to upgrade: client supports {protocols}, server supports [{protocol}]")
        await receive()
        await send({"type": "websocket.accept", "subprotocol": protocol})
        socket = Socket(receive, send)
        with self._ending(stored, end):
            talking, ended = asyncio.ensure_future(talk(socket)), asyncio.ensure_future(end.wait())
            try:
                await asyncio.wait({talking, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                talking.cancel()
                ended.cancel()
                await asyncio.gather(talking, ended, return_exceptions=True)
        # virt-api hangs up without a farewell.
        with contextlib.suppress(OSError, RuntimeError):
            if protocol != PLAIN:
                await socket.close()

    def picture(self, request: Request) -> bytes:
        """The screen: nothing is on it."""
        self._machine(request)
        return self._pictures

    @contextlib.contextmanager
    def until_gone(self, stored: Stored) -> Any:
        """An event that is set once the object is gone."""
        end = asyncio.Event()
        with self._ending(stored, end):
            yield end

    @contextlib.contextmanager
    def _ending(self, stored: Stored, end: asyncio.Event) -> Any:
        self._ends.setdefault(stored.uid, set()).add(end)
        try:
            yield
        finally:
            self._ends[stored.uid].discard(end)
            if not self._ends[stored.uid]:
                del self._ends[stored.uid]

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            for end in self._ends.get(event.stored.uid, ()):
                end.set()

    def _understood(self, request: Request) -> tuple[Stored, str, Talk, asyncio.Event]:
        words, end = request.subresource.split("/"), asyncio.Event()
        match words:
            case ["exec"] if request.target is PODS:
                pod = self._pod(request)
                return pod, EXEC, lambda socket: self._exec(socket, pod, request), end
            case ["portforward"] if request.target is PODS:
                pod, port = self._pod(request), request.number("ports") or 0
                if not port:
                    raise bad_request('query parameter "ports" is required')
                return pod, FORWARD, lambda socket: _forward(socket, pod, port), end
            case ["console"] if request.kubevirt:
                machine = self._machine(request)
                _push_aside(self._consoles, machine.uid, end)
                return machine, PLAIN, lambda socket: _console(socket, machine.key[1]), end
            case ["vnc"] if request.kubevirt:
                machine = self._machine(request)
                held = self._screens.get(machine.uid)
                if request.flag("preserveSession") and held is not None and held in self._ends.get(machine.uid, ()):
                    raise _internal(_SCREEN_IN_USE)
                _push_aside(self._screens, machine.uid, end)
                return machine, PLAIN, _screen, end
            case ["portforward", port, *_] if request.kubevirt:
                machine = self._machine(request)
                if has_condition(machine.obj, "Paused"):
                    raise conflict("kubevirt.io", "virtualmachineinstance", machine.key[1], "VMI is paused")
                if int(port) not in (HTTP_PORT, ECHO_PORT):
                    address = machine.obj["status"].get("interfaces", [{}])[0].get("ipAddress", "")
                    raise _internal(f"dialing VM: dial tcp {address}:{port}: connect: connection refused")
                return machine, PLAIN, lambda socket: _served(socket, machine.key[1], int(port)), end
        raise bad_request("Upgrade request required")

    def _pod(self, request: Request) -> Stored:
        pod = self._found(PODS, request)
        if not pod.obj["spec"].get("nodeName"):
            raise bad_request(f"pod {pod.key[1]} does not have a host assigned")
        return pod

    def _machine(self, request: Request) -> Stored:
        machine = self._found(VIRTUAL_MACHINE_INSTANCES, request)
        phase = (machine.obj.get("status") or {}).get("phase")
        if phase == "Failed":
            raise conflict("kubevirt.io", "virtualmachineinstance", machine.key[1], "VMI is in failed status")
        if phase != "Running":
            raise bad_request("VMI is not running")
        return machine

    def _found(self, resource: Resource, request: Request) -> Stored:
        found = self._world.store.get(resource, request.key)
        if found is None:
            raise not_found(resource.group, resource.plural if resource is PODS else resource.singular, request.name)
        return found

    async def _exec(self, socket: Socket, pod: Stored, request: Request) -> None:
        command = request.every("command")
        terminal = Terminal(socket.send_to, tty=request.flag("tty"))
        if not _running(pod, request.query.get("container")):
            await socket.send_to(
                STATUS, orjson.dumps(_failure('unable to upgrade connection: container not found ("main")'))
            )
            return
        if has_condition(pod.obj, SUSPENDED):
            await asyncio.Event().wait()  # a frozen container starts nothing
        reading = asyncio.ensure_future(_typed(socket, terminal))
        running = asyncio.ensure_future(shell.run(pod.key[1], command, terminal))
        try:
            await asyncio.wait({reading, running}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                return  # the client is gone
            await socket.send_to(STATUS, orjson.dumps(_status(running)))
        finally:
            reading.cancel()
            running.cancel()
            await asyncio.gather(reading, running, return_exceptions=True)


async def followed(lines: Callable[[], list[str]], gone: asyncio.Event) -> AsyncIterator[bytes]:
    """What is there and what comes, until the Pod is gone."""
    told = 0
    while True:
        now = lines()
        if now[told:]:
            yield "".join(f"{line}\n" for line in now[told:]).encode()
            told = len(now)
        if gone.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await gone.wait()


async def _typed(socket: Socket, terminal: Terminal) -> None:
    """Until the client is gone."""
    while (message := await socket.receive()) is not None:
        if not message:
            continue
        match message[0]:
            case 0 if message[1:]:
                await terminal.input.put(message[1:])
            case 4:
                size = orjson.loads(message[1:])
                terminal.width, terminal.height = int(size["Width"]), int(size["Height"])
            case 255 if message[1:] == b"\0":
                await terminal.input.put(None)


def _status(running: "asyncio.Future[int]") -> Json:
    error = running.exception()
    if isinstance(error, shell.NotFound):
        return _failure(
            "error executing command in container: failed to exec in container: OCI runtime exec failed: exec failed: "
            f'unable to start container process: exec: "{error}": executable file not found in $PATH'
        )
    if error is not None:
        return _failure(f"error executing command in container: {error}")
    code = running.result()
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    said = f"command terminated with exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {said}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _failure(said: str) -> Json:
    text = f"Internal error occurred: {said}"
    details = {"causes": [{"message": text}]}
    return {
        "metadata": {},
        "status": "Failure",
        "message": text,
        "reason": "InternalError",
        "details": details,
        "code": 500,
    }


async def _forward(socket: Socket, pod: Stored, port: int) -> None:
    begin = struct.pack("<H", port)
    await socket.send_to(0, begin)
    await socket.send_to(1, begin)
    if port not in (HTTP_PORT, ECHO_PORT) or not _running(pod, None):
        place = f'localhost:{port} inside namespace "/var/run/netns/cni-simulated"'
        refused = f"dial tcp4 127.0.0.1:{port}: connect: connection refused"
        text = (
            f"error forwarding port {port} to pod {pod.uid}, uid : failed to execute portforward in network namespace: "
        )
        await socket.send_to(1, f"{text}failed to connect to {place}, IPv4: {refused}".encode())
        return
    if has_condition(pod.obj, SUSPENDED):
        await asyncio.Event().wait()

    class Channel(Socket):
        async def receive(self) -> bytes | None:
            data = await socket.receive()
            return None if data is None else data[1:]

        async def send(self, data: bytes) -> None:
            await socket.send_to(0, data)

    await _served(Channel(socket._receive, socket._send), pod.key[1], port)


async def _served(socket: Socket, name: str, port: int) -> None:
    """Port 7 echoes; port 80 is a web server that keeps its connections."""
    asked = b""
    while (data := await socket.receive()) is not None:
        if port == ECHO_PORT:
            await socket.send(data)
            continue
        asked += data
        while b"\r\n\r\n" in asked:
            head, _, asked = asked.partition(b"\r\n\r\n")
            body = f"hello from {name}\n".encode()
            lines = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            await socket.send(lines.encode() + body)
            if b"connection: close" in head.lower():
                return


async def _console(socket: Socket, name: str) -> None:
    """A login prompt that nobody gets past."""
    prompt = f"\r\n{name} login: ".encode()
    while (data := await socket.receive()) is not None:
        await socket.send(data.replace(b"\r", b"\n").replace(b"\n", prompt))


async def _screen(socket: Socket) -> None:
    """RFC 6143 as far as its first words."""
    await socket.send(b"RFB 003.008\n")
    while await socket.receive() is not None:
        pass


def _push_aside(held: dict[str, asyncio.Event], uid: str, end: asyncio.Event) -> None:
    if uid in held:
        held[uid].set()
    held[uid] = end


def _running(pod: Stored, container: str | None) -> bool:
    statuses = pod.obj["status"].get("containerStatuses") or ()
    return any("running" in item["state"] for item in statuses if container in (None, item["name"]))


def _internal(message: str) -> StatusError:
    details = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details)


def _picture() -> bytes:
    """A PNG of one black point."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
