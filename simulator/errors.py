"""Refusals, worded as Kubernetes words them: one exception that carries a `Status` body.

Source of the wording: k8s.io/apimachinery pkg/api/errors.
"""

from collections.abc import Sequence

from simulator.types import Json


class StatusError(Exception):
    """An answer of kind Status with a failure code."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Json | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.status = failure(code, reason, message, details)


def failure(code: int, reason: str, message: str, details: Json | None = None) -> Json:
    body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    body["code"] = code
    return body


def success(group: str, plural: str, name: str, uid: str) -> Json:
    details = _named(group, plural, name)
    details["uid"] = uid
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def cause(reason: str, message: str, field: str) -> Json:
    return {"reason": reason, "message": message, "field": field}


def not_found(group: str, plural: str, name: str) -> StatusError:
    details = _named(group, plural, name)
    return StatusError(404, "NotFound", f'{_qualified(group, plural)} "{name}" not found', details)


def no_such_resource() -> StatusError:
    message = "the server could not find the requested resource"
    return StatusError(404, "NotFound", message, {})


def already_exists(group: str, plural: str, name: str) -> StatusError:
    message = f'{_qualified(group, plural)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _named(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> StatusError:
    message = f'Operation cannot be fulfilled on {_qualified(group, plural)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _named(group, plural, name))


def stale(group: str, plural: str, name: str) -> StatusError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(group, plural, name, why)


def forbidden(group: str, plural: str, name: str, why: str, causes: Sequence[Json] = ()) -> StatusError:
    details = _named(group, plural, name)
    if causes:
        details["causes"] = list(causes)
    message = f'{_qualified(group, plural)} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, details)


def invalid(group: str, kind: str, name: str, causes: Sequence[Json]) -> StatusError:
    """422 whose message joins the causes as field.ErrorList does, each once."""
    qualified = f"{kind}.{group}" if group else kind
    parts = list(dict.fromkeys(f"{item['field']}: {item['message']}" for item in causes))
    text = parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    details = {**_named(group, kind, name), "causes": list(causes)}
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def _qualified(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def _named(group: str, plural: str, name: str) -> Json:
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = plural
    return details
