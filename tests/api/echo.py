"""What tests of streams stand on: a way into instances that echoes, and how to dial it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import sqlalchemy as sa

from app.database import Session
from app.errors import WrongState
from app.models import Instance
from app.rules.reach import ENDED, Ending, Logs, Target, Usage, Way
from tests.api.running import Api, Caller, Dialog, checked, handshake, running_api

CHANNELS = ["v5.channel.k8s.io"]
EXEC = "exec?command=sh&command=a-secret"
WAYS = [
    ("container", EXEC),
    ("container", "port-forward/80"),
    ("vm", "console"),
    ("vm", "vnc"),
    ("vm", "port-forward/80"),
]


class Echo:
    """Says what it is told; after `end` it ends, and `stuck` it takes nothing."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.closed = False
        self._said: asyncio.Queue[bytes | Ending] = asyncio.Queue()

    async def receive(self) -> bytes | Ending:
        return await self._said.get()

    async def send(self, data: bytes) -> None:
        await self._said.put(ENDED if data.endswith(b"end") else data)

    async def close(self) -> None:
        self.closed = True


class EchoReach:
    def __init__(self) -> None:
        self.opened: list[Echo] = []
        self.logs_open = 0
        self.reading = asyncio.Event()
        self.refuses: str | None = None
        self.wanted: list[Logs] = []

    async def logs(self, target: Target, wanted: Logs) -> AsyncGenerator[bytes, None]:
        self.wanted.append(wanted)
        return self._lines(target, wanted)

    async def _lines(self, target: Target, wanted: Logs) -> AsyncGenerator[bytes, None]:
        self.logs_open += 1
        self.reading.set()
        try:
            yield f"{target.name}\n".encode()
            if wanted.follow:
                await asyncio.Event().wait()
        finally:
            self.logs_open -= 1

    async def open(self, target: Target, way: Way) -> Echo:
        if self.refuses:
            raise WrongState(self.refuses)
        self.opened.append(Echo(way))
        return self.opened[-1]

    async def screenshot(self, target: Target) -> bytes:
        return b"\x89PNG"

    async def usage(self, target: Target) -> Usage:
        return Usage(0.25, 12, datetime(2026, 11, 25, tzinfo=UTC), 15.0)


@asynccontextmanager
async def reaching(url: str, place: Any, **settings: Any) -> AsyncIterator[tuple[Api, EchoReach]]:
    async with running_api(url, place, **settings) as api:
        reach = EchoReach()
        api.state.reach = reach
        yield api, reach


async def running_instance(api: Api, owner: Caller, instance_type: str = "container", status: str = "running") -> str:
    cluster = await owner.cluster(instance_type=instance_type)
    name = str(cluster["instances"][0]["instance_name"])
    await becomes(api, name, status)
    return name


async def becomes(api: Api, name: str, status: str) -> None:
    async def once(session: Session) -> None:
        await session.execute(sa.update(Instance).where(Instance.instance_name == name).values(status=status))

    await api.database.run(once)


async def dial(owner: Caller, instance: str, way: str, **headers: str) -> Dialog:
    path, _, query = way.partition("?")
    sent = {"authorization": f"Bearer {owner.token}"} | headers
    return await handshake(owner.app, f"/api/v1/instances/{instance}/{path}", sent, query, CHANNELS)


async def refused(owner: Caller, instance: str, way: str, **headers: str) -> httpx.Response:
    dialog = await dial(owner, instance, way, **headers)
    assert dialog.refusal is not None, f"{way} was opened"
    await checked(dialog.refusal)
    return dialog.refusal


async def recorded(owner: Caller, count: int) -> list[dict[str, Any]]:
    """The record of streams, oldest first, once there are so many."""
    for _ in range(200):
        found = (await owner.get("/events/history", params={"sort": "created_at"})).json()["items"]
        mine = [event for event in found if event["kind"].startswith("access.")]
        if len(mine) >= count:
            return mine
        await asyncio.sleep(0.02)
    raise AssertionError(f"not {count} of them: {mine}")
