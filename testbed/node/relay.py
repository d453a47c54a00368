"""Carries bytes across the border of the node's network: out only to the API server, in only from it.

    python -m testbed.node.relay out  <unix socket> <port>                      run outside
    python -m testbed.node.relay both <unix socket> <port> <tunnel socket>      run inside

`both` listens on `port` and passes on to the unix socket, from which `out` goes on to that port of the outer loopback.
On the tunnel socket it answers HTTP CONNECT, with which the API server reaches kubelet, Pods and Services.
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Ends]]
_CHUNK = 1 << 16


async def main() -> None:
    direction, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if direction == "out":
        outward = _to(lambda: asyncio.open_connection("127.0.0.1", port))
        servers = [await asyncio.start_unix_server(outward, path)]
    else:
        homeward = _to(lambda: asyncio.open_unix_connection(path))
        servers = [
            await asyncio.start_server(homeward, "0.0.0.0", port),
            await asyncio.start_unix_server(_connect, sys.argv[4]),
        ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _to(dial: Dial) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            await _join((reader, writer), await dial())

    return carry


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        _, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        host, _, port = target.rpartition(":")
        try:
            far = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError as error:
            writer.write(f"HTTP/1.1 502 {error}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await _join((reader, writer), far)


async def _join(near: Ends, far: Ends) -> None:
    with contextlib.closing(far[1]):
        await asyncio.gather(_copy(near[0], far[1]), _copy(far[0], near[1]))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK):
        target.write(chunk)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


if __name__ == "__main__":
    asyncio.run(main())
