"""The objects, their one revision counter, and the bounded history that watches replay.

Knows no HTTP and no rules: what may be written is decided before. Every change becomes one event, handed first to
the watchers of that resource (indexed by namespace) and then to the simulated controllers, always in revision order.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol

import orjson

from simulator.errors import expired
from simulator.resources import STORED, Resource
from simulator.selectors import Selector
from simulator.types import Json, Key

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Stored:
    """One version of one object, with its encoding made at most once."""

    __slots__ = ("_item", "key", "obj", "resource", "revision")

    def __init__(self, resource: Resource, key: Key, obj: Json, revision: int) -> None:
        self.resource = resource
        self.key = key
        self.obj = obj
        self.revision = revision
        self._item: bytes | None = None

    @property
    def uid(self) -> str:
        return str(self.obj["metadata"]["uid"])

    @property
    def item(self) -> bytes:
        """JSON without apiVersion and kind, as inside a list of built-in kinds."""
        if self._item is None:
            self._item = orjson.dumps(self.obj)
        return self._item

    @property
    def document(self) -> bytes:
        """JSON with apiVersion and kind."""
        head = f'{{"kind":"{self.resource.kind}","apiVersion":"{self.resource.api_version}",'
        return head.encode() + self.item[1:]

    def copy(self) -> Json:
        """A private deep copy to change."""
        loaded: Json = orjson.loads(self.item)
        return loaded


class Event:
    __slots__ = ("_lines", "previous", "revision", "stored", "type")

    def __init__(self, kind: EventType, revision: int, stored: Stored, previous: Stored | None) -> None:
        self.type: EventType = kind
        self.revision = revision
        self.stored = stored
        self.previous = previous
        self._lines: dict[str, bytes] = {}

    @property
    def resource(self) -> Resource:
        return self.stored.resource

    def line(self, kind: EventType) -> bytes:
        """The watch line for this event, shared by all watchers that see it as `kind`."""
        if kind not in self._lines:
            self._lines[kind] = b'{"type":"%s","object":%s}\n' % (kind.encode(), self.shown_as(kind).document)
        return self._lines[kind]

    def shown_as(self, kind: EventType) -> Stored:
        """What a watcher is shown: to one whose selector it left, an object is deleted as it last matched."""
        if kind != "DELETED" or self.type == "DELETED" or self.previous is None:
            return self.stored
        metadata = {**self.previous.obj["metadata"], "resourceVersion": str(self.revision)}
        obj = {**self.previous.obj, "metadata": metadata}
        return Stored(self.resource, self.stored.key, obj, self.revision)


class Watching(Protocol):
    def offer(self, event: Event) -> None: ...


class Collection:
    """All objects of one resource, in key order, indexed by label, with the recent events."""

    def __init__(self, resource: Resource, window: int) -> None:
        self.resource = resource
        self.objects: dict[Key, Stored] = {}
        self.history: deque[Event] = deque()
        self.floor = 0
        """The oldest revision from which a watch can still start."""
        self.watchers: dict[str, set[Watching]] = {}
        """By namespace; "" for those that watch all of them."""
        self._window = window
        self._keys: list[Key] = []
        self._by_label: dict[tuple[str, str], set[Key]] = {}

    def keys(self, namespace: str = "") -> list[Key]:
        if not namespace:
            return self._keys
        start = bisect_left(self._keys, (namespace, ""))
        return self._keys[start : bisect_left(self._keys, (namespace + "\0", ""))]

    def select(self, namespace: str, selector: Selector) -> Iterator[Stored]:
        """Matching objects in key order, through the cheapest index."""
        objects = self.objects
        if not selector:
            return (objects[key] for key in self.keys(namespace))
        if name := selector.exact_name:
            wanted: Iterable[Key] = [key for key in self._named(namespace, name) if key in objects]
        elif labels := selector.exact_labels:
            keys = min((self._by_label.get(label, set()) for label in labels), key=len)
            wanted = sorted(key for key in keys if not namespace or key[0] == namespace)
        else:
            wanted = self.keys(namespace)
        return (objects[key] for key in wanted if selector.matches(objects[key].obj))

    def at(self, revision: int, namespace: str, selector: Selector) -> list[Stored]:
        """What `select` would have answered at an earlier revision; 410 when history no longer reaches back."""
        if revision < self.floor:
            raise expired(f"The resourceVersion for the provided list is too old: {revision} ({self.floor})")
        before: dict[Key, Stored | None] = {}
        for event in reversed(self.history):
            if event.revision <= revision:
                break
            before[event.stored.key] = event.previous
        if not before:
            return list(self.select(namespace, selector))
        keys = sorted({*self.keys(namespace), *(key for key in before if not namespace or key[0] == namespace)})
        found = (before[key] if key in before else self.objects[key] for key in keys)
        return [stored for stored in found if stored is not None and selector.matches(stored.obj)]

    def since(self, revision: int) -> list[Event]:
        """Events after `revision`, oldest first."""
        newer: list[Event] = []
        for event in reversed(self.history):
            if event.revision <= revision:
                break
            newer.append(event)
        newer.reverse()
        return newer

    def forget(self, keep: int = 0) -> None:
        """Drop history beyond the newest `keep` events, as compaction does."""
        while len(self.history) > keep:
            self.floor = self.history.popleft().revision

    def put(self, stored: Stored) -> Stored | None:
        previous = self.objects.get(stored.key)
        if previous is None:
            insort(self._keys, stored.key)
        self.objects[stored.key] = stored
        self._reindex(stored.key, _labels(previous), _labels(stored))
        return previous

    def drop(self, key: Key) -> Stored:
        previous = self.objects.pop(key)
        del self._keys[bisect_left(self._keys, key)]
        self._reindex(key, _labels(previous), {})
        return previous

    def record(self, event: Event) -> None:
        self.history.append(event)
        if len(self.history) > self._window:
            self.forget(self._window)
        namespace = event.stored.key[0]
        for watcher in tuple(self.watchers.get("", ())):
            watcher.offer(event)
        if namespace:
            for watcher in tuple(self.watchers.get(namespace, ())):
                watcher.offer(event)

    def _named(self, namespace: str, name: str) -> list[Key]:
        if namespace or not self.resource.namespaced:
            return [(namespace, name)]
        return [key for key in self._keys if key[1] == name]

    def _reindex(self, key: Key, old: dict[str, str], new: dict[str, str]) -> None:
        if old == new:
            return
        for pair in old.items() - new.items():
            members = self._by_label[pair]
            members.discard(key)
            if not members:
                del self._by_label[pair]
        for pair in new.items() - old.items():
            self._by_label.setdefault(pair, set()).add(key)


class Store:
    def __init__(self, window: int) -> None:
        self.revision = 1
        self.collections = {resource: Collection(resource, window) for resource in STORED}
        self.owned: dict[str, set[tuple[Resource, Key]]] = {}
        """Objects by the uid of an owner they name."""
        self._listeners: dict[Resource, list[Callable[[Event], None]]] = {resource: [] for resource in STORED}
        self._pending: deque[Event] = deque()
        self._dispatching = False

    def on(self, resource: Resource, listener: Callable[[Event], None]) -> None:
        self._listeners[resource].append(listener)

    def get(self, resource: Resource, key: Key) -> Stored | None:
        return self.collections[resource].objects.get(key)

    def all(self, resource: Resource, namespace: str = "") -> list[Stored]:
        collection = self.collections[resource]
        return [collection.objects[key] for key in collection.keys(namespace)]

    def put(self, resource: Resource, obj: Json) -> Stored:
        """Create or replace. Takes `obj` (and its metadata) for its own."""
        metadata = obj["metadata"]
        self.revision += 1
        metadata["resourceVersion"] = str(self.revision)
        key = (metadata.get("namespace", ""), metadata["name"])
        stored = Stored(resource, key, obj, self.revision)
        previous = self.collections[resource].put(stored)
        self._reown(resource, key, previous, stored)
        self._publish(Event("MODIFIED" if previous else "ADDED", self.revision, stored, previous))
        return stored

    def drop(self, resource: Resource, key: Key) -> Stored:
        """Remove. Answers the last state, at the revision of its removal."""
        previous = self.collections[resource].drop(key)
        self.revision += 1
        metadata = {**previous.obj["metadata"], "resourceVersion": str(self.revision)}
        last = Stored(resource, key, {**previous.obj, "metadata": metadata}, self.revision)
        self._reown(resource, key, previous, None)
        self._publish(Event("DELETED", self.revision, last, previous))
        return last

    def restore(self, resource: Resource, obj: Json) -> None:
        """Put back an object saved earlier, revision included, with no event."""
        metadata = obj["metadata"]
        revision = int(metadata["resourceVersion"])
        stored = Stored(resource, (metadata.get("namespace", ""), metadata["name"]), obj, revision)
        self.collections[resource].put(stored)
        self._reown(resource, stored.key, None, stored)

    def _publish(self, event: Event) -> None:
        self.collections[event.resource].record(event)
        self._pending.append(event)
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while self._pending:
                current = self._pending.popleft()
                for listener in self._listeners[current.resource]:
                    listener(current)
        finally:
            self._dispatching = False

    def _reown(self, resource: Resource, key: Key, old: Stored | None, new: Stored | None) -> None:
        before, after = _owners(old), _owners(new)
        for uid in before - after:
            members = self.owned[uid]
            members.discard((resource, key))
            if not members:
                del self.owned[uid]
        for uid in after - before:
            self.owned.setdefault(uid, set()).add((resource, key))


def _labels(stored: Stored | None) -> dict[str, str]:
    return (stored.obj["metadata"].get("labels") or {}) if stored else {}


def _owners(stored: Stored | None) -> set[str]:
    if stored is None:
        return set()
    return {owner["uid"] for owner in stored.obj["metadata"].get("ownerReferences") or ()}
