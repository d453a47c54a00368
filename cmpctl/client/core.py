"""How one call is made: what is sent, when it is tried again, what an answer means. Knows no socket and no clock.

Both clients run these generators: they do what is yielded (`Send`, `Sleep`) and give back what came of it.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx2

from cmpctl import VERSION
from cmpctl.client.credentials import Credentials
from cmpctl.client.errors import (
    NotFound,
    OperationFailed,
    Refused,
    StillRunning,
    Unauthenticated,
    Unavailable,
    Unreachable,
    refusal,
)

if TYPE_CHECKING:
    from cmpctl.client.models import OperationRead

FINISHED = ("succeeded", "failed", "cancelled")
_SAFE_AGAIN = ("GET", "HEAD", "PUT", "DELETE")
_LONGEST_PAUSE = 8.0
_LONGEST_WAIT = 30


def at(template: str, *parts: str) -> str:
    """A path with its parts quoted."""
    return template.format(*(quote(part, safe="@") for part in parts))


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `query`: None is left out. Without an `idempotency_key` a POST gets one of its own."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    idempotency_key: str | None = None
    if_match: str | None = None
    last_event_id: str | None = None
    timeout: float | None = None
    """Seconds until the answer must have begun; None: the client's."""

    def headers(self) -> dict[str, str]:
        found = {"User-Agent": f"cmpctl/{VERSION}", "Accept": "application/json, */*"}
        named = {
            "Idempotency-Key": self.idempotency_key,
            "If-Match": self.if_match,
            "Last-Event-ID": self.last_event_id,
        }
        return found | {name: value for name, value in named.items() if value is not None}

    def params(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for name, value in self.query.items():
            values = value if isinstance(value, list | tuple) else [value]
            found += [
                (name, str(one).lower() if isinstance(one, bool) else str(one)) for one in values if one is not None
            ]
        return found


@dataclass(frozen=True, slots=True)
class Send:
    call: Call
    bearer: str | None


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def data(self) -> Any:
        """JSON as Python has it, other bytes as they are, None for nothing."""
        if not self.body:
            return None
        kind = self.headers.get("content-type", "").partition(";")[0]
        if not kind.endswith("json"):
            return self.body
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unreachable(f"This is no answer of CMP's (HTTP {self.status}). Is the address right?") from error


T = TypeVar("T")
Steps = Generator[Send | Sleep, Any, T]
Progress = Callable[["OperationRead"], None]


def exchange(call: Call, credentials: Credentials | None, patience: float) -> Steps[Answer]:
    """One call, tried again for about `patience` seconds where that is safe: nothing happens twice.

    A request may be repeated if its method or its Idempotency-Key says so, or if CMP cannot have begun it.
    """
    if call.method == "POST" and call.form is None and call.idempotency_key is None:
        call = _keyed(call)
    spent, attempt, lost, renewed = 0.0, 0, False, False
    while True:
        bearer = yield from bearer_of(credentials)
        try:
            answer: Answer = yield Send(call, bearer)
            if answer.status < 400:
                return answer
            failure: Refused | Unreachable = failure_of(answer)
        except httpx2.TransportError as error:
            failure = unreachable(error)
            sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            lost = lost or sent
            if sent and not _repeatable(call):
                raise failure from error
        if isinstance(failure, Unauthenticated) and credentials is not None and not renewed and credentials.renewable:
            renewed = True
            yield from renewing(credentials, refused=bearer)
            continue
        if isinstance(failure, NotFound) and lost and call.method == "DELETE":
            failure.problem["detail"] = f"{failure} It may have been deleted by an earlier try, whose answer was lost."
            raise NotFound(failure.status, failure.problem)
        pause = _pause(failure, attempt)
        if not isinstance(failure, Unreachable | Unavailable) or spent + pause > patience:
            raise failure
        yield Sleep(pause)
        spent, attempt = spent + pause, attempt + 1


def bearer_of(credentials: Credentials | None) -> Steps[str | None]:
    """What to send; renewed where it is about to end."""
    if credentials is None:
        return None
    if credentials.ending():
        yield from renewing(credentials)
    return credentials.bearer


def renewing(credentials: Credentials, refused: str | None = None) -> Steps[None]:
    """New tokens for a refresh token. One at a time on this machine: a refresh token works once, and whoever comes
    second finds the tokens that the first one got. `refused`: the access token that CMP did not take.
    """
    with credentials.lock():
        if not credentials.ending() and credentials.bearer != refused:
            return
        form = {"grant_type": "refresh_token", "refresh_token": credentials.refresh_token or "", "client_id": "cmpctl"}
        answer: Answer = yield Send(Call("POST", "/oauth/token", form=form), None)
        if answer.status == 400:
            credentials.end()
            raise Unauthenticated(401, {"detail": "Your sign-in has ended.", "code": "unauthenticated"})
        if answer.status >= 400:
            raise failure_of(answer)
        credentials.renew(answer.data())


def waiting(
    operation: OperationRead | str,
    credentials: Credentials | None,
    patience: float,
    timeout: float | None,
    progress: Progress | None,
) -> Steps[OperationRead]:
    """Until the operation has ended. `progress` is told of it every second or so, and whenever it changes."""
    id = operation if isinstance(operation, str) else operation["id"]
    waited = 0.0
    while True:
        step = 1 if progress is not None else _LONGEST_WAIT
        step = step if timeout is None else max(0, min(step, round(timeout - waited)))
        call = Call("GET", at("/api/v1/operations/{}/wait", id), {"timeout": step}, timeout=step + 30)
        answer = yield from exchange(call, credentials, patience)
        found: OperationRead = answer.data()
        waited += step
        if progress is not None:
            progress(found)
        if found["status"] == "succeeded":
            return found
        if found["status"] in FINISHED:
            raise OperationFailed(found)
        if timeout is not None and waited >= timeout:
            raise StillRunning(found, timeout)


def unreachable(error: Exception) -> Unreachable:
    return Unreachable(f"CMP does not answer: {str(error) or type(error).__name__}")


def _keyed(call: Call) -> Call:
    return Call(
        call.method, call.path, call.query, call.json, None, uuid.uuid4().hex, call.if_match, None, call.timeout
    )


def _repeatable(call: Call) -> bool:
    return call.idempotency_key is not None or (call.method in _SAFE_AGAIN and call.if_match is None)


def failure_of(answer: Answer) -> Refused | Unreachable:
    """What an answer of 400 or more says."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        if answer.status in (502, 503, 504):
            return Unavailable(answer.status, {"detail": f"What stands before CMP answers {answer.status}."})
        return Unreachable(f"This is no answer of CMP's (HTTP {answer.status}). Is the address right?")
    if "error" in found:  # OAuth's words
        found = {"detail": found.get("error_description"), "code": found["error"], **found}
    failure = refusal(answer.status, found)
    failure.problem.setdefault("retry_after", answer.headers.get("retry-after"))
    return failure


def _pause(failure: Refused | Unreachable, attempt: int) -> float:
    asked = failure.problem.get("retry_after") if isinstance(failure, Refused) else None
    if asked and str(asked).isdigit():
        return float(asked)
    return float(min(_LONGEST_PAUSE, 0.25 * 2**attempt)) * random.uniform(0.75, 1.25)  # noqa: S311
