"""JSON in, strictly; JSON out, fast; and the ETag that names exactly what was sent."""

import hashlib
import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

_DEPTH = 32
_EXACT = 2**53


class StrictRequest(Request):
    """Refuses what JSON does not have, or what two readers could take for different things."""

    async def json(self) -> Any:
        raw = await self.body()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            _refuse("the body is not UTF-8")
        try:
            value = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_number)
        except RecursionError:
            _refuse("the body is nested too deeply")
        _walk(value, 0)
        return value


class StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


class BareRoute(APIRoute):
    """For an endpoint that takes the request alone: FastAPI describes it and stays out of its way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


class Json(Response):
    """An answer from plain values; UUIDs and datetimes are written as JSON has them."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else encode(content)


def encode(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC, default=str)


def etag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def tagged(request: Request, content: Any) -> Response:
    """200 with its ETag, or 304 when the asker has exactly that."""
    body = encode(content)
    return sent(request, body, etag(body))


def sent(request: Request, body: bytes, tag: str) -> Response:
    """As `tagged`, of what is encoded already."""
    asked = request.headers.get("if-none-match")
    if asked is not None and (asked.strip() == "*" or tag in _tags(asked)):
        return Response(status_code=304, headers={"ETag": tag})
    return Json(body, headers={"ETag": tag})


def matches(header: str, content: Any) -> bool:
    """Whether an If-Match header names this representation."""
    return header.strip() == "*" or etag(encode(content)) in _tags(header)


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        _refuse("a field is named twice")
    return value


def _number(text: str) -> float | int:
    """JSON knows one kind of number: 2.0 is the whole number 2."""
    value = float(text)
    if not math.isfinite(value):
        _refuse("a number is too large")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _constant(_name: str) -> NoReturn:
    _refuse("NaN and Infinity are not JSON")


def _walk(value: Any, depth: int) -> None:
    if depth > _DEPTH:
        _refuse("the body is nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            _walk(key, depth)
            _walk(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _walk(item, depth + 1)
    elif isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        _refuse("a string holds half a character")


def _refuse(why: str) -> NoReturn:
    raise json.JSONDecodeError(why, "", 0)
