"""Open streams of this process: how many there may be, how long each may last, and the record of every one.

What is at the other end of a stream is behind `Reach`, which main.py fills in: this floor never touches Kubernetes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from app.database import Database, Session
from app.errors import CmpError, TooMany, Unavailable
from app.models import Cluster, Instance
from app.rules.access import Viewer
from app.rules.reach import DISCONNECTED, GOING_AWAY, IDLE, LIFETIME, Access, Ending, Logs, Target, Usage, Way
from app.store import events
from app.telemetry import metrics

log = structlog.get_logger("cmp.streams")

CHECK_SECONDS = 3.0


class Conversation(Protocol):
    async def receive(self) -> bytes | Ending: ...

    async def send(self, data: bytes) -> None:
        """Waits while the instance does not take it. Raises Unavailable once it is gone."""
        ...

    async def close(self) -> None: ...


class Log(Protocol):
    """Chunks; to be closed in every case. Raises Unavailable where it breaks off."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


class Reach(Protocol):
    """Each raises WrongState, Unsupported, Unavailable; an instance is entered only where it is seen to be itself."""

    async def logs(self, target: Target, wanted: Logs) -> Log: ...

    async def open(self, target: Target, way: Way) -> Conversation: ...

    async def screenshot(self, target: Target) -> bytes: ...

    async def usage(self, target: Target) -> Usage: ...


class Stream:
    """One that is open. `incoming` and `outgoing` in bytes, as the instance sees them."""

    def __init__(self, viewer: Viewer, instance: Instance, cluster: Cluster, access: Access, words: str) -> None:
        self.viewer = viewer
        self.instance = instance
        self.cluster = cluster
        self.access = access
        self.words = words
        self.incoming = self.outgoing = 0
        self.ending = DISCONNECTED
        self.opened = self.active = time.monotonic()
        self.told_to_end = asyncio.Event()

    def note(self, *, incoming: int = 0, outgoing: int = 0) -> None:
        self.active = time.monotonic()
        self.incoming += incoming
        self.outgoing += outgoing


class Streams:
    def __init__(
        self,
        database: Database,
        *,
        most: int,
        most_of_account: int,
        idle_seconds: float,
        lifetime_seconds: float,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._most = most
        self._most_of_account = most_of_account
        self._idle_seconds = idle_seconds
        self._lifetime_seconds = lifetime_seconds
        self._on_commit = on_commit
        self._open: set[Stream] = set()
        self._records: set[asyncio.Task[None]] = set()
        self._ending = False
        for access in Access:
            metrics.INSTANCE_STREAMS.labels(access)

    def end(self) -> None:
        """The process is to end: every stream does, saying so."""
        self._ending = True
        for stream in self._open:
            stream.told_to_end.set()

    async def close(self) -> None:
        """Waits for what is still to be recorded."""
        await asyncio.gather(*self._records)

    @asynccontextmanager
    async def opened(
        self,
        viewer: Viewer,
        instance: Instance,
        cluster: Cluster,
        access: Access,
        words: str,
        request_id: str,
        *,
        recorded: bool = True,
    ) -> AsyncIterator[Stream]:
        """Recorded before anything is entered, and again when it is over. Raises TooMany."""
        self._admit(viewer)
        stream = Stream(viewer, instance, cluster, access, words)
        self._open.add(stream)
        try:
            if recorded:
                await self._record(stream, "access.opened", None, words, request_id)
            try:
                with metrics.INSTANCE_STREAMS.labels(access).track_inprogress():
                    yield stream
            except CmpError as error:
                stream.ending = Ending(0, "refused", error.message)
                raise
            finally:
                if recorded:
                    self._record_end(stream, request_id)
        finally:
            self._open.discard(stream)

    async def watch(self, stream: Stream, still: Callable[[], Awaitable[Ending | None]], *, idles: bool) -> Ending:
        """Why it must end, as soon as it must; `still` is asked now and then. `idles`: silence ends it too."""
        checked = time.monotonic()
        while True:
            idle_until = stream.active + self._idle_seconds if idles else float("inf")
            until = min(idle_until, stream.opened + self._lifetime_seconds, checked + CHECK_SECONDS)
            if await _set_within(stream.told_to_end, until - time.monotonic()):
                return GOING_AWAY
            now = time.monotonic()
            if now >= stream.opened + self._lifetime_seconds:
                return LIFETIME
            if idles and now >= stream.active + self._idle_seconds:
                return IDLE
            if now >= checked + CHECK_SECONDS:
                checked = now
                ending = await still()
                if ending is not None:
                    return ending

    def _admit(self, viewer: Viewer) -> None:
        if self._ending:
            raise Unavailable("This CMP process is ending. Try again.")
        mine = sum(stream.viewer.account_id == viewer.account_id for stream in self._open)
        if mine >= self._most_of_account:
            raise TooMany(f"You have {mine} streams open here, the most that one account may have. Close one first.")
        if len(self._open) >= self._most:
            raise TooMany("This CMP process has as many streams open as it may. Try again, or ask an administrator.")

    def _record_end(self, stream: Stream, request_id: str) -> None:
        """In a task of its own: whoever ran the stream may be cancelled by now."""
        seconds = round(time.monotonic() - stream.opened, 1)
        bytes_ = f"{stream.incoming} bytes in, {stream.outgoing} bytes out"
        words = f"{stream.words}; {seconds} s, {bytes_}. {stream.ending.words}"
        task = asyncio.create_task(self._record_late(stream, words, request_id))
        self._records.add(task)
        task.add_done_callback(self._records.discard)

    async def _record_late(self, stream: Stream, words: str, request_id: str) -> None:
        try:
            await self._record(stream, "access.closed", stream.ending.outcome, words, request_id)
        except Exception:
            log.exception("stream.not_recorded", instance=str(stream.instance.id), words=words)

    async def _record(self, stream: Stream, kind: str, outcome: str | None, words: str, request_id: str) -> None:
        async def once(session: Session) -> None:
            await events.add(
                session,
                kind=kind,
                actor=stream.viewer.username,
                cluster=stream.cluster,
                instance=stream.instance,
                status=stream.access.value,
                reason=outcome,
                message=words,
                request_id=request_id,
            )

        await self._database.run(once)
        self._on_commit()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return False
    return True
