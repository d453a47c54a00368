"""From what one types to the thing that is meant: a name, an id, or the beginning of either.

What destroys takes no beginning of a name: `rm web` after web is gone must not find web2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cmpctl.client.errors import Invalid, NotFound

if TYPE_CHECKING:
    from cmpctl.client.client import Client
    from cmpctl.client.models import ClusterRead, InstanceRead

T = TypeVar("T", bound=Mapping[str, Any])
_ID = re.compile(r"[0-9a-f]{4,8}(-[0-9a-f-]*)?")
_LISTED = ("instance", "operation", "token")
_SEARCHABLE = re.compile(r"[-._@A-Za-z0-9]{1,63}")


def cluster(client: Client, key: str, *, exact: bool = False) -> ClusterRead:
    try:
        return client.clusters.get(key)
    except (NotFound, Invalid):
        found = begun(
            key,
            "cluster",
            None if exact else lambda: client.clusters.list(name=key, limit=500),
            lambda: client.clusters.list(limit=500),
        )
    return client.clusters.get(found["id"])


def instance(client: Client, key: str, *, exact: bool = False) -> InstanceRead:
    try:
        return client.instances.get(key)
    except (NotFound, Invalid):
        return begun(
            key,
            "instance",
            None if exact else lambda: client.instances.list(name=key, limit=500),
            lambda: client.instances.list(limit=500),
            name="instance_name",
        )


def target(client: Client, key: str, *, exact: bool = False) -> tuple[ClusterRead | None, InstanceRead | None]:
    """A cluster or an instance, whichever is meant."""
    for whole in (True, exact):
        for find in (cluster, instance):
            try:
                found: Any = find(client, key, exact=whole)
            except click.ClickException as error:
                if isinstance(error, Ambiguous):
                    raise
                continue
            return (found, None) if find is cluster else (None, found)
    raise Missing("cluster or instance", key)


def one_instance(client: Client, key: str) -> InstanceRead:
    """An instance; or a cluster's only one."""
    found, single = target(client, key)
    if single is not None:
        return single
    assert found is not None
    if len(found["instances"]) == 1:
        return found["instances"][0]
    names = [one["instance_name"] for one in found["instances"]]
    raise click.ClickException(f"{key} is a cluster of {len(names)} instances. Name one: {_some(names)}")


def begun(
    key: str,
    noun: str,
    by_name: Callable[[], Iterable[T]] | None,
    by_id: Callable[[], Iterable[T]],
    name: str = "name",
) -> T:
    """The only one whose name or id begins with `key`."""
    found: list[T] = []
    if by_name is not None and _SEARCHABLE.fullmatch(key):
        found = [row for row in by_name() if str(row[name]).startswith(key)]
    if not found and _ID.fullmatch(key):
        found = [row for row in by_id() if str(row["id"]).startswith(key)]
    if len(found) > 1:
        raise Ambiguous(f"{key} could be any of {_some([str(row[name]) for row in found])}. Type more of it.")
    if not found:
        raise Missing(noun, key)
    return found[0]


class Ambiguous(click.ClickException):
    exit_code = 5


class Missing(click.ClickException):
    exit_code = 5

    def __init__(self, noun: str, key: str) -> None:
        nouns = (
            "notifications" if noun in ("subscription", "delivery") else f"{noun}s" if noun in _LISTED else "clusters"
        )
        shown = "".join(letter if letter.isprintable() else "?" for letter in key)
        super().__init__(f"There is no {noun} {shown}, or it is not yours.\nNext: cmpctl {nouns} list")


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
