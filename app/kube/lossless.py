"""TLS that hands over everything that arrived before the end, however slowly it is read.

uvloop's own forgets what its reader was not ready for when the other side ends the connection (uvloop 0.23,
sslproto.pyx, `eof_received`): the end of a log, or a command's exit code. The standard library's keeps it.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any

import aiohttp


class LosslessConnector(aiohttp.TCPConnector):
    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> tuple[asyncio.Transport, Any]:
        """`args` begins with what makes the protocol of a connection; `ssl` among the rest asks for TLS."""
        context: ssl.SSLContext | None = kwargs.pop("ssl", None)
        name: str | None = kwargs.pop("server_hostname", None)
        factory, *others = args
        if context is None:
            return await super()._wrap_create_connection(factory, *others, **kwargs)
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def secured() -> SSLProtocol:
            return SSLProtocol(loop, factory(), context, ready, server_side=False, server_hostname=name)

        raw, made = await super()._wrap_create_connection(secured, *others, **kwargs)
        protocol: Any = made
        try:
            await ready
        except BaseException:
            raw.close()
            raise
        return protocol._app_transport, protocol._app_protocol
