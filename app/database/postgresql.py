"""Connections to PostgreSQL, which may be on one of several hosts, and which may be gone without a word."""

import socket
from typing import Any

import asyncpg

_SECONDS = 10.0
_SECONDS_OF_SEVERAL = 3.0
_NEXT = (OSError, TimeoutError, asyncpg.TargetServerAttributeNotMatched, asyncpg.CannotConnectNowError)
# Seconds, but for the last: a peer that says nothing, or acknowledges nothing, is lost after half a minute.
_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}


async def connected(_dsn: None = None, *, host: Any = None, port: Any = None, **where: Any) -> asyncpg.Connection:
    """To the first host that is what is asked for. Each has a time of its own, so that a silent one is got past.

    Lists of hosts and ports go together. Otherwise as asyncpg.connect, which gives all of them one time together.
    """
    hosts = host if isinstance(host, list) else [host]
    ports = port if isinstance(port, list) else [port] * len(hosts)
    where["timeout"] = _SECONDS if len(hosts) == 1 else _SECONDS_OF_SEVERAL
    last: BaseException | None = None
    for one, its_port in zip(hosts, ports, strict=True):
        try:
            connection = await asyncpg.connect(host=one, port=its_port, **where)
        except _NEXT as error:
            last = error
        else:
            _kept_alive(connection)
            return connection
    assert last is not None
    raise last


def _kept_alive(connection: asyncpg.Connection) -> None:
    """Without this a statement waits for a host that lost its power until the kernel gives up, or for ever."""
    carried = connection._transport.get_extra_info("socket")
    if carried is None or carried.family not in (socket.AF_INET, socket.AF_INET6):
        return
    carried.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ALIVE.items():
        if hasattr(socket, name):  # some are Linux'
            carried.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
