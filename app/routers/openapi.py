"""The OpenAPI document: what FastAPI derives, plus how to authenticate and how errors look."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app import schemas, telemetry

_OPEN_PATHS = ("/health", "/livez", "/readyz", "/oauth/jwks.json", "/.well-known/oauth-authorization-server")
_OAUTH = "/oauth/"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WORDS = {
    "400": "The request could not be read.",
    "401": "No valid token.",
    "403": "Your role does not allow it.",
    "404": "Missing, or not yours.",
    "409": "Not in this state, or it does not fit; the problem says what is possible.",
    "412": "It has changed since it was read.",
    "413": "The body is too large.",
    "422": "The request is not valid.",
    "429": "As many, or as often, as there may be.",
    "503": "A part that CMP stands on does not answer; try again.",
}
# Looked up in Kubernetes at that moment.
_LIVE = ("/logs", "/usage", "/screenshot")
_OAUTH_WORDS = {
    "400": "Refused; `error` is one of OAuth's words.",
    "401": "The client is not known.",
    "409": "This installation issues no access tokens.",
    "413": "The body is too large.",
    "429": "Too many failed attempts.",
    "503": "A part that CMP stands on does not answer; try again.",
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "Repeat the request with the same key and it is done once; the first answer comes again.",
}


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    whole = get_openapi(
        title="CMP", version=telemetry.VERSION, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    components = whole.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    named = components.setdefault("schemas", {})
    named["Problem"] = schemas.Problem.model_json_schema()
    for gone in ("HTTPValidationError", "ValidationError"):
        named.pop(gone, None)
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    return whole


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if path in _OPEN_PATHS:
        responses.pop("422", None)
        return
    if path.startswith(_OAUTH):
        responses |= {code: {"description": words} for code, words in _OAUTH_WORDS.items()}
        return
    operation["security"] = [{"token": []}]
    codes = {"401", "403", "422", "429", "503"}
    if "{" in path or method == "get":
        codes.add("404")
    if method == "post":
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    if method in ("post", "put", "patch", "delete"):
        codes |= {"400", "404", "409", "412", "413"}
    if path.endswith(_LIVE):
        codes.add("409")
    elif method == "get":
        responses.setdefault("304", {"description": "You have the present representation."})
    for code in sorted(codes):
        responses[code] = {"description": _WORDS[code], "content": _PROBLEM}
