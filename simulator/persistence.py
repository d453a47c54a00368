"""Saving everything to one file and loading it again, so that a restarted simulator still holds its workloads.

JSON lines: a header with the revision, then one object each. Written beside the file and renamed over it.
"""

import asyncio
import os
from pathlib import Path

import orjson

from simulator.resources import BY_PLURAL, EVENTS
from simulator.store import Store

GAP = 1_000_000
"""Revisions skipped on load: what was handed out after the last save is then too old, so clients relist."""


def load(store: Store, path: Path) -> bool:
    """Fill an empty store. False when there is nothing saved."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        header = orjson.loads(file.readline())
        for line in file:
            saved = orjson.loads(line)
            resource = BY_PLURAL.get((saved["group"], saved["version"], saved["plural"]))
            if resource is not None:
                store.restore(resource, saved["object"])
    store.revision = int(header["revision"]) + GAP
    for collection in store.collections.values():
        collection.floor = store.revision
    return True


def encode(store: Store) -> list[bytes]:
    lines = [orjson.dumps({"revision": store.revision}) + b"\n"]
    for resource, collection in store.collections.items():
        if resource is EVENTS:
            continue
        names = {"group": resource.group, "version": resource.version, "plural": resource.plural}
        head = orjson.dumps(names)[:-1] + b',"object":'
        lines.extend(head + stored.item + b"}\n" for stored in collection.objects.values())
    return lines


def write(lines: list[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


async def save_regularly(store: Store, path: Path, interval: float) -> None:
    """Save whenever something changed, until cancelled."""
    saved = -1
    while True:
        await asyncio.sleep(interval)
        if store.revision != saved:
            saved = store.revision
            await asyncio.to_thread(write, encode(store), path)
