"""Who owns which field: sets of field paths, their FieldsV1 form, and what a change does to them.

A path is a tuple of FieldsV1 elements: "f:spec", 'k:{"name":"main"}', 'v:"x"'. The set of an object holds its leaves
and the items of keyed lists; a set of changes also holds the maps and lists that are new.
Source: sigs.k8s.io/structured-merge-diff.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from simulator.clock import stamp
from simulator.resources import Resource
from simulator.types import Json

Path = tuple[str, ...]
Paths = set[Path]

LIST_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "hostAliases": ("ip",),
    "podIPs": ("ip",),
    "schedulingGates": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "secrets": ("name",),
}
SETS = frozenset({"finalizers"})
ATOMIC = frozenset(
    {
        "selector", "nodeSelector", "podSelector", "namespaceSelector", "fieldRef", "secretKeyRef", "configMapKeyRef",
        "secretRef", "claimRef", "involvedObject", "scopeSelector", "resourceFieldRef",
    }
)  # fmt: skip
ATOMIC_ITEMS = frozenset({"ownerReferences"})
INNER = object()
TYPED: tuple[Path, ...] = (("f:spec",), ("f:status",), ("f:spec", "f:containers"))
UNOWNED = frozenset(
    {
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "managedFields", "selfLink", "generateName",
    }
)  # fmt: skip


def list_keys(field: str, resource: Resource, path_head: str) -> tuple[str, ...]:
    """The keys of a keyed list, () for an atomic one. Custom kinds have keyed lists in their metadata only."""
    if field == "ownerReferences" and path_head == "f:metadata":
        return ("uid",)
    if resource.custom:
        return ()
    if field == "ports":
        return ("port", "protocol") if resource.plural == "services" else ("containerPort", "protocol")
    return LIST_KEYS.get(field, ())


def item_key(item: Json, keys: tuple[str, ...]) -> str:
    values = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
    return "k:" + orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


def fields_of(obj: Json, resource: Resource) -> Paths:
    """All owned paths of an object, without identity and server-set metadata."""
    paths: Paths = set()
    for field, value in obj.items():
        if field in ("apiVersion", "kind"):
            continue
        if field == "metadata":
            value = {name: inner for name, inner in value.items() if name not in UNOWNED}
            if not value:
                continue
        paths.update(_walk(value, (f"f:{field}",), field, resource))
    return paths


def changes(old: Json, new: Json, resource: Resource) -> tuple[Paths, Paths]:
    """(added or modified, removed) between two versions."""
    before, after = _nodes(old, resource), _nodes(new, resource)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    return changed, before.keys() - after.keys()


def to_fields_v1(paths: Paths) -> Json:
    root: Json = {}
    for path in sorted(paths, key=len, reverse=True):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        if node:
            node["."] = {}
    return root


def from_fields_v1(fields: Json) -> Paths:
    return set(_flatten(fields, ()))


def entry(manager: str, operation: str, resource: Resource, paths: Paths, subresource: str = "") -> Json:
    made: Json = {
        "manager": manager,
        "operation": operation,
        "apiVersion": resource.api_version,
        "time": stamp(),
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(paths),
    }
    if subresource:
        made["subresource"] = subresource
    return made


def after_update(resource: Resource, old: Json | None, new: Json, manager: str, subresource: str = "") -> list[Json]:
    """The managedFields of `new`, written by `manager` with create, update or a patch other than apply."""
    if old is None:
        paths, _ = changes({}, {key: value for key, value in new.items() if key != "status"}, resource)
        return [entry(manager, "Update", resource, paths)] if paths else []
    entries: list[Json] = old["metadata"].get("managedFields") or []
    changed, removed = changes(old, new, resource)
    if not changed and not removed:
        return entries
    kept, mine = [], changed
    for known in entries:
        paths = from_fields_v1(known["fieldsV1"])
        if _is(known, manager, "Update", subresource):
            mine = (paths - removed) | changed
            continue
        remaining = paths - changed - removed
        if remaining:
            kept.append(known if remaining == paths else {**known, "fieldsV1": to_fields_v1(remaining)})
    return [*kept, entry(manager, "Update", resource, mine, subresource)] if mine else kept


def _is(known: Json, manager: str, operation: str, subresource: str) -> bool:
    return (
        known.get("manager") == manager
        and known.get("operation") == operation
        and known.get("subresource", "") == subresource
    )


def _walk(value: Any, path: Path, field: str, resource: Resource) -> Iterator[Path]:
    """The leaves below a value, and the items of its keyed lists."""
    for found, inner in _walk_values(value, path, field, resource):
        if inner is not INNER:
            yield found


def _walk_values(value: Any, path: Path, field: str, resource: Resource) -> Iterator[tuple[Path, Any]]:
    """All paths at and below a value. What has paths below it has the value INNER."""
    if isinstance(value, dict) and value and field not in ATOMIC:
        yield path, INNER
        for name, inner in value.items():
            yield from _walk_values(inner, (*path, f"f:{name}"), name, resource)
        return
    if isinstance(value, list) and value:
        if field in SETS:
            yield path, INNER
            for item in value:
                yield (*path, "v:" + orjson.dumps(item).decode()), item
            return
        keys = list_keys(field, resource, path[0])
        if keys and all(isinstance(item, dict) for item in value):
            yield path, INNER
            for item in value:
                item_path = (*path, item_key(item, keys))
                if field in ATOMIC_ITEMS:
                    yield item_path, item
                    continue
                yield item_path, None
                for name, inner in item.items():
                    yield from _walk_values(inner, (*item_path, f"f:{name}"), name, resource)
            return
    yield path, value


def _nodes(obj: Json, resource: Resource) -> dict[Path, Any]:
    """Every path of an object but those that a typed object has even when it is empty."""
    nodes: dict[Path, Any] = {}
    for field, value in obj.items():
        if field in ("apiVersion", "kind"):
            continue
        if field == "metadata":
            value = {name: inner for name, inner in value.items() if name not in UNOWNED}
            if not value:
                continue
        nodes.update(_walk_values(value, (f"f:{field}",), field, resource))
    for path in (("f:metadata",), *(() if resource.custom else TYPED)):
        if nodes.get(path) is INNER:
            del nodes[path]
    return nodes


def _flatten(node: Json, path: Path) -> Iterator[Path]:
    for element, inner in node.items():
        if element == ".":
            yield path
        elif inner:
            yield from _flatten(inner, (*path, element))
        else:
            yield (*path, element)
