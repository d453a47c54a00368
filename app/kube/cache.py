"""One kind of object, mirrored in memory by list and watch, for reading without a call.

It never dies of an error: it lists again, finds what vanished meanwhile by comparing, and goes on. A watch only makes
it faster; a full list alone is the truth. https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.kube.client import KubeClient
from app.kube.errors import KubeError, Refusal, Unreachable, refusal_of
from app.kube.kinds import Kind
from app.kube.trim import trim
from app.telemetry import metrics

logger = logging.getLogger(__name__)

Key = tuple[str, str]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A real API server sends a bookmark about every minute, so `stall` without a word means a dead peer."""

    page: int = 500
    watch: float = 300.0
    stall: float = 90.0
    resync: float = 900.0
    absent: float = 30.0
    backoff: float = 0.5
    longest_backoff: float = 30.0
    healthy: float = 5.0


class Cache:
    """`label` is the label whose value is told to `on_change` and by which objects can be asked for.

    An `optional` kind may be missing from the server, or forbidden to us: then `absent` says so and nothing is held.
    """

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        *,
        fields: Sequence[str],
        selector: str = "",
        namespace: str | None = None,
        label: str = "",
        optional: bool = False,
        on_change: Callable[[str], None] = lambda _: None,
        timing: Timing | None = None,
    ) -> None:
        self.kind = kind
        self.synced = False
        self.absent: str | None = None
        self._client = client
        self._fields = fields
        self._selector = selector
        self._namespace = namespace
        self._label = label
        self._optional = optional
        self._on_change = on_change
        self._timing = timing or Timing()
        self._objects: dict[Key, Object] = {}
        self._groups: dict[str, dict[Key, Object]] = {}
        # Deleted since the last list: an event that comes late must not bring it back.
        self._buried: dict[Key, int] = {}
        self._listed_at_version = 0
        self._version = ""
        self._heard_at = time.monotonic()
        self._missing = 0
        self._fruitful = False

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self._objects.get((namespace or "", name))

    def group(self, value: str) -> Iterator[Object]:
        """All objects whose label has this value."""
        return iter(self._groups.get(value, {}).values())

    def all(self) -> Iterator[Object]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    def staleness(self) -> float:
        """Seconds since the server last said anything: a list, an event or a bookmark."""
        return time.monotonic() - self._heard_at

    def absorb(self, obj: Mapping[str, Any]) -> None:
        """What a write answered, so that we read our own writes before the watch brings them."""
        if self.synced and self.absent is None and (obj.get("metadata") or {}).get("uid"):
            self._put(obj)

    async def run(self) -> None:
        """Until cancelled."""
        metrics.CACHE_AGE.labels(self.kind.plural).set_function(self.staleness)
        metrics.CACHE_OBJECTS.labels(self.kind.plural).set_function(self.__len__)
        delay = self._timing.backoff
        while True:
            self._fruitful = False
            pause = 0.0
            try:
                await self._list()
                await self._follow()
            except Refusal as error:
                pause = self._refused(error)
            except KubeError as error:
                logger.info("%s: listing again: %s", self.kind.plural, error)
            except Exception:
                logger.exception("%s: listing again after an unexpected error", self.kind.plural)
            delay = self._timing.backoff if self._fruitful else min(delay * 2, self._timing.longest_backoff)
            await asyncio.sleep(pause or delay * random.uniform(0.5, 1.0))  # noqa: S311

    def _refused(self, error: Refusal) -> float:
        """Seconds to wait where that differs from the ordinary backoff."""
        if not (self._optional and error.code in (403, 404)):
            if not error.expired:
                logger.warning("%s: listing again: %s", self.kind.plural, error)
            return 0.0
        self._missing += 1
        # An API server that is just starting may not know its custom kinds yet.
        if self._objects and self._missing < 2:
            return 0.0
        if self.absent is None:
            logger.info("%s cannot be read and are left out: %s", self.kind.plural, error.message)
        self.absent = error.message or error.reason or "not found"
        self._replace({}, "0")
        self._heard()
        return self._timing.absent * random.uniform(0.8, 1.2)  # noqa: S311

    async def _list(self) -> None:
        params = {"limit": str(self._timing.page)} | self._selection()
        found: dict[Key, Object] = {}
        while True:
            page = await self._client.page(self.kind, self._namespace, params)
            for item in page.get("items") or ():
                found[_key(item)] = trim(item, self._fields)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            params["continue"] = metadata["continue"]
        self._missing = 0
        self.absent = None
        self._replace(found, str(metadata.get("resourceVersion") or ""))
        self._heard()

    def _replace(self, found: dict[Key, Object], version: str) -> None:
        """Takes a full list, and tells whose objects differ from what was held."""
        before = self._objects
        self._objects = found
        self._groups = {}
        for key, obj in found.items():
            self._groups.setdefault(self._group_of(obj), {})[key] = obj
        self._buried.clear()
        self._version = version
        self._listed_at_version = _order(version)
        self.synced = True
        changed = [obj for key, obj in before.items() if _identity(found.get(key)) != _identity(obj)]
        changed += [obj for key, obj in found.items() if _identity(before.get(key)) != _identity(obj)]
        for group in {self._group_of(obj) for obj in changed}:
            self._tell(group)

    async def _follow(self) -> None:
        """Watches from the list on, over and over, until it is time for a full list again."""
        resync_at = time.monotonic() + self._timing.resync * random.uniform(0.8, 1.2)  # noqa: S311
        while time.monotonic() < resync_at:
            started = time.monotonic()
            heard = await self._watch()
            lasted = time.monotonic() - started
            if lasted >= self._timing.healthy:
                self._fruitful = True
            elif not heard:
                # Answered and closed at once, without a word: going on like that would be a busy loop.
                raise Unreachable("the watch ended at once")

    async def _watch(self) -> bool:
        """One watch to its end. True if it said anything."""
        seconds = self._timing.watch * random.uniform(1.0, 1.2)  # noqa: S311
        params = self._selection() | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        heard = False
        lines = self._client.lines(self.kind, self._namespace, params, idle=self._timing.stall, total=seconds + 30)
        try:
            while True:
                try:
                    async with asyncio.timeout(self._timing.stall):
                        line = await anext(lines)
                except StopAsyncIteration:
                    return heard
                except TimeoutError as error:
                    raise Unreachable("the watch fell silent") from error
                self._take(line)
                heard = self._fruitful = True
        finally:
            await lines.aclose()

    def _take(self, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            kind, obj = event["type"], event["object"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise Unreachable("the watch sent something that is no event") from error
        if kind == "ERROR":
            raise refusal_of(obj)
        self._heard()
        if kind == "DELETED":
            self._remove(obj)
        elif kind in ("ADDED", "MODIFIED"):
            self._put(obj)
        version = str((obj.get("metadata") or {}).get("resourceVersion") or "")
        if version and _order(version) >= _order(self._version):
            self._version = version

    def _put(self, obj: Mapping[str, Any]) -> None:
        key = _key(obj)
        version = _order(obj["metadata"].get("resourceVersion"))
        held = self._objects.get(key)
        if version and version <= self._newest_known(key, held):
            return
        kept = trim(obj, self._fields)
        group = self._group_of(kept)
        if held is not None:
            self._drop(key, held)
            if self._group_of(held) != group:
                self._tell(self._group_of(held))
        self._buried.pop(key, None)
        self._objects[key] = kept
        self._groups.setdefault(group, {})[key] = kept
        self._tell(group)

    def _remove(self, obj: Mapping[str, Any]) -> None:
        key = _key(obj)
        version = _order(obj["metadata"].get("resourceVersion"))
        held = self._objects.get(key)
        if version and version < self._newest_known(key, held):
            return
        self._buried[key] = version
        if held is None:
            return
        self._drop(key, held)
        self._tell(self._group_of(held))

    def _drop(self, key: Key, held: Object) -> None:
        del self._objects[key]
        group = self._group_of(held)
        members = self._groups[group]
        del members[key]
        if not members:
            del self._groups[group]

    def _newest_known(self, key: Key, held: Object | None) -> int:
        """Versions of one kind grow and compare as integers; 0 is older than any."""
        if held is not None:
            return _order(held["metadata"].get("resourceVersion"))
        return max(self._buried.get(key, 0), self._listed_at_version)

    def _group_of(self, obj: Mapping[str, Any]) -> str:
        labels = obj["metadata"].get("labels") or {}
        return str(labels.get(self._label) or "")

    def _tell(self, group: str) -> None:
        if not group:
            return
        try:
            self._on_change(group)
        except Exception:
            logger.exception("%s: a listener failed", self.kind.plural)

    def _heard(self) -> None:
        self._heard_at = time.monotonic()

    def _selection(self) -> dict[str, str]:
        return {"labelSelector": self._selector} if self._selector else {}


def _key(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _order(version: object) -> int:
    """https://github.com/kubernetes/enhancements/issues/5504: an integer; whatever is not one sorts first."""
    return int(version) if isinstance(version, str) and version.isdecimal() else 0


def _identity(obj: Object | None) -> tuple[object, object] | None:
    return None if obj is None else (obj["metadata"].get("uid"), obj["metadata"].get("resourceVersion"))
