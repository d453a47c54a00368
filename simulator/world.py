"""What every simulated controller needs: the store, time, chance, and the few ways in which a controller writes.

Controllers listen to the store, but only ever write from timers, so that one write never happens inside another.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.admission import Admission
from simulator.clock import Clock, stamp
from simulator.deletes import DeleteOptions, Deletes
from simulator.quota import Quotas
from simulator.resources import EVENTS, Resource
from simulator.settings import Settings
from simulator.store import Store, Stored
from simulator.types import Json
from simulator.writes import Writes


@dataclass(slots=True)
class World:
    settings: Settings
    store: Store
    clock: Clock
    chance: random.Random
    writes: Writes
    deletes: Deletes

    def later(self, delay: float, call: Callable[[], None]) -> None:
        """Call after `delay` simulated seconds, give or take the jitter."""
        spread = self.settings.jitter
        self.clock.call_later(delay * self.chance.uniform(1 - spread, 1 + spread), call)

    def current(self, stored: Stored) -> Stored | None:
        """The newest version of that very object (same uid), if it is still there."""
        now = self.store.get(stored.resource, stored.key)
        return now if now is not None and now.uid == stored.uid else None

    def set_status(self, stored: Stored, **fields: Any) -> Stored:
        """Merge fields into the status; None removes. Writes nothing when nothing changes."""
        old = stored.obj.get("status") or {}
        status = {key: value for key, value in {**old, **fields}.items() if value is not None}
        if status == old:
            return stored
        obj = {**stored.obj, "metadata": dict(stored.obj["metadata"]), "status": status}
        return self.store.put(stored.resource, obj)

    def set_metadata(self, stored: Stored, **fields: Any) -> Stored:
        metadata = {key: value for key, value in {**stored.obj["metadata"], **fields}.items() if value is not None}
        return self.store.put(stored.resource, {**stored.obj, "metadata": metadata})

    def set_spec(self, stored: Stored, **fields: Any) -> Stored:
        """Change the spec as a client would: the generation goes up."""
        spec = {key: value for key, value in {**stored.obj["spec"], **fields}.items() if value is not None}
        metadata = dict(stored.obj["metadata"])
        if "generation" in metadata:
            metadata["generation"] += 1
        return self.store.put(stored.resource, {**stored.obj, "metadata": metadata, "spec": spec})

    def create(self, resource: Resource, obj: Json, manager: str) -> Stored:
        """Create as a client would, admission and quota included. StatusError when refused."""
        self.writes.insert(resource, obj, manager)
        return self.store.put(resource, obj)

    def delete(self, stored: Stored, grace: int | None = None) -> None:
        self.deletes.delete(stored, DeleteOptions(grace=grace))

    def drop_finalizer(self, stored: Stored, *names: str) -> None:
        """Take finalizers away; the object goes when they were the last."""
        kept = [name for name in stored.obj["metadata"].get("finalizers") or () if name not in names]
        if stored.obj["metadata"].get("deletionTimestamp") and not kept:
            self.store.drop(stored.resource, stored.key)
            return
        self.set_metadata(stored, finalizers=kept or None)

    def record(self, about: Stored, reason: str, message: str, source: str, kind: str = "Normal") -> None:
        """Leave an Event, as a controller does. Only so many are kept."""
        metadata = about.obj["metadata"]
        namespace = metadata.get("namespace", "default")
        name = f"{metadata['name']}.{self.chance.getrandbits(60):015x}"
        now = stamp()
        reference = {
            "kind": about.resource.kind,
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": about.resource.api_version,
            "resourceVersion": metadata["resourceVersion"],
        }
        event: Json = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": str(uuid.UUID(int=self.chance.getrandbits(128), version=4)),
                "creationTimestamp": now,
            },
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": source,
            "reportingInstance": "",
        }
        self.store.put(EVENTS, event)
        events = self.store.collections[EVENTS].objects
        if len(events) > self.settings.events_kept:
            self.store.drop(EVENTS, next(iter(events)))


def build(settings: Settings) -> World:
    store, clock = Store(settings.history), Clock(settings.speed)
    writes = Writes(store, Admission(store, Quotas(store, clock)))
    return World(settings, store, clock, random.Random(settings.seed), writes, Deletes(store))  # noqa: S311


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Json:
    made: Json = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": stamp()}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def with_conditions(existing: list[Json] | None, *changed: Json) -> list[Json]:
    """The list with these conditions set; a transition time only moves when the status does."""
    result = list(existing or ())
    for new in changed:
        index = next((i for i, old in enumerate(result) if old["type"] == new["type"]), None)
        if index is None:
            result.append(new)
            continue
        old = result[index]
        if old["status"] == new["status"]:
            new = {**new, "lastTransitionTime": old.get("lastTransitionTime")}
        result[index] = new
    return result


def has_condition(obj: Json, kind: str, status: str = "True") -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(item["type"] == kind and item["status"] == status for item in conditions)
