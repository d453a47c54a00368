"""What is sent, and that it was not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same at every try. `secret` signs it, or is the code that is to be confirmed."""

    id: str
    topic: str
    content: Mapping[str, Any]
    created_at: datetime
    target: str
    secret: str


class NotDelivered(Exception):
    """Its text is shown to whoever subscribed: nothing in it of what was answered, or of what is within."""
