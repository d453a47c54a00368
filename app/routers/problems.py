"""The one table from what went wrong to what the asker reads: RFC 9457 problems with a stable `code`.

Nothing that was sent is repeated.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app import errors, telemetry
from app.routers.wire import Json
from app.schemas.patterns import words

log = structlog.get_logger("cmp.http")

STATUS: dict[type[errors.CmpError], int] = {
    errors.Invalid: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Stale: 412,
    errors.KeyReused: 422,
    errors.Conflict: 409,
    errors.QuotaExceeded: 409,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
CODES = {
    400: "malformed",
    404: "no_such_path",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
    426: "upgrade_required",
}
HTTP_WORDS = {
    404: "There is nothing at this path. The API is described at /openapi.json and /docs.",
    405: "This path does not take that method; see the Allow header.",
    413: "The body is too large.",
    426: "This is a WebSocket: open it as one. docs/how-to/reach-an-instance.md has examples.",
}
# Sentences about a value are ours or name only what is expected; these types would repeat the input.
_OWN_WORDS = {
    "extra_forbidden": "There is no such field. See the API's documentation for the fields there are.",
    "uuid_parsing": "An id is needed: a UUID.",
    "union_tag_invalid": "There is no such `type` here. See the API's documentation for those there are.",
}
# Below these, the keys are the asker's.
_MAPS = ("labels", "env", "secret_env")


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.CmpError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def status_of(error: errors.CmpError) -> int:
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": telemetry.request_id.get() or "",
        **more,
    }


def problem_of(error: errors.CmpError) -> dict[str, Any]:
    return problem(status_of(error), error.code, error.message, **error.details)


def answer_of(error: errors.CmpError, headers: dict[str, str] | None = None) -> Response:
    again = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    return _answer(problem_of(error), {**(headers or {}), **again})


async def _known(_request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.CmpError)
    if error.internal:
        log.warning("problem", code=error.code, internal=error.internal)
    headers = {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="cmp"'
    return answer_of(error, headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [_finding(item) for item in error.errors()]
    detail = "; ".join(f"{_where(item['loc'])}: {item['msg']}" for item in found[:5])
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return _answer(problem(400, "malformed", f"The body is not the JSON it should be: {detail}.", errors=found))
    return _answer(problem(422, "invalid", f"The request is not valid: {detail}.", errors=found))


def _where(loc: Sequence[str | int]) -> str:
    """In the words of whoever fills a form in: that it is in the body or the query goes without saying."""
    inner = loc[1:] if len(loc) > 1 and loc[0] in ("body", "query", "path") else loc
    return ".".join(map(str, inner))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _methods(request)
    code = CODES.get(error.status_code, "http_error")
    detail = HTTP_WORDS.get(error.status_code, HTTPStatus(error.status_code).phrase)
    return _answer(problem(error.status_code, code, detail), headers)


def _methods(request: Request) -> str:
    """All of this path: what the router says by itself are those of its first route only."""
    paths = request.app.openapi()["paths"]
    path = request.url.path
    templates = [path] if path in paths else [template for template in paths if _fits(template, path)]
    found = {method.upper() for template in templates for method in paths[template]}
    return ", ".join(sorted(found))


def _fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part == there or (part.startswith("{") and there) for part, there in zip(parts, given, strict=True)
    )


def nothing_here() -> Response:
    return _answer(problem(404, CODES[404], HTTP_WORDS[404]))


def too_large() -> Response:
    return _answer(problem(413, CODES[413], HTTP_WORDS[413]))


def unexpected(error: Exception) -> Response:
    """What nobody foresaw: the trace goes to the log, the request id to the asker."""
    log.error("unexpected", exc_info=error)
    return _answer(
        problem(500, "internal", "Something went wrong on our side. Give the request id to an administrator.")
    )


def _finding(item: dict[str, Any]) -> dict[str, Any]:
    kind = item["type"]
    loc = _ours(item["loc"])
    message = _OWN_WORDS.get(kind, str(item["msg"]).removeprefix("Value error, "))
    if kind == "string_pattern_mismatch":
        message = words(str(item.get("ctx", {}).get("pattern")))
    if kind == "json_invalid":
        return {"loc": ["body"], "type": kind, "msg": str(item.get("ctx", {}).get("error", "not JSON"))}
    if kind == "extra_forbidden":
        return {"loc": _ours(item["loc"][:-1]), "type": kind, "msg": message}
    return {"loc": loc, "type": kind, "msg": message}


def _ours(loc: Sequence[str | int]) -> list[str | int]:
    """As far as the field names are ours."""
    known = list(loc)
    for name in _MAPS:
        if name in known:
            return [*known[: known.index(name) + 1], "[key]"][: len(known)]
    return known


def _answer(content: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Json(content, content["status"], headers=headers, media_type="application/problem+json")
