"""A small HTTP server that answers word for word what a test tells it to, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class Server:
    """`on` scripts the answers of a path in order; the last one stays."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    _script: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self._script[method, path] = list(answers)

    def count(self, method: str) -> int:
        return sum(asked.method == method for asked in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        query, headers = dict(request.query), dict(request.headers)
        self.asked.append(Asked(request.method, request.path, query, headers, orjson.loads(raw) if raw else None))
        method = "WATCH" if "watch" in request.query else request.method
        script = self._script.get((method, request.path))
        if not script:
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound", "message": "no"}, status=404)
        answer = script.pop(0) if len(script) > 1 else script[0]
        return await answer(request)


@asynccontextmanager
async def serving(ssl_context: Any = None) -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def says(body: Any, code: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(body=raw, status=code, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return answer


def refuses(code: int, reason: str = "", message: str = "no", **headers: str) -> Answer:
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return says(status, code, **headers)


def page(items: list[dict[str, Any]], version: str, more: str = "") -> Answer:
    metadata = {"resourceVersion": version} | ({"continue": more} if more else {})
    return says({"kind": "List", "metadata": metadata, "items": items})


def hangs_up() -> Answer:
    """As when the reply of a change that was applied is lost."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


def streams(*lines: bytes, then: str = "hang") -> Answer:
    """A watch: these lines, then it hangs silently, ends in order, or is cut off (`hang`, `end`, `cut`)."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        if then == "hang":
            await asyncio.sleep(30)
        if then == "cut":
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def drips() -> Answer:
    """A watch kept open with empty lines, as some proxies do."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\n")
            await asyncio.sleep(0.01)

    return answer


def event(kind: str, obj: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def bookmark(version: str) -> bytes:
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": version}})


def pod(name: str, version: int, *, uid: str = "", cluster: str = "c1", phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {"cmp.io/cluster": cluster},
            "managedFields": [{"manager": "somebody"}],
        },
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"phase": phase},
    }
