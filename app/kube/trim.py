"""Keeps of an object only what somebody reads: a cache of ten thousand Pods must stay small."""

from collections.abc import Mapping, Sequence
from typing import Any

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels")


def trim(obj: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """`fields` are dotted paths below the object, such as status.phase. Of annotations, ours stay."""
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
    *outer, last = path
    for key in outer:
        inner = source.get(key)
        if not isinstance(inner, Mapping):
            return
        source = inner
        target = target.setdefault(key, {})
    if last in source:
        target[last] = source[last]
