"""Watches: replay of history, then live events, with bookmarks, in the order of revisions.

A watcher is fed by the store without blocking it; what a slow reader has not fetched waits here, up to a bound.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import orjson

from simulator import present, reads
from simulator.errors import StatusError, cause, failure, invalid
from simulator.request import Request
from simulator.selectors import Selector
from simulator.settings import Settings
from simulator.store import Collection, Event, EventType, Store, Stored

BACKLOG = 100_000
END_OF_INITIAL = "k8s.io/initial-events-end"


class HistoryGone(Exception):
    """The watch starts before the history kept. Told inside a 200 stream, as the API server's watch cache does."""

    def __init__(self, revision: int, floor: int) -> None:
        super().__init__(f"too old resource version: {revision} ({floor})")
        self.status = failure(410, "Expired", str(self))


class Watcher:
    """One open watch: lines ready to send, in order."""

    def __init__(
        self,
        collection: Collection,
        namespace: str,
        selector: Selector,
        line: Callable[[Event, EventType], bytes],
        after: int,
    ) -> None:
        self.lines: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.closed = False
        self._collection = collection
        self._namespace = namespace
        self._selector = selector
        self._line = line
        self._after = after
        """Only what is newer is sent, even if the server has yet to get there."""
        collection.watchers.setdefault(namespace, set()).add(self)

    def offer(self, event: Event) -> None:
        """Take an event if the selector wants it: losing the match is a DELETED, gaining it an ADDED."""
        kind = self._seen_as(event)
        if kind is None:
            return
        if len(self.lines) >= BACKLOG:
            self.close()
            return
        self.lines.append(self._line(event, kind))
        self.wake.set()

    def close(self) -> None:
        self.closed = True
        self.wake.set()
        members = self._collection.watchers.get(self._namespace)
        if members is not None:
            members.discard(self)
            if not members:
                del self._collection.watchers[self._namespace]

    def _seen_as(self, event: Event) -> EventType | None:
        if event.revision <= self._after or (self._namespace and event.stored.key[0] != self._namespace):
            return None
        if not self._selector:
            return event.type
        before = event.previous is not None and self._selector.matches(event.previous.obj)
        after = event.type != "DELETED" and self._selector.matches(event.stored.obj)
        if before and after:
            return "MODIFIED"
        if after:
            return "ADDED"
        return "DELETED" if before else None


class Watches:
    """All open watches, so that they can be closed together."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self.open: set[Watcher] = set()

    def close_all(self) -> None:
        for watcher in tuple(self.open):
            watcher.close()

    def start(self, request: Request) -> Watcher:
        """An open watcher with its first events queued; StatusError when it cannot start."""
        resource, selector = request.target, reads.selector_of(request)
        collection = self._store.collections[resource]
        shape = present.form(request.accept)
        initial, revision = self._initial(request, collection, selector)
        line = present.liner(shape)
        watcher = Watcher(collection, request.namespace, selector, line, after=revision or 0)
        for stored in initial:
            watcher.lines.append(line(Event("ADDED", stored.revision, stored, None), "ADDED"))
        if request.flag("sendInitialEvents"):
            if request.flag("allowWatchBookmarks"):
                watcher.lines.append(_bookmark(request, self._store.revision, end=True))
        elif revision is not None:
            for event in collection.since(revision):
                watcher.offer(event)
        self.open.add(watcher)
        return watcher

    async def lines(self, request: Request, watcher: Watcher) -> AsyncIterator[list[bytes]]:
        """Batches of lines until the watch ends; an empty batch never comes."""
        timeout = request.number("timeoutSeconds")
        ends = time.monotonic() + timeout if timeout else float("inf")
        bookmarks = request.flag("allowWatchBookmarks")
        next_bookmark = time.monotonic() + self._settings.bookmark_interval
        try:
            while not watcher.closed:
                if watcher.lines:
                    batch = list(watcher.lines)
                    watcher.lines.clear()
                    yield batch
                    continue
                now = time.monotonic()
                if now >= ends:
                    return
                if bookmarks and now >= next_bookmark:
                    next_bookmark = now + self._settings.bookmark_interval
                    yield [_bookmark(request, self._store.revision)]
                    continue
                watcher.wake.clear()
                await _wait(watcher.wake, min(ends, next_bookmark if bookmarks else float("inf")) - now)
        finally:
            self.stop(watcher)

    def stop(self, watcher: Watcher) -> None:
        watcher.close()
        self.open.discard(watcher)

    def _initial(self, request: Request, collection: Collection, selector: Selector) -> tuple[list[Stored], int | None]:
        """(objects to send as ADDED, revision after which history is replayed)."""
        revision = _revision(request)
        if request.flag("sendInitialEvents"):
            if request.query.get("resourceVersionMatch") != "NotOlderThan":
                text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                found = [cause("FieldValueForbidden", text, "resourceVersionMatch")]
                raise invalid("meta.k8s.io", "ListOptions", "", found)
            return list(collection.select(request.namespace, selector)), None
        if not revision:
            return list(collection.select(request.namespace, selector)), None
        if revision < collection.floor:
            raise HistoryGone(revision, collection.floor)
        return [], revision


def error_line(status: dict[str, object]) -> bytes:
    return b'{"type":"ERROR","object":%s}\n' % orjson.dumps(status)


def _bookmark(request: Request, revision: int, end: bool = False) -> bytes:
    resource = request.target
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if end:
        metadata["annotations"] = {END_OF_INITIAL: "true"}
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if present.form(request.accept) == "table":
        obj = {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": [],
            "rows": [],
        }
    return b'{"type":"BOOKMARK","object":%s}\n' % orjson.dumps(obj)


def _revision(request: Request) -> int | None:
    try:
        return reads.revision_of(request)
    except StatusError as error:
        raise StatusError(500, "", str(error).partition(": ")[2]) from None


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(wake.wait(), None if seconds == float("inf") else max(seconds, 0))
    except TimeoutError:
        return
