"""A WebSocket on one side, an instance on the other: bytes both ways, as fast as the slower of the two."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog
from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import CmpError
from app.rules.reach import DISCONNECTED, ENDED, FAILED, LOST, NOT_BINARY, Ending
from app.services.streams import Conversation, Log, Stream, Streams

log = structlog.get_logger("cmp.streams")

_FAREWELL_SECONDS = 3.0

Still = Callable[[], Awaitable[Ending | None]]
Check = Callable[[bytes], Ending | None]


async def converse(
    websocket: WebSocket, conversation: Conversation, streams: Streams, stream: Stream, still: Still, check: Check
) -> None:
    """Until either side ends or the stream must; says why in `stream.ending` and the WebSocket's close."""
    stream.ending = await _first_of(
        _outward(websocket, conversation, stream),
        streams.watch(stream, still, idles=True),
        _inward(websocket, conversation, stream, check),
    )
    if stream.ending is not DISCONNECTED:
        # Who does not read hears nothing either.
        with suppress(WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await websocket.close(stream.ending.code, stream.ending.words)


class StreamedLog(StreamingResponse):
    """The chunks, until there are no more or the stream must end. What `held` holds is let go of in every case."""

    def __init__(
        self,
        body: Log,
        streams: Streams,
        stream: Stream,
        still: Still,
        held: AsyncExitStack,
    ) -> None:
        super().__init__(iter(()), media_type="text/plain", headers={"X-Accel-Buffering": "no"})
        self._body = body
        self._streams = streams
        self._stream = stream
        self._still = still
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            self._stream.ending = await _first_of(
                self._send_all(send),
                self._streams.watch(self._stream, self._still, idles=False),
                _gone(receive),
            )
        if self._stream.ending not in (LOST, FAILED, DISCONNECTED):
            await send({"type": "http.response.body", "body": b""})
        # Else the answer stays without its end: a broken log must not look like a whole one.

    async def _send_all(self, send: Send) -> Ending:
        try:
            async for chunk in self._body:
                self._stream.note(outgoing=len(chunk))
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except CmpError:
            return LOST
        return ENDED


async def _gone(receive: Receive) -> Ending:
    while (await receive())["type"] != "http.disconnect":
        pass
    return DISCONNECTED


async def _inward(websocket: WebSocket, conversation: Conversation, stream: Stream, check: Check) -> Ending:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return DISCONNECTED
        data = message.get("bytes")
        if data is None:
            return NOT_BINARY
        wrong = check(data)
        if wrong is not None:
            return wrong
        stream.note(incoming=len(data))
        try:
            await conversation.send(data)
        except CmpError:
            await asyncio.sleep(1)  # the other direction may still say something, and why it ended
            return LOST


async def _outward(websocket: WebSocket, conversation: Conversation, stream: Stream) -> Ending:
    while True:
        data = await conversation.receive()
        if isinstance(data, Ending):
            return data
        stream.note(outgoing=len(data))
        await websocket.send_bytes(data)


async def _first_of(*works: Coroutine[Any, Any, Ending]) -> Ending:
    """How the first of them ended; of several at once, the first one named. The others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done = next(task for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    error = done.exception()
    if error is None:
        return done.result()
    if isinstance(error, (WebSocketDisconnect, OSError)):
        return DISCONNECTED
    log.error("stream.failed", exc_info=error)
    return FAILED
