"""How an object leaves: plain, as metadata only, or as rows of a table, by what the Accept header asks for."""

import base64
from collections.abc import Callable, Iterable
from typing import Literal

import orjson

from simulator import table
from simulator.resources import Resource
from simulator.store import Event, EventType, Stored
from simulator.types import Json

Form = Literal["plain", "table", "partial"]


def form(accept: str) -> Form:
    """The first form in the Accept header that this server speaks."""
    for part in accept.split(","):
        if "as=Table" in part and "v1beta1" not in part:
            return "table"
        if "as=PartialObjectMetadata" in part:
            return "partial"
        if part.strip().startswith(("application/json", "*/*")):
            return "plain"
    return "plain"


def acceptable(accept: str) -> bool:
    """Whether any form that the header allows is JSON."""
    wanted = [part.partition(";")[0].strip() for part in accept.split(",")]
    return not accept or any(kind in ("application/json", "*/*", "application/*") for kind in wanted)


def one(stored: Stored, shape: Form) -> bytes:
    match shape:
        case "table":
            return orjson.dumps(table.render(stored.resource, [stored.obj], {"resourceVersion": str(stored.revision)}))
        case "partial":
            return orjson.dumps(partial(stored))
        case _:
            return stored.document


def many(resource: Resource, found: Iterable[Stored], metadata: Json, shape: Form) -> bytes:
    match shape:
        case "table":
            return orjson.dumps(table.render(resource, [stored.obj for stored in found], metadata))
        case "partial":
            items = [partial(stored) for stored in found]
            kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            return orjson.dumps({**kind, "metadata": metadata, "items": items})
        case _:
            body = (stored.document if resource.custom else stored.item for stored in found)
            head = b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[' % (
                resource.kind.encode(),
                resource.api_version.encode(),
                orjson.dumps(metadata),
            )
            return head + b",".join(body) + b"]}"


def liner(shape: Form) -> Callable[[Event, EventType], bytes]:
    """A function that writes the lines of one watch, in that form."""
    if shape == "plain":
        return lambda event, kind: event.line(kind)
    if shape == "partial":
        return lambda event, kind: _line(kind, partial(event.shown_as(kind)))
    named = False

    def row(event: Event, kind: EventType) -> bytes:
        """Only the first line of a watch names the columns."""
        nonlocal named
        stored = event.shown_as(kind)
        shown = table.render(stored.resource, [stored.obj], {"resourceVersion": str(stored.revision)})
        if named:
            shown["columnDefinitions"] = None
        named = True
        return _line(kind, shown)

    return row


def _line(kind: EventType, obj: Json) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), orjson.dumps(obj))


def partial(stored: Stored) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": stored.obj["metadata"]}


def token(revision: int, start: str) -> str:
    """A continue token: where the next page starts, and of which revision."""
    return base64.urlsafe_b64encode(orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})).decode()


def read_token(text: str) -> tuple[int, str]:
    """ValueError when it is not one of ours."""
    try:
        loaded = orjson.loads(base64.urlsafe_b64decode(text))
        return int(loaded["rv"]), str(loaded["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("continue key is not valid") from error
