"""Of what one is told, how that is signed, and when it is tried again.

Signatures are those of Standard Webhooks: https://www.standardwebhooks.com
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from app.models import Topic
from app.rules.quota import DIMENSIONS, Account

PING, CONFIRMATION = "ping", "confirmation"
"""What is sent though nobody subscribes to it."""
THRESHOLDS = (80, 100)
GIVE_UP = timedelta(hours=24)
_MARGIN = 10
_LONGEST_PAUSE = 6 * 3600.0
_LONGEST_REST = 300.0
_MOST_EVENTS = 20
_SECRET_PREFIX = "whsec_"  # noqa: S105
# As HTML's input fields take them.
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
# What app/store/creation.py writes is none of these: it does not look who wants to be told.
_TOPICS = {
    ("quota.threshold", None): Topic.QUOTA_THRESHOLD,
    ("cluster.phase", "failed"): Topic.CLUSTER_FAILED,
    ("instance.status", "failed"): Topic.INSTANCE_FAILED,
    ("operation.finished", "failed"): Topic.OPERATION_FAILED,
}
_SHOWN = (
    "kind", "actor", "cluster_id", "cluster_name", "instance_id", "instance_name", "operation_id", "status", "reason",
    "message", "request_id", "created_at",
)  # fmt: skip


def topic_of(event: Mapping[str, Any]) -> Topic | None:
    kind, status = event["kind"], event.get("status")
    return _TOPICS.get((kind, status)) or _TOPICS.get((kind, None))


def content(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is told of events of one topic that happened together: how many, and the first of them, as texts."""
    rows = list(events)
    return {"count": len(rows), "events": [_shown(row) for row in rows[:_MOST_EVENTS]]}


def new_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def new_code() -> str:
    return secrets.token_urlsafe(16)


def signature(secret: str, id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    signed = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def pause(attempts: int, first: float) -> float:
    """Seconds from the failed try of that number to the next of the same delivery: each is four times as long."""
    return min(first * 4.0 ** min(attempts - 1, 20), _LONGEST_PAUSE)


def rest(failures: int, first: float) -> float:
    """Seconds in which nothing is sent to where so many tries in a row failed."""
    return min(first * 2.0 ** min(failures - 1, 20), _LONGEST_REST) if failures else 0.0


def wrong_with_url(url: str, *, http: bool) -> str | None:
    """Why nothing can be sent there, if so."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "It is no URL."
    if parts.scheme not in (("https", "http") if http else ("https",)):
        return "It begins with https://." if not http else "It begins with https:// or http://."
    if not host:
        return "There is no host in it."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "A URL to send to has no user, no password and no fragment."
    return None


def is_mail_address(text: str) -> bool:
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def levels(told: Mapping[str, int], account: Account) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """The share of each limit that is told of from now on, in percent, and (dimension, threshold) of what is new.

    One that was told of is told of again only after the use fell well below it.
    """
    after, crossed = {}, []
    for dimension in DIMENSIONS:
        used, quota = getattr(account.used, dimension), getattr(account.quota, dimension)
        before = told.get(dimension, 0)
        reached = _highest(used, quota, 0)
        if reached > before:
            crossed.append((dimension, reached))
        after[dimension] = max(reached, min(before, _highest(used, quota, _MARGIN)))
    return after, crossed


def _highest(used: int, quota: int, margin: int) -> int:
    if used <= 0:
        return 0
    return max((share for share in THRESHOLDS if used * 100 >= (share - margin) * quota), default=0)


def _shown(event: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: event.get(name) for name in _SHOWN}
    texts["created_at"] = event["created_at"].isoformat()
    return {name: None if value is None else str(value) for name, value in texts.items()}
