"""Page cursors: the last key seen, sealed to one viewer and one exact list, so that no other list takes it."""

import base64
import hashlib
import hmac
import json
from typing import Any

_SEAL = 16


def seal(secret: bytes, scope: str, key: list[Any]) -> str:
    """`scope` names the viewer, the list, its filters and its order."""
    payload = json.dumps(key, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(secret, scope, payload) + payload).decode().rstrip("=")


def unseal(secret: bytes, scope: str, cursor: str) -> list[Any]:
    """ValueError when it was not sealed for this scope."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        mac, payload = raw[:_SEAL], raw[_SEAL:]
        if not hmac.compare_digest(mac, _mac(secret, scope, payload)):
            raise ValueError("not sealed for this list")
        key = json.loads(payload)
    except (ValueError, UnicodeError) as error:
        raise ValueError("this cursor does not belong to this list; start again without one") from error
    if not isinstance(key, list):
        raise ValueError("this cursor does not belong to this list; start again without one")
    return key


def _mac(secret: bytes, scope: str, payload: bytes) -> bytes:
    return hmac.new(secret, scope.encode() + b"\0" + payload, hashlib.sha256).digest()[:_SEAL]
