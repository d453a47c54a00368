"""The ASGI application: bodies in, replies out, watch streams, and the faults that happen on the wire.

The only place that touches connections.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from simulator import api, faults, present, reads, streams, watch
from simulator import request as requests
from simulator.admin import Admin
from simulator.api import Api, Reply
from simulator.errors import StatusError, no_such_resource
from simulator.faults import Faults, Rule
from simulator.journal import Entry, Journal
from simulator.pod_subresources import PodSubresources
from simulator.request import Request
from simulator.resources import PODS
from simulator.store import Stored
from simulator.watch import Watches
from simulator.world import World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
TRANSPORT = "simulator.transport"
"""Where the scope carries the connection, for faults that break it."""


class Application:
    def __init__(
        self,
        world: World,
        answers: Api,
        watches: Watches,
        rules: Faults,
        journal: Journal,
        admin: Admin,
        pods: PodSubresources,
        talks: streams.Streams,
    ) -> None:
        self._world = world
        self._api = answers
        self._watches = watches
        self._faults = rules
        self._journal = journal
        self._admin = admin
        self._pods = pods
        self._streams = talks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = requests.parse(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        if request.method not in ("GET", "HEAD"):
            request.body = await _body(receive)
        if request.path.startswith("/__simulator__"):
            await _reply(send, self._admin.answer(request))
            return
        entry = self._note(request) if request.mutating else None
        rule = self._faults.hit(request) if self._faults else None
        if rule is not None:
            if entry is not None:
                entry.fault = rule.kind
            if await self._fail_before(scope, receive, send, request, rule, entry):
                return
        if request.verb == "watch" and request.resource is not None:
            await self._watch(scope, receive, send, request, rule)
            return
        if request.resource is PODS and request.subresource == "log" and request.flag("follow"):
            await self._follow(receive, send, request)
            return
        reply = self._stale(request, rule) or self._api.answer(request)
        if entry is not None:
            entry.applied = reply.status < 300
        if rule is not None and await self._fail_after(scope, receive, send, rule, reply):
            return
        if entry is not None:
            entry.status = reply.status
        await _reply(send, reply)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = requests.parse("GET", scope["path"], scope["query_string"], scope["headers"])
        rule = self._faults.hit(request) if self._faults else None
        try:
            if rule is not None and rule.kind in faults.ANSWERS:
                raise faults.answer(rule)
            if rule is not None and rule.kind == "slow":
                await asyncio.sleep(rule.seconds)
            if request.resource is None:
                raise no_such_resource()
            await self._streams.serve(request, scope["subprotocols"], receive, send)
        except StatusError as error:
            await _reply(_denying(send), api.refusal(error))

    async def _follow(self, receive: Receive, send: Send, request: Request) -> None:
        try:
            pod, lines = self._pods.follow(request)
        except StatusError as error:
            await _reply(send, api.refusal(error))
            return
        await _start(send, 200, "text/plain")
        with self._streams.until_gone(pod) as gone:
            left = asyncio.create_task(_set_when_gone(receive, gone))
            try:
                async for text in streams.followed(lines, gone):
                    await send({"type": "http.response.body", "body": text, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                left.cancel()

    def _note(self, request: Request) -> Entry:
        resource = request.resource
        target: Stored | None = None
        if resource in self._world.store.collections and request.name and resource is not None:
            target = self._world.store.get(resource, request.key)
        preconditions = _preconditions(request)
        return self._journal.begin(
            verb=request.verb,
            path=request.path,
            resource=resource.plural if resource else "",
            namespace=request.namespace,
            name=request.name or _name_in_body(request),
            subresource=request.subresource,
            user_agent=request.user_agent,
            field_manager=request.query.get("fieldManager", ""),
            dry_run="dryRun" in request.query,
            precondition_uid=str(preconditions.get("uid") or ""),
            precondition_revision=str(preconditions.get("resourceVersion") or ""),
            target_uid=target.uid if target else "",
            target_labels=dict(target.obj["metadata"].get("labels") or {}) if target else {},
        )

    async def _fail_before(
        self, scope: Scope, receive: Receive, send: Send, request: Request, rule: Rule, entry: Entry | None
    ) -> bool:
        """Faults that keep the request from being carried out. True when that was all."""
        if rule.kind in faults.ANSWERS:
            reply = api.refusal(faults.answer(rule))
            if entry is not None:
                entry.status = reply.status
            await _reply(send, reply)
            return True
        if rule.kind == "reset_before":
            _reset(scope)
            return True
        if rule.kind == "timeout":
            await _gone(receive)
            return True
        if rule.kind == "slow":
            await asyncio.sleep(rule.seconds)
        return False

    async def _fail_after(self, scope: Scope, receive: Receive, send: Send, rule: Rule, reply: Reply) -> bool:
        """Faults that spoil the reply to a request that was carried out."""
        match rule.kind:
            case "reset_after":
                _reset(scope)
            case "half_open":
                await _gone(receive)
            case "truncated":
                await _reply(send, Reply(reply.status, reply.body[: len(reply.body) // 2], reply.content_type))
            case _:
                return False
        return True

    def _stale(self, request: Request, rule: Rule | None) -> Reply | None:
        """An answer from the past, where a rule wants one and history reaches back."""
        if rule is None or rule.kind != "stale_list" or request.resource not in self._world.store.collections:
            return None
        resource = request.target
        collection = self._world.store.collections[resource]
        revision = max(self._world.store.revision - rule.behind, collection.floor, 1)
        found = collection.at(revision, request.namespace, reads.selector_of(request))
        shape = present.form(request.accept)
        if request.verb == "list":
            return Reply(200, present.many(resource, found, {"resourceVersion": str(revision)}, shape))
        return Reply(200, present.one(found[0], shape)) if found else None

    async def _watch(self, scope: Scope, receive: Receive, send: Send, request: Request, rule: Rule | None) -> None:
        try:
            watcher = self._watches.start(request)
        except StatusError as error:
            await _reply(send, api.refusal(error))
            return
        except watch.HistoryGone as gone:
            await _start(send, 200, "application/json")
            await send({"type": "http.response.body", "body": watch.error_line(gone.status)})
            return
        await _start(send, 200, "application/json")
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        left = asyncio.create_task(_close_when_gone(receive, watcher))
        batches = self._watches.lines(request, watcher)
        try:
            async for batch in distorted(batches, rule) if rule else batches:
                await send({"type": "http.response.body", "body": b"".join(batch), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except WatchReset:
            _reset(scope)
        finally:
            self._watches.stop(watcher)
            left.cancel()


class WatchReset(Exception):
    """A fault rule wants this watch's connection reset."""


async def distorted(batches: AsyncIterator[list[bytes]], rule: Rule) -> AsyncIterator[list[bytes]]:
    """A watch with something wrong with it."""
    seen = 0
    held: bytes | None = None
    if rule.after == 0 and rule.kind in ("watch_drop", "watch_reset", "watch_410"):
        async for batch in _ending(rule):
            yield batch
        return
    async for batch in batches:
        out: list[bytes] = []
        for line in batch:
            if line.startswith(b'{"type":"BOOKMARK"'):
                stalled = rule.kind == "watch_stall" and seen >= rule.after
                out.extend([] if stalled else [line] if held is None else [held, line])
                held = None if not stalled else held
                continue
            seen += 1
            late = seen > rule.after
            match rule.kind:
                case "watch_stall" | "watch_lose" if late:
                    continue
                case "watch_duplicate" if late:
                    out.extend([line, line])
                case "watch_reorder" if held is None:
                    held = line
                case "watch_reorder":
                    assert held is not None
                    out.extend([line, held] if _uid(line) != _uid(held) else [held, line])
                    held = None
                case _:
                    out.append(line)
            if rule.kind in ("watch_drop", "watch_reset", "watch_410") and seen >= rule.after:
                yield out
                async for last in _ending(rule):
                    yield last
                return
        if out:
            yield out


async def _ending(rule: Rule) -> AsyncIterator[list[bytes]]:
    if rule.kind == "watch_reset":
        raise WatchReset
    if rule.kind == "watch_410":
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired"}
        yield [watch.error_line({**status, "message": "too old resource version", "code": 410})]


def _uid(line: bytes) -> object:
    return orjson.loads(line)["object"]["metadata"].get("uid")


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _gone(receive: Receive) -> None:
    """Wait until the client has given up."""
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


async def _close_when_gone(receive: Receive, watcher: watch.Watcher) -> None:
    await _gone(receive)
    watcher.close()


async def _set_when_gone(receive: Receive, gone: asyncio.Event) -> None:
    await _gone(receive)
    gone.set()


def _denying(send: Send) -> Send:
    """A refused WebSocket is answered as plain HTTP."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return sending


async def _start(send: Send, status: int, content_type: str, headers: dict[str, str] | None = None) -> None:
    named = {"content-type": content_type, "cache-control": "no-cache, private", **(headers or {})}
    encoded = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _reply(send: Send, reply: Reply) -> None:
    length = {"content-length": str(len(reply.body)), **reply.headers}
    await _start(send, reply.status, reply.content_type, length)
    await send({"type": "http.response.body", "body": reply.body})


def _reset(scope: Scope) -> None:
    """Break the connection so that the peer sees a reset."""
    transport = scope[TRANSPORT]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _preconditions(request: Request) -> dict[str, Any]:
    if request.verb not in ("delete", "deletecollection") or not request.body:
        return {}
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return {}
    found = body.get("preconditions") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _name_in_body(request: Request) -> str:
    if request.verb != "create":
        return ""
    try:
        return str(orjson.loads(request.body)["metadata"]["name"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
