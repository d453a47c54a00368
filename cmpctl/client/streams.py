"""What goes beyond one question and one answer: events, logs, the audit trail as a whole, commands in instances.

The two clients' classes differ in `await` only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from cmpctl.client import async_calls, sync_calls
from cmpctl.client.core import Call, at
from cmpctl.client.errors import CmpError, Unavailable
from cmpctl.client.faces import AsyncSender, SyncSender

if TYPE_CHECKING:
    from httpx2.websockets import AsyncWebSocketSession, WebSocketSession

    from cmpctl.client.models import AuditRead, EventRead

log = logging.getLogger("cmpctl")

# Kubernetes' framing: each message begins with its channel. docs/how-to/reach-an-instance.md has it in full.
CHANNELS = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, STATUS, SIZE = 0, 1, 2, 3, 4
INPUT_ENDS = b"\xff\x00"
LARGEST_MESSAGE = 16 * 2**20
_REMEMBERED = 10_000
# CMP's event streams say something every five seconds; a quiet log may say nothing for ever.
_SILENCE = 30.0


class _Sync(SyncSender, Protocol):
    def opened(self, call: Call, silence: float | None = None) -> AbstractContextManager[httpx2.Response]: ...

    def connected(
        self, path: str, query: Sequence[tuple[str, str]] = (), protocol: str | None = None
    ) -> AbstractContextManager[WebSocketSession]: ...


class _Async(AsyncSender, Protocol):
    def opened(self, call: Call, silence: float | None = None) -> AbstractAsyncContextManager[httpx2.Response]: ...

    def connected(
        self, path: str, query: Sequence[tuple[str, str]] = (), protocol: str | None = None
    ) -> AbstractAsyncContextManager[AsyncWebSocketSession]: ...


class Events(sync_calls.Events):
    _client: _Sync

    def follow(
        self, *, cluster_id: str | None = None, everyones: bool | None = None, after: int | None = None
    ) -> Iterator[EventRead]:
        """Events as they happen, those after the id `after` first. Goes on by itself after a break, without end.

        Before them may come what happened in the minute before `after`: some of it may have been committed later.
        """
        resume = _Resume({"cluster_id": cluster_id, "everyones": everyones}, after)
        while True:
            try:
                with self._client.opened(resume.call(), _SILENCE) as response:
                    for event in httpx2.EventSource(response):
                        yield from resume.take(event.data)
            except (httpx2.TransportError, Unavailable):
                log.debug("the event stream broke; it goes on", exc_info=True)
            time.sleep(resume.pause())


class AsyncEvents(async_calls.Events):
    _client: _Async

    async def follow(
        self, *, cluster_id: str | None = None, everyones: bool | None = None, after: int | None = None
    ) -> AsyncIterator[EventRead]:
        """Events as they happen, those after the id `after` first. Goes on by itself after a break, without end.

        Before them may come what happened in the minute before `after`: some of it may have been committed later.
        """
        resume = _Resume({"cluster_id": cluster_id, "everyones": everyones}, after)
        while True:
            try:
                async with self._client.opened(resume.call(), _SILENCE) as response:
                    async for event in httpx2.EventSource(response):
                        for taken in resume.take(event.data):
                            yield taken
            except (httpx2.TransportError, Unavailable):
                log.debug("the event stream broke; it goes on", exc_info=True)
            await asyncio.sleep(resume.pause())


class Audit(sync_calls.Audit):
    _client: _Sync

    def export(self, **filters: Any) -> Iterator[AuditRead]:
        """All of the trail that `filters`, which are those of `list`, leave."""
        with self._client.opened(Call("GET", "/api/v1/audit/export", filters)) as response:
            for line in response.iter_lines():
                yield json.loads(line)


class AsyncAudit(async_calls.Audit):
    _client: _Async

    async def export(self, **filters: Any) -> AsyncIterator[AuditRead]:
        """All of the trail that `filters`, which are those of `list`, leave."""
        async with self._client.opened(Call("GET", "/api/v1/audit/export", filters)) as response:
            async for line in response.aiter_lines():
                yield json.loads(line)


class Instances(sync_calls.Instances):
    _client: _Sync

    def logs(self, instance: str, **options: Any) -> Iterator[bytes]:
        """What it says, as it comes. Options: follow, previous, timestamps, since_seconds, since_time, tail."""
        with self._client.opened(_logs(instance, options)) as response:
            yield from response.iter_bytes()

    def exec(self, instance: str, command: Sequence[str], stdin: bytes | None = None) -> Said:
        """Runs a command in a container, to its end."""
        from httpx2.websockets import WebSocketDisconnect

        said, query = Said(), exec_query(command, tty=False, stdin=stdin is not None)
        with self._client.connected(exec_path(instance), query, CHANNELS) as session:
            for message in _given(stdin):
                session.send_bytes(message)
            while said.status is None:
                try:
                    said.take(session.receive_bytes())
                except WebSocketDisconnect as error:
                    raise CmpError(error.reason or f"The stream ended with {error.code}.") from error
        return said


class AsyncInstances(async_calls.Instances):
    _client: _Async

    async def logs(self, instance: str, **options: Any) -> AsyncIterator[bytes]:
        """What it says, as it comes. Options: follow, previous, timestamps, since_seconds, since_time, tail."""
        async with self._client.opened(_logs(instance, options)) as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    async def exec(self, instance: str, command: Sequence[str], stdin: bytes | None = None) -> Said:
        """Runs a command in a container, to its end."""
        from httpx2.websockets import WebSocketDisconnect

        said, query = Said(), exec_query(command, tty=False, stdin=stdin is not None)
        async with self._client.connected(exec_path(instance), query, CHANNELS) as session:
            for message in _given(stdin):
                await session.send_bytes(message)
            while said.status is None:
                try:
                    said.take(await session.receive_bytes())
                except WebSocketDisconnect as error:
                    raise CmpError(error.reason or f"The stream ended with {error.code}.") from error
        return said


@dataclass
class Said:
    """What a command said, and how it ended."""

    stdout: bytes = b""
    stderr: bytes = b""
    status: dict[str, Any] | None = None

    def take(self, message: bytes) -> None:
        channel, data = message[0], message[1:]
        if channel == STDOUT:
            self.stdout += data
        elif channel == STDERR:
            self.stderr += data
        elif channel == STATUS:
            self.status = json.loads(data)

    @property
    def exit_code(self) -> int:
        """Raises CmpError where the command did not come to its own end."""
        status = self.status or {}
        if status.get("status") == "Success":
            return 0
        causes = status.get("details", {}).get("causes", [])
        codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
        if not codes:
            raise CmpError(status.get("message") or "The command did not come to its end.")
        return codes[0]


class _Resume:
    """An event stream that goes on after a break: nothing is skipped, nothing comes twice."""

    def __init__(self, query: dict[str, Any], after: int | None) -> None:
        self._query = query
        self._last = after
        self._seen: deque[int] = deque([] if after is None else [after], maxlen=_REMEMBERED)
        self._breaks = 0

    def call(self) -> Call:
        last = None if self._last is None else str(self._last)
        return Call("GET", "/api/v1/events/", self._query, last_event_id=last)

    def take(self, data: str) -> Iterator[EventRead]:
        event: EventRead = json.loads(data)
        self._breaks = 0
        if event["id"] not in self._seen:
            self._seen.append(event["id"])
            self._last = max(self._last or 0, event["id"])
            yield event

    def pause(self) -> float:
        """Seconds until the next try."""
        self._breaks += 1
        return min(8.0, 0.1 * float(2**self._breaks))


def exec_path(instance: str) -> str:
    return at("/api/v1/instances/{}/exec", instance)


def exec_query(command: Sequence[str], *, tty: bool, stdin: bool) -> list[tuple[str, str]]:
    return [*(("command", word) for word in command), ("tty", str(tty).lower()), ("stdin", str(stdin).lower())]


def _given(stdin: bytes | None) -> Iterator[bytes]:
    if stdin is not None:
        yield from ([bytes([STDIN]) + stdin] if stdin else [])
        yield INPUT_ENDS


def _logs(instance: str, options: dict[str, Any]) -> Call:
    return Call("GET", at("/api/v1/instances/{}/logs", instance), options)
