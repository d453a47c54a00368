"""Server-side apply: merge a manager's whole intent into an object, with conflicts and removal of what it dropped.

Pure: takes the live object and the applied one, answers the new object with its managedFields.
Source: sigs.k8s.io/structured-merge-diff merge.Updater.Apply.
"""

from typing import Any

import orjson

from simulator.errors import StatusError
from simulator.managed_fields import (
    ATOMIC,
    SETS,
    Path,
    Paths,
    changes,
    entry,
    fields_of,
    from_fields_v1,
    item_key,
    list_keys,
    to_fields_v1,
)
from simulator.resources import Resource
from simulator.types import Json


def apply(resource: Resource, live: Json | None, applied: Json, manager: str, force: bool) -> Json:
    """The object after `manager` applied `applied`; 409 with one cause per contested field unless `force`."""
    wanted = fields_of(applied, resource)
    if live is None:
        metadata = {**applied["metadata"], "managedFields": [entry(manager, "Apply", resource, wanted)]}
        return {**applied, "metadata": metadata}
    entries: list[Json] = live["metadata"].get("managedFields") or []
    merged = _merge_object(live, applied, resource)
    changed, _ = changes(live, merged, resource)
    others = [known for known in entries if not _is_mine(known, manager)]
    contested = _contested(others, changed & wanted)
    if contested and not force:
        raise _conflict(resource, contested)
    kept, owned_by_others = _without(others, changed & wanted)
    before = next((from_fields_v1(known["fieldsV1"]) for known in entries if _is_mine(known, manager)), set())
    dropped = before - wanted
    pruned = _prune(merged, dropped, owned_by_others | wanted, resource) if dropped else merged
    mine = next((known for known in entries if _is_mine(known, manager)), None)
    if mine is None or before != wanted or pruned != live:
        mine = entry(manager, "Apply", resource, wanted)
    owners = sorted([mine, *kept], key=_order)
    return {**pruned, "metadata": {**pruned["metadata"], "managedFields": owners}}


def _order(known: Json) -> tuple[bool, str, str]:
    return known["operation"] != "Apply", known.get("time", ""), known["manager"]


def _is_mine(known: Json, manager: str) -> bool:
    return known.get("manager") == manager and known.get("operation") == "Apply" and "subresource" not in known


def _contested(others: list[Json], changed: Paths) -> list[tuple[Json, Path]]:
    found: list[tuple[Json, Path]] = []
    for known in others:
        found.extend((known, path) for path in sorted(from_fields_v1(known["fieldsV1"]) & changed))
    return found


def _without(others: list[Json], taken: Paths) -> tuple[list[Json], Paths]:
    kept, owned = [], set()
    for known in others:
        paths = from_fields_v1(known["fieldsV1"])
        remaining = paths - taken
        if remaining:
            kept.append(known if remaining == paths else {**known, "fieldsV1": to_fields_v1(remaining)})
            owned |= remaining
    return kept, owned


def _conflict(resource: Resource, contested: list[tuple[Json, Path]]) -> StatusError:
    causes = []
    for known, path in contested:
        message = f'conflict with "{known["manager"]}"'
        if known.get("subresource"):
            message += f' with subresource "{known["subresource"]}"'
        if known["operation"] == "Update":
            message += f" using {resource.api_version}"
        causes.append({"reason": "FieldManagerConflict", "message": message, "field": _shown(path)})
    if len(causes) == 1:
        text = f"1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        by_message: dict[str, list[str]] = {}
        for item in causes:
            message = item["message"].replace("conflict with", "conflicts with", 1)
            by_message.setdefault(message, []).append(f"- {item['field']}")
        lines = [line for message, fields in by_message.items() for line in (f"{message}:", *fields)]
        text = f"{len(causes)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", f"Apply failed with {text}", {"causes": causes})


def _shown(path: Path) -> str:
    text = ""
    for element in path:
        kind, _, value = element.partition(":")
        if kind == "f":
            text += f".{value}"
        elif kind == "k":
            pairs = orjson.loads(value).items()
            text += "[" + ",".join(f"{key}={orjson.dumps(inner).decode()}" for key, inner in pairs) + "]"
        else:
            text += f"[={value}]"
    return text


def _merge_object(live: Json, applied: Json, resource: Resource) -> Json:
    result = dict(live)
    for field, value in applied.items():
        if field not in ("apiVersion", "kind"):
            result[field] = _merge(live.get(field), value, field, resource, f"f:{field}")
    return result


def _merge(live: Any, applied: Any, field: str, resource: Resource, head: str) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict) and field not in ATOMIC:
        result = dict(live)
        for name, value in applied.items():
            result[name] = _merge(live.get(name), value, name, resource, head)
        return result
    if isinstance(applied, list) and isinstance(live, list):
        if field in SETS:
            return [*live, *(item for item in applied if item not in live)]
        keys = list_keys(field, resource, head)
        if keys:
            return _merge_keyed(live, applied, keys, resource, head)
    return applied


def _merge_keyed(live: list[Json], applied: list[Json], keys: tuple[str, ...], resource: Resource, head: str) -> Any:
    wanted = {item_key(item, keys): item for item in applied}
    merged = []
    for item in live:
        change = wanted.pop(item_key(item, keys), None)
        merged.append(item if change is None else _merge(item, change, "", resource, head))
    return [*merged, *wanted.values()]


def _prune(obj: Json, dropped: Paths, owned: Paths, resource: Resource) -> Json:
    """Remove what only this manager owned. Items of keyed lists go last, and only when nobody owns a part of them."""
    covered = {path[:length] for path in owned for length in range(1, len(path) + 1)}
    doomed = {path for path in dropped if path not in covered}
    pruned: Json = _pruned(obj, doomed, (), "", resource)
    return pruned


def _pruned(value: Any, doomed: Paths, path: Path, field: str, resource: Resource) -> Any:
    if not any(candidate[: len(path)] == path for candidate in doomed):
        return value
    if isinstance(value, dict) and field not in ATOMIC:
        result = {}
        for name, inner in value.items():
            inner_path = (*path, f"f:{name}")
            if inner_path in doomed:
                continue
            kept = _pruned(inner, doomed, inner_path, name, resource)
            if kept in ({}, []) and inner not in ({}, []):
                continue
            result[name] = kept
        return result
    if isinstance(value, list):
        if field in SETS:
            return [item for item in value if (*path, "v:" + orjson.dumps(item).decode()) not in doomed]
        keys = list_keys(field, resource, path[0])
        if keys:
            kept_items = []
            for item in value:
                item_path = (*path, item_key(item, keys))
                if item_path not in doomed:
                    kept_items.append(_pruned(item, doomed, item_path, "", resource))
            return kept_items
    return value
