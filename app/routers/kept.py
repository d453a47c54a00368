"""Answers as they were sent before: sent again only where the database just said that nothing in them has changed.

Nothing has to be told to other processes: whoever looks here has read the versions of the rows first. docs/adr/0056
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from app.routers.wire import encode, etag
from app.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Encoded:
    """JSON, and its ETag."""

    body: bytes
    tag: str


class Kept:
    def __init__(self, mebibytes: int) -> None:
        """With 0 nothing is kept."""
        self.room = mebibytes * 2**20
        self._answers: LRUCache[Hashable, tuple[Any, Encoded]] = LRUCache(
            self.room,
            getsizeof=lambda kept: 2 * len(kept[1].body) + 3000,  # the versions and the key weigh about as much
        )

    def __contains__(self, key: Hashable) -> bool:
        return key in self._answers

    def find(self, key: Hashable, versions: Any) -> Encoded | None:
        """`key` says what was asked and by whom, `versions` which version of each row it is made of."""
        found = self._answers.get(key)
        same = found is not None and found[0] == versions
        metrics.kept(same)
        return found[1] if found is not None and same else None

    def keep(self, key: Hashable, versions: Any, content: Any) -> Encoded:
        body = encode(content)
        made = Encoded(body, etag(body))
        if len(body) < self.room // 10:
            self._answers[key] = versions, made
        return made
