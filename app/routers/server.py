"""How the API listens and how it ends: uvicorn, with what it lacks.

It ends in steps, so that a load balancer loses no request: it is no longer ready, while all is still served; then
nobody can connect; then what is open ends.
"""

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from app.routers.deps import State

_FIRST_WORDS = 1.0  # seconds in which who has just connected says what they want
_LAST_WORDS = 0.3  # in which streams say why they end


class Server(uvicorn.Server):
    """Leaves signals to main.py, which calls `stop`, so that what is open is closed in order."""

    def __init__(self, app: FastAPI) -> None:
        self._state: State = app.state.cmp
        settings = self._state.settings
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # middleware.Door reads them, and only those of proxies that are named
                ssl_certfile=settings.tls_certificate,
                ssl_keyfile=settings.tls_key,
                ssl_ciphers="ECDHE+AESGCM:ECDHE+CHACHA20",  # of TLS 1.2; those of 1.3 are all good
                timeout_graceful_shutdown=3,
                timeout_keep_alive=75,
                ws=_WebSocket,
                ws_max_size=settings.max_body_bytes,
                ws_per_message_deflate=False,
                ws_ping_interval=settings.stream_ping_seconds,
                # Who reads slowly answers slowly: a connection that is dead ends by TCP's own rules or for being idle.
                ws_ping_timeout=None,
            )
        )

    def stop(self) -> None:
        """The first time after CMP_DRAIN_SECONDS, the second time now, the third time whatever is open."""
        if self.should_exit:
            self.force_exit = True
        elif self._state.draining or not self._state.settings.drain_seconds:
            self.should_exit = True
        else:
            asyncio.get_running_loop().call_later(self._state.settings.drain_seconds, self._drained)
        self._state.draining = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if self._state.settings.drain_seconds:
            await asyncio.sleep(_FIRST_WORDS)
        self._state.broadcaster.end()
        self._state.streams.end()
        await asyncio.sleep(_LAST_WORDS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield

    def _drained(self) -> None:
        self.should_exit = True


class _WebSocket(WebSocketsSansIOProtocol):
    """uvicorn 0.54 trips over a connection that is closing already, waits for clients that do not read, and takes an
    HTTP answer to a handshake for none.
    """

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def shutdown(self) -> None:
        if not self.writable.is_set():
            self.transport.abort()
            return
        try:
            super().shutdown()
        except InvalidState:
            self.transport.close()
