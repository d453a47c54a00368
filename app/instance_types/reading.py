"""How to read what every Kubernetes object has: metadata, conditions, times. Missing fields read as nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.instance_types.values import INCARNATION, REVISION, Object
from app.rules import units

_LONGEST = 500


def metadata(obj: Object | None) -> Mapping[str, Any]:
    return (obj or {}).get("metadata") or {}


def spec(obj: Object | None) -> Mapping[str, Any]:
    return (obj or {}).get("spec") or {}


def status(obj: Object | None) -> Mapping[str, Any]:
    return (obj or {}).get("status") or {}


def annotation(obj: Object | None, key: str) -> str | None:
    value = (metadata(obj).get("annotations") or {}).get(key)
    return value if isinstance(value, str) else None


def incarnation(obj: Object | None) -> int | None:
    return _count(annotation(obj, INCARNATION))


def revision(obj: Object | None) -> int | None:
    return _count(annotation(obj, REVISION))


def size(cpu: object, memory: object) -> tuple[int, int] | None:
    """Millicores and MiB of two quantities; nothing where either is missing or no quantity."""
    try:
        return round(units.measured(str(cpu)) * 1000), round(units.measured(str(memory)) / 2**20)
    except ValueError:
        return None


def size_of_main(containers: Sequence[Mapping[str, Any]] | None) -> tuple[int, int] | None:
    """The limits of the container `main`, in a Pod's spec or in its status."""
    main = next((item for item in containers or () if item.get("name") == "main"), {})
    limits = (main.get("resources") or {}).get("limits") or {}
    return size(limits.get("cpu"), limits.get("memory"))


def condition(obj: Object | None, kind: str) -> Mapping[str, Any]:
    for item in status(obj).get("conditions") or ():
        if item.get("type") == kind:
            return item  # type: ignore[no-any-return]
    return {}


def is_true(obj: Object | None, kind: str) -> bool:
    return condition(obj, kind).get("status") == "True"


def is_false(obj: Object | None, kind: str) -> bool:
    return condition(obj, kind).get("status") == "False"


def moment(text: object) -> datetime | None:
    """An RFC 3339 time as Kubernetes writes them, or nothing."""
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else None


def deleting(obj: Object | None) -> bool:
    return metadata(obj).get("deletionTimestamp") is not None


def overdue(obj: Object | None, now: datetime, seconds: int) -> bool:
    """Whether it should have been gone for `seconds` already."""
    due = moment(metadata(obj).get("deletionTimestamp"))
    return due is not None and now > due + timedelta(seconds=seconds)


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def words(*parts: object) -> str | None:
    """Kubernetes' own words as one line of bearable length."""
    text = ": ".join(" ".join(str(part).split()) for part in parts if part)
    if not text:
        return None
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
