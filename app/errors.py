"""The family of things that can go wrong, in CMP's own words. Knows no HTTP; `routers/problems.py` has the table.

CmpError
├── Invalid            the request makes no sense as it stands
├── Unauthenticated    we do not know who asks
├── Forbidden          we know, and the answer is no
├── NotFound           missing, or somebody else's: the same to the asker
├── Conflict           it does not go together with what is there
│   ├── NameTaken      the name is in use
│   ├── WrongState     not now; `details` names what is possible
│   ├── Stale          changed since it was read (If-Match)
│   ├── KeyReused      an Idempotency-Key came with another request
│   └── Unsupported    not in this installation, or not by this kind of instance
├── TooMany            as many at a time as there may be
├── QuotaExceeded      does not fit; `details` says requested, used, limit, remaining
└── Unavailable        a part we stand on does not answer; try again
"""

from collections.abc import Mapping
from typing import Any

_SOON = 2


class CmpError(Exception):
    """`message` and `details` go to the asker and never repeat what they sent; `internal` goes to the log only."""

    code = "internal"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        internal: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        self.internal = internal
        self.retry_after = retry_after or (_SOON if self.retryable else None)
        """Seconds, where trying again may help."""


class Invalid(CmpError):
    code = "invalid"


class Unauthenticated(CmpError):
    code = "unauthenticated"


class Forbidden(CmpError):
    code = "forbidden"


class NotFound(CmpError):
    code = "not_found"


class Conflict(CmpError):
    code = "conflict"


class NameTaken(Conflict):
    code = "name_taken"


class WrongState(Conflict):
    code = "wrong_state"


class Stale(Conflict):
    code = "stale"


class KeyReused(Conflict):
    code = "idempotency_key_reused"


class Unsupported(Conflict):
    code = "unsupported"


class TooMany(CmpError):
    code = "too_many"


class QuotaExceeded(CmpError):
    code = "quota_exceeded"


class Unavailable(CmpError):
    code = "unavailable"
    retryable = True
