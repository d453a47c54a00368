"""Webhooks as Standard Webhooks has them, to the internet only.

Each socket is checked with the very address that it is about to connect to, so that no name can lead elsewhere
between a look-up and a connection. No redirects, no proxies, no cookies; of the answer only the status counts.
"""

import asyncio
import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from app.delivery.messages import Message, NotDelivered
from app.rules.addresses import Fence
from app.rules.notifications import signature

_LOOK_UPS = 16
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_NOT_THE_INTERNET = "its address is not on the internet"


class Webhooks:
    def __init__(self, fence: Fence, *, http: bool, seconds: float, version: str) -> None:
        """`http`: whether plain http:// is allowed. `seconds`: for all of one try."""
        self._fence = fence
        self._schemes = ("https", "http") if http else ("https",)
        self._agent = f"CMP/{version}"
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._tls = ssl.create_default_context()
        self._resolver = _Resolver()

    async def send(self, message: Message) -> str:
        """What was answered, when that is 2xx. Raises NotDelivered."""
        if urlsplit(message.target).scheme not in self._schemes:
            raise NotDelivered("plain http is not allowed here")
        body = {"type": message.topic, "timestamp": message.created_at.isoformat(), "data": message.content}
        try:
            status = await self._post(message, json.dumps(body, separators=(",", ":")).encode())
        except aiohttp.ClientConnectorCertificateError:
            raise NotDelivered("its certificate is not to be trusted") from None
        except aiohttp.ClientConnectorSSLError:
            raise NotDelivered("it does not speak TLS as it should") from None
        except aiohttp.ClientConnectorDNSError:
            raise NotDelivered("its name is not known") from None
        except aiohttp.ClientConnectorError as error:
            outside = isinstance(error.os_error, _Outside)
            raise NotDelivered(_NOT_THE_INTERNET if outside else "it cannot be connected to") from None
        except TimeoutError:
            raise NotDelivered("no answer in time") from None
        except (aiohttp.ClientError, ValueError, OSError):
            raise NotDelivered("no answer that is one of HTTP") from None
        if not 200 <= status < 300:
            raise NotDelivered(f"HTTP {status}")
        return f"HTTP {status}"

    async def _post(self, message: Message, body: bytes) -> int:
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "webhook-id": message.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(message.secret, message.id, now, body),
        }
        connector = aiohttp.TCPConnector(
            ssl=self._tls,
            use_dns_cache=False,
            force_close=True,
            socket_factory=self._socket,
            resolver=self._resolver,
        )
        async with aiohttp.ClientSession(
            connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        ) as session:
            answer = await session.post(message.target, data=body, headers=headers, allow_redirects=False)
            answer.close()
            return answer.status

    def _socket(self, address: Any) -> socket.socket:
        """For aiohttp, which connects it to the same address. Raises _Outside."""
        family, kind, protocol, _, to = address
        if not self._fence.lets(to[0]):
            raise _Outside(_NOT_THE_INTERNET)
        return socket.socket(family, kind, protocol)


class _Outside(OSError):
    pass


class _Resolver(AbstractResolver):
    """In threads of its own: a name whose server is silent must not hold up the look-ups of the rest of the process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, "webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        return [
            ResolveResult(hostname=host, host=str(to[0]), port=int(to[1]), family=kind, proto=proto, flags=_NUMERIC)
            for kind, _, proto, _, to in found
        ]

    async def close(self) -> None:
        """Each message has a connector of its own; the threads stay."""
