"""The few protobuf bodies that kubectl sends even to a server that answers JSON, as `kubectl create namespace` does.

Decodes by a small table of fields; a kind that is not in it is 415. Source: the generated.proto files of k8s.io/api.
"""

import base64
from collections.abc import Iterator
from typing import Any

from simulator.types import Json

MAGIC = b"k8s\x00"
Fields = dict[int, tuple[str, str]]
"""Field number to (JSON name, type); a type in brackets repeats, `map:` is a map with string keys."""

QUANTITY: Fields = {1: ("value", "string")}
OWNER: Fields = {
    1: ("kind", "string"), 3: ("name", "string"), 4: ("uid", "string"), 5: ("apiVersion", "string"),
    6: ("controller", "bool"), 7: ("blockOwnerDeletion", "bool"),
}  # fmt: skip
METADATA: Fields = {
    1: ("name", "string"), 2: ("generateName", "string"), 3: ("namespace", "string"), 5: ("uid", "string"),
    6: ("resourceVersion", "string"), 11: ("labels", "map:string"), 12: ("annotations", "map:string"),
    13: ("ownerReferences", "[OwnerReference]"), 14: ("finalizers", "[string]"),
}  # fmt: skip
MESSAGES: dict[str, Fields] = {
    "ObjectMeta": METADATA,
    "OwnerReference": OWNER,
    "Quantity": QUANTITY,
    "LocalObjectReference": {1: ("name", "string")},
    "ObjectReference": {1: ("kind", "string"), 2: ("namespace", "string"), 3: ("name", "string"), 4: ("uid", "string")},
    "NamespaceSpec": {1: ("finalizers", "[string]")},
    "Namespace": {1: ("metadata", "ObjectMeta"), 2: ("spec", "NamespaceSpec")},
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"), 2: ("data", "map:string"), 3: ("binaryData", "map:bytes"),
        4: ("immutable", "bool"),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"), 2: ("data", "map:bytes"), 3: ("type", "string"), 4: ("stringData", "map:string"),
        5: ("immutable", "bool"),
    },
    "ServiceAccount": {
        1: ("metadata", "ObjectMeta"), 2: ("secrets", "[ObjectReference]"),
        3: ("imagePullSecrets", "[LocalObjectReference]"), 4: ("automountServiceAccountToken", "bool"),
    },
    "ResourceQuotaSpec": {1: ("hard", "map:Quantity"), 2: ("scopes", "[string]")},
    "ResourceQuota": {1: ("metadata", "ObjectMeta"), 2: ("spec", "ResourceQuotaSpec")},
    "Preconditions": {1: ("uid", "string"), 2: ("resourceVersion", "string")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "int"), 2: ("preconditions", "Preconditions"), 3: ("orphanDependents", "bool"),
        4: ("propagationPolicy", "string"), 5: ("dryRun", "[string]"),
    },
    "ResourceAttributes": {
        1: ("namespace", "string"), 2: ("verb", "string"), 3: ("group", "string"), 4: ("version", "string"),
        5: ("resource", "string"), 6: ("subresource", "string"), 7: ("name", "string"),
    },
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "SelfSubjectAccessReviewSpec": {
        1: ("resourceAttributes", "ResourceAttributes"), 2: ("nonResourceAttributes", "NonResourceAttributes"),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "ObjectMeta"), 2: ("spec", "SelfSubjectAccessReviewSpec")},
    "Eviction": {1: ("metadata", "ObjectMeta"), 2: ("deleteOptions", "DeleteOptions")},
}  # fmt: skip


def decode(body: bytes) -> Json | None:
    """The object as JSON would have it, or None when its kind is not known here. ValueError when it is garbled."""
    if not body.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message")
    envelope = dict(_fields(body[len(MAGIC) :]))
    meta = dict(_fields(_bytes(envelope.get(1, b""))))
    kind = _bytes(meta.get(2, b"")).decode()
    if kind not in MESSAGES:
        return None
    made = _message(_bytes(envelope.get(2, b"")), MESSAGES[kind])
    return {"kind": kind, "apiVersion": _bytes(meta.get(1, b"")).decode(), **made}


def _message(data: bytes, known: Fields) -> Json:
    made: Json = {}
    for number, value in _fields(data):
        if number not in known:
            continue
        name, kind = known[number]
        if kind.startswith("["):
            made.setdefault(name, []).append(_value(value, kind[1:-1]))
        elif kind.startswith("map:"):
            pair = dict(_fields(_bytes(value)))
            key = _bytes(pair.get(1, b"")).decode()
            made.setdefault(name, {})[key] = _value(pair.get(2, b""), kind[4:])
        else:
            made[name] = _value(value, kind)
    return made


def _value(value: bytes | int, kind: str) -> Any:
    match kind:
        case "string":
            return _bytes(value).decode()
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "bool":
            return bool(value)
        case "int":
            return value
        case "Quantity":
            return _message(_bytes(value), QUANTITY).get("value", "0")
        case _:
            return _message(_bytes(value), MESSAGES[kind])


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            integer, position = _varint(data, position)
            yield number, integer
        elif wire == 2:
            length, position = _varint(data, position)
            yield number, data[position : position + length]
            position += length
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError(f"protobuf wire type {wire}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("protobuf message ends too early")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("protobuf field of the wrong type")
    return value
