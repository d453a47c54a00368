"""What happens to every request: where it is from, an id, a log line, a largest body, headers that keep browsers safe.

A WebSocket is a request too: one log line when it is over, and a problem like any other when it is refused.
"""

import contextlib
import ipaddress
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import telemetry
from app.auth import Throttle
from app.errors import TooMany
from app.routers import problems
from app.routers.cookies import changes_something
from app.services.audit import Audit
from app.telemetry import metrics

log = structlog.get_logger("cmp.access")

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{1,128}$")
_QUIET = frozenset({"/livez", "/readyz"})
_BEGINNINGS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_DATA_ONLY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The description's pages bring scripts from elsewhere.
_SOME_SCRIPTS = "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ENCRYPTED = "max-age=31536000; includeSubDomains"
_WITH_SCRIPTS = frozenset({"/docs", "/redoc", "/docs/oauth2-redirect"})


class Door:
    """Pure ASGI: streams pass through untouched. A collection's path works with and without its last slash.

    `templates`: the paths of routes, by the `id` of each, for what is counted.
    """

    def __init__(
        self,
        app: ASGIApp,
        collections: Iterable[str],
        templates: Mapping[int, str],
        max_body_bytes: int,
        trusted_proxies: int,
        throttle: Throttle,
        audit: Audit,
    ) -> None:
        self._app = app
        self._templates = templates
        self._max_body_bytes = max_body_bytes
        self._trusted_proxies = trusted_proxies
        self._throttle = throttle
        self._audit = audit
        patterns = (re.sub(r"\{[a-z]+\}", "[^/]+", path.rstrip("/")) for path in collections)
        self._collections = re.compile("|".join(patterns))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._trusted_proxies:
            scope = _as_forwarded(scope, headers, self._trusted_proxies)
        if self._collections.fullmatch(scope["path"]):
            scope = {**scope, "path": scope["path"] + "/"}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope = {**scope, "cmp.audit": _entry(scope, request_id), "cmp.audit.begun": []}
        reset = telemetry.request_id.set(request_id)
        started = time.perf_counter()
        status = 500
        answering = False
        received = 0

        async def sending(message: Message) -> None:
            nonlocal status, answering
            if message["type"] == "websocket.close" and not answering:
                # What Starlette says of a path that is not there.
                await problems.nothing_here()(scope, receive, sending)
                return
            if message["type"] in _BEGINNINGS:
                answering = True
                status = message.get("status", 101)
                self._count(scope, status, started)
                message.setdefault("headers", [])
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("Cache-Control", "no-store")
                policy = _SOME_SCRIPTS if scope["path"] in _WITH_SCRIPTS else _DATA_ONLY
                answer.setdefault("Content-Security-Policy", policy)
                if message["type"] == "http.response.start" and scope["app"].state.cmp.draining:
                    answer["Connection"] = "close"
                if scope["scheme"] in ("https", "wss"):
                    answer.setdefault("Strict-Transport-Security", _ENCRYPTED)
            await send(message)

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise HTTPException(413)
            return message

        try:
            if scope["path"] not in _QUIET:
                await self._throttle.address(scope["client"][0] if scope.get("client") else "")
            if _declared(headers) > self._max_body_bytes:
                await problems.too_large()(scope, receive, sending)
            else:
                await self._app(scope, receiving, sending)
        except TooMany as error:
            await problems.answer_of(error)(scope, receive, sending)
        except Exception as error:
            if answering:
                raise
            await problems.unexpected(error)(scope, receive, sending)
        finally:
            if not answering:
                self._count(scope, status, started)
            self._written_down(scope, status)
            if scope["path"] not in _QUIET:
                log.info(
                    "request",
                    method=scope.get("method", "WEBSOCKET"),
                    path=scope["path"],
                    status=status,
                    actor=scope["cmp.audit"].get("actor"),
                    address=scope["cmp.audit"]["address"],
                    milliseconds=round((time.perf_counter() - started) * 1000, 1),
                )
            telemetry.request_id.reset(reset)

    def _count(self, scope: Scope, status: int, started: float) -> None:
        route = self._templates.get(id(scope.get("route")), metrics.OTHER)
        seconds = time.perf_counter() - started
        metrics.request_answered(scope.get("method", "WEBSOCKET"), route, status, seconds)

    def _written_down(self, scope: Scope, status: int) -> None:
        """What was begun is complete; what was refused, or changes something without anybody known, is noted."""
        for id in scope["cmp.audit.begun"]:
            self._audit.complete(id, status)
        if not scope["cmp.audit.begun"] and (changes_something(HTTPConnection(scope)) or status in (401, 403)):
            self._audit.note(scope["cmp.audit"], status)


def _entry(scope: Scope, request_id: str) -> dict[str, Any]:
    return {
        "address": (scope["client"][0] if scope.get("client") else "")[:45],
        "method": scope.get("method", "WEBSOCKET")[:16],
        "path": quote(scope["path"])[:300],
        "request_id": request_id,
    }


def _as_forwarded(scope: Scope, headers: Headers, hops: int) -> Scope:
    """What the outermost proxy of ours wrote: whatever stands left of it, anybody may have written."""
    addresses = _listed(headers, "x-forwarded-for")
    schemes = _listed(headers, "x-forwarded-proto")
    changed: dict[str, Any] = {}
    if len(addresses) >= hops:
        with contextlib.suppress(ValueError):
            changed["client"] = (str(ipaddress.ip_address(addresses[-hops])), 0)
    if schemes and schemes[-min(hops, len(schemes))] == "https":
        changed["scheme"] = "https" if scope["type"] == "http" else "wss"
    return {**scope, **changed}


def _listed(headers: Headers, name: str) -> list[str]:
    return [part.strip() for line in headers.getlist(name) for part in line.split(",")]


def _declared(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0
