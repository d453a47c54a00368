"""Which persistent volumes the instances of a specification have, whatever their type, and how much that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROOT = "root"


@dataclass(frozen=True, slots=True)
class Claim:
    """One disk of one instance that outlives what runs in it. `size` in MiB."""

    volume: str
    size: int
    storage_class: str | None


def claims(spec: Mapping[str, Any]) -> list[Claim]:
    """Those that are made before the instance and go with it, in the order of the specification."""
    found = [volume for volume in spec.get("volumes") or () if volume["type"] == "persistent"]
    root = spec.get("root_disk") or {}
    disks = [root | {"name": ROOT}] if root.get("type") == "blank" else []
    return [Claim(disk["name"], disk["size"], disk["storage_class"]) for disk in (*disks, *found)]


def storage(spec: Mapping[str, Any]) -> int:
    """MiB that one instance holds, with a root disk that is filled from an image."""
    root = spec.get("root_disk") or {}
    imported = root["size"] if root.get("type") == "persistent" else 0
    return imported + sum(claim.size for claim in claims(spec))
