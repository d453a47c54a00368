"""How a call to Kubernetes can fail. `k8s_service` says it in CMP's own words; nothing above sees these."""

from collections.abc import Mapping
from typing import Any

import orjson


class KubeError(Exception):
    """Any failure of this room."""


class BadTarget(KubeError):
    """The configuration that should say where Kubernetes is and who we are cannot be used."""


class Unreachable(KubeError):
    """No answer, or one that says to come back later, and patience is at an end. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refusal(KubeError):
    """An answer other than success: the fields of the `Status` that came with it."""

    def __init__(self, code: int, reason: str, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes

    @property
    def missing(self) -> bool:
        return self.code == 404

    @property
    def conflict(self) -> bool:
        return self.code == 409

    @property
    def expired(self) -> bool:
        return self.code == 410 or self.reason in ("Expired", "Gone")


def refusal(code: int, body: bytes) -> Refusal:
    """From an answer's body, which is a Status as a rule, and plain text from KubeVirt now and then."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return Refusal(code, "", body.decode(errors="replace").strip()[:500])
    return refusal_of(status, code)


def refusal_of(status: Mapping[str, Any], code: int = 500) -> Refusal:
    causes = (status.get("details") or {}).get("causes") or ()
    return Refusal(
        int(status.get("code") or code),
        str(status.get("reason") or ""),
        str(status.get("message") or ""),
        tuple(str(cause.get("reason") or "") for cause in causes if isinstance(cause, dict)),
    )
