"""What can go wrong for whoever uses the client.

CmpError
├── Unreachable        no answer, or none that is CMP's
├── Refused            CMP answered with a problem; `code`, `detail`, `request_id`, `problem`
│   ├── Unauthenticated  no token, or one that ended
│   ├── Forbidden        the account or the token may not
│   ├── NotFound         missing, or somebody else's
│   ├── Conflict         not in this state, changed meanwhile, name taken
│   ├── QuotaExceeded    `shortfalls` by dimension
│   ├── Invalid          the request makes no sense as it stands; `findings`
│   └── Unavailable      try again later: too many requests, or a part of CMP is away
├── OperationFailed    an operation that was waited for ended badly; `operation`
└── StillRunning       it did not end in the time given; `operation`
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmpctl.client.models import OperationRead


class CmpError(Exception):
    """`str()` is a sentence for people."""


class Unreachable(CmpError):
    pass


class Refused(CmpError):
    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        self.status = status
        self.problem = dict(problem)

    @property
    def code(self) -> str:
        """CMP's stable name of what is wrong."""
        return str(self.problem.get("code", "http_error"))

    @property
    def request_id(self) -> str:
        return str(self.problem.get("request_id", ""))


class Unauthenticated(Refused):
    pass


class Forbidden(Refused):
    pass


class NotFound(Refused):
    pass


class Conflict(Refused):
    pass


class QuotaExceeded(Conflict):
    @property
    def shortfalls(self) -> dict[str, dict[str, float]]:
        """By dimension: requested, used, limit, remaining. CPU in cores, memory and storage in MiB."""
        return dict(self.problem.get("quota", {}))


class Invalid(Refused):
    @property
    def findings(self) -> list[dict[str, Any]]:
        """`loc`, `msg` and `type` of each field that is wrong."""
        return list(self.problem.get("errors", []))


class Unavailable(Refused):
    pass


class OperationFailed(CmpError):
    def __init__(self, operation: "OperationRead") -> None:
        why = operation["message"] or operation["reason"] or operation["status"]
        super().__init__(f"{operation['kind']} of {operation['cluster_name']} {operation['status']}: {why}")
        self.operation = operation


class StillRunning(CmpError):
    def __init__(self, operation: "OperationRead", seconds: float) -> None:
        super().__init__(f"{operation['kind']} of {operation['cluster_name']} is not done after {seconds:.0f} s.")
        self.operation = operation


_BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    422: Invalid,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def refusal(status: int, problem: Mapping[str, Any]) -> Refused:
    """The exception for an answer of 400 or more."""
    if problem.get("code") == "quota_exceeded":
        return QuotaExceeded(status, problem)
    return _BY_STATUS.get(status, Refused)(status, problem)
