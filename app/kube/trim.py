"""Keeps of an object only what somebody reads: a cache of ten thousand Pods must stay small."""

from collections.abc import Mapping, Sequence
from typing import Any

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels")


def trim(obj: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """`fields` are dotted paths below the object, such as status.phase, or spec.containers.resources: of each item of a
    list, with its name. Of annotations, ours stay.
    """
    metadata = obj.get("metadata") or {}
    kept: dict[str, Any] = {"metadata": {key: metadata[key] for key in _METADATA if key in metadata}}
    annotations = metadata.get("annotations") or {}
    ours = {key: value for key, value in annotations.items() if key.startswith("cmp.io/")}
    if ours:
        kept["metadata"]["annotations"] = ours
    for path in fields:
        _copy(obj, kept, path.split("."))
    return kept


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: Sequence[str]) -> None:
    key, *inner = path
    found = source.get(key)
    if not inner and key in source:
        target[key] = found
    elif inner and isinstance(found, Mapping):
        _copy(found, target.setdefault(key, {}), inner)
    elif inner and isinstance(found, list):
        kept = target.setdefault(key, [{"name": item.get("name")} for item in found])
        for item, into in zip(found, kept, strict=True):
            _copy(item, into, inner)
