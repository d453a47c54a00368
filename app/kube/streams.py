"""Long conversations with the Kubernetes API: bodies that are read as they come, and WebSockets.

On connections of their own, one each, so that no number of them keeps the other calls waiting. Nothing is buffered
beyond a socket's worth: who does not read makes the other side wait.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import aiohttp
from aiohttp import WSMsgType

from app.kube.credentials import Credentials
from app.kube.errors import Refusal, Unreachable, refusal
from app.kube.lossless import LosslessConnector

CONNECT_SECONDS = 5.0
HANDSHAKE_SECONDS = 20.0
CLOSE_SECONDS = 1.0
# A log that says nothing yet has no answer yet either.
QUIET_SECONDS = 2.0
# A kubelet's messages have at most 32 KiB.
LARGEST_MESSAGE = 4 * 1024 * 1024
LARGEST_PICTURE = 32 * 1024 * 1024

Params = Sequence[tuple[str, str]]


class StreamClient:
    def __init__(self, credentials: Credentials, *, version: str = "dev") -> None:
        self._credentials = credentials
        self._session = aiohttp.ClientSession(
            connector=LosslessConnector(limit=0, force_close=True, ssl=credentials.ssl or True),
            headers={"User-Agent": f"cmp/{version}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            raise_for_status=_accepted,
            middlewares=(_straight,),
            trust_env=credentials.ssl is not None,
        )
        self._session._retry_connection = False

    async def close(self) -> None:
        await self._session.close()

    async def body(self, path: str, params: Params) -> "Body":
        """Raises Refusal, Unreachable; the latter while it is read, too."""
        body = Body(self._chunks(path, params))
        try:
            await body.begin()
        except BaseException:
            await body.aclose()
            raise
        return body

    async def picture(self, path: str, params: Params) -> bytes:
        async with asyncio.timeout(HANDSHAKE_SECONDS), aclosing(self._chunks(path, params)) as chunks:
            found = b""
            async for chunk in chunks:
                found += chunk
                if len(found) > LARGEST_PICTURE:
                    raise Unreachable("the picture has no end")
            return found

    async def websocket(self, path: str, params: Params, protocol: str) -> "KubeSocket":
        """Raises Refusal with the server's words, Unreachable."""
        for renewed in (False, True):
            try:
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    socket = await self._session.ws_connect(
                        self._credentials.host + path,
                        params=params,
                        headers=await self._credentials.headers(),
                        protocols=(protocol,),
                        proxy=self._credentials.proxy,
                        server_hostname=self._credentials.server_name,
                        max_msg_size=LARGEST_MESSAGE,
                    )
                return KubeSocket(socket)
            except Refusal as error:
                if renewed or error.code != 401 or not await self._credentials.renew():
                    raise
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        raise AssertionError("unreachable: the second try returns or raises")

    async def _chunks(self, path: str, params: Params) -> AsyncGenerator[bytes, None]:
        try:
            async with self._session.get(
                self._credentials.host + path,
                params=params,
                headers=await self._credentials.headers(),
                proxy=self._credentials.proxy,
                server_hostname=self._credentials.server_name,
                allow_redirects=False,
            ) as response:
                yield b""  # it is answered
                async for chunk in response.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}".rstrip(": ")) from error


class Body:
    """Chunks as they come; to be closed in every case, also by who never read any."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._first: asyncio.Future[bytes] | None = asyncio.ensure_future(anext(chunks, b""))

    async def begin(self) -> None:
        """Waits for the answer's beginning, but not for long."""
        assert self._first is not None
        await asyncio.wait({self._first}, timeout=QUIET_SECONDS)
        if self._first.done():
            self._first.result()

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        if self._first is None:
            return await anext(self._chunks)
        first, self._first = await asyncio.shield(self._first), None
        return first

    async def aclose(self) -> None:
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)
        await self._chunks.aclose()


class KubeSocket:
    """`broken` once it ended without a word of farewell."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.broken = False

    async def receive(self) -> bytes | None:
        """The next message; None when there is no more."""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.TEXT:
            return str(message.data).encode()
        self.broken = message.type is not WSMsgType.CLOSE
        return None

    async def send(self, data: bytes) -> None:
        """Waits for as long as the other side does not take it. Raises Unreachable once it is gone."""
        try:
            await self._socket.send_bytes(data)
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable("the other side is gone") from error

    async def close(self) -> None:
        """A farewell, then the end: whoever is not listening any more is not waited for."""
        transport = self._socket._writer.transport
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._socket.close()
        finally:
            transport.abort()  # what could not be sent yet would keep the connection


async def _straight(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """ws_connect would follow a redirect to anywhere, and cannot be told not to."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise refusal(response.status, b"")
    return response


async def _accepted(response: aiohttp.ClientResponse) -> None:
    if response.status not in (101, 200):
        raise refusal(response.status, await response.read())
