"""The catalogue: what administrators offer, and what a wish makes of it.

A name is looked up once, when something is made or changed; what was made holds the size and the reference themselves.
Looking up happens in a snapshot that each process keeps for some seconds (docs/adr/0030).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import uuid_utils.compat as uuids

from app import auth
from app.database import Database, Session
from app.errors import Forbidden, NameTaken, NotFound, Unsupported
from app.models import Flavour, Image, InstanceType, Platform
from app.rules import images
from app.rules.access import Permission, Viewer
from app.store import catalogue, events

Entry = TypeVar("Entry", bound=Flavour | Image)

_OLDEST_SECONDS = 5.0
_NAMED = 50


@dataclass(frozen=True, slots=True)
class Offers:
    """All that can be chosen, and the policy for what is not of the catalogue."""

    flavours: Mapping[str, Flavour]
    images: Mapping[str, Image]
    custom_sizes: bool
    allowed_images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """`cpu` in millicores, `memory` in MiB; `settings`: what the flavour says beside, for those of its type."""

    cpu: int
    memory: int
    flavour: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """`name` is the catalogue's, where it is of the catalogue."""

    reference: str
    name: str | None = None
    warnings: tuple[str, ...] = ()


class Catalogue:
    """The offers as this process knows them: some seconds old at most, and never older than its own last change."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._offers: Offers | None = None
        self._read_at = 0.0
        self._changes = 0
        self._reading = asyncio.Lock()

    async def offers(self) -> Offers:
        """Call it while no transaction is open: it may read."""
        known = self._fresh()
        if known is not None:
            return known
        async with self._reading:
            return self._fresh() or await self._read()

    def changed(self) -> None:
        self._offers = None
        self._changes += 1

    def _fresh(self) -> Offers | None:
        return self._offers if self._clock() - self._read_at < _OLDEST_SECONDS else None

    async def _read(self) -> Offers:
        started, changes = self._clock(), self._changes
        async with self._database.reading() as session:
            policy = await catalogue.policy(session)
            offers = Offers(
                {entry.name: entry for entry in await catalogue.all_entries(session, Flavour)},
                {entry.name: entry for entry in await catalogue.all_entries(session, Image)},
                policy.custom_sizes,
                tuple(policy.allowed_images),
            )
        if changes == self._changes:
            self._offers, self._read_at = offers, started
        return offers


def size(
    offers: Offers, instance_type: InstanceType, *, flavour: str | None, cpu: int | None, memory: int | None
) -> Size:
    """By name, or as given, or the default one. Raises NotFound, Forbidden, Unsupported."""
    if flavour is not None:
        found = offers.flavours.get(flavour)
        if found is None or not _fits(found, instance_type):
            raise NotFound(
                "There is no flavour of that name for this type of instance. List the flavours to see those there are.",
                details={"flavours": _names(offers.flavours, instance_type)},
            )
        return _size(found)
    if cpu is not None and memory is not None:
        if not offers.custom_sizes:
            raise Forbidden(
                "Here a size is chosen by name: give a flavour instead of CPU and memory. List the flavours to see "
                "those there are.",
                details={"flavours": _names(offers.flavours, instance_type)},
            )
        return Size(cpu, memory)
    default = _default(offers.flavours, instance_type)
    if default is None:
        raise Unsupported(
            "There is no default size for this type of instance here. Say which: a flavour, or CPU and memory.",
            details={"flavours": _names(offers.flavours, instance_type)},
        )
    return _size(default)


def sized(size: Size, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an instance's type with what its flavour says.

    An instancetype is a size, which only a flavour gives: the quota counts what the flavour says.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    return {**settings, **size.settings, **given}


def image(offers: Offers, instance_type: InstanceType, asked: str | None, *, otherwise: str) -> ChosenImage:
    """A name of the catalogue goes before a reference; `otherwise`: where neither is asked for nor a default is there.

    A name that the catalogue has for another type, or no longer offers, is never read as a reference: it would run
    what somebody else published under that name. Raises NotFound, Forbidden.
    """
    if asked is None:
        default = _default(offers.images, instance_type)
        return _chosen(default) if default is not None else ChosenImage(otherwise)
    found = offers.images.get(asked)
    if found is None:
        require_allowed(offers, instance_type, [asked])
        return ChosenImage(asked)
    if not _fits(found, instance_type):
        raise NotFound(
            "The catalogue's image of that name is not for this type of instance, or no longer offered. List the "
            "images to see those there are; an image of that name elsewhere is meant by its reference with a tag.",
            details={"images": _names(offers.images, instance_type)},
        )
    return _chosen(found)


def require_allowed(offers: Offers, instance_type: InstanceType, references: Iterable[str]) -> None:
    """Raises Forbidden where one of them is neither the catalogue's nor allowed beside it."""
    for reference in references:
        if images.allowed(reference, offers.allowed_images) or _offered(offers, instance_type, reference):
            continue
        raise Forbidden(
            "This image is not allowed here. Choose one of the catalogue, or one that the policy allows: list the "
            "images and read the policy to see which those are.",
            details={
                "images": _names(offers.images, instance_type),
                "allowed_images": list(offers.allowed_images[:_NAMED]),
            },
        )


async def load(session: Session, viewer: Viewer, table: type[Entry], name: str) -> Entry:
    """Raises NotFound."""
    auth.require(viewer, Permission.CATALOGUE_READ)
    found = await catalogue.get(session, viewer, table, name)
    if found is None:
        noun = table.__name__.lower()
        raise NotFound(f"There is no such {noun}. List the {noun}s to see those there are.")
    return found


async def hold(session: Session, viewer: Viewer) -> Platform:
    """The policy, locked: first statement of every change of the catalogue. Raises Forbidden."""
    auth.require(viewer, Permission.CATALOGUE_WRITE)
    return await catalogue.policy(session, lock=True)


async def create(
    session: Session, viewer: Viewer, table: type[Entry], values: Mapping[str, Any], request_id: str
) -> Entry:
    """`values` by column. Raises NameTaken."""
    await hold(session, viewer)
    now = datetime.now(UTC)
    entry = table(id=uuids.uuid7(), **values, created_at=now, updated_at=now)
    try:
        await catalogue.add(session, entry)
    except catalogue.NameInUse as error:
        raise NameTaken(f"There is {_a(entry)} of that name. Change that one or take another name.") from error
    if entry.default:
        await catalogue.take_default(session, entry)
    await _note(session, viewer, f"{_noun(entry)}_created", entry.name, request_id)
    return entry


async def change(
    session: Session, viewer: Viewer, entry: Flavour | Image, changes: Mapping[str, Any], request_id: str
) -> None:
    """`entry` was loaded after `hold`. Whoever becomes the default takes that from the one that was."""
    for name, value in changes.items():
        setattr(entry, name, value)
    entry.updated_at = datetime.now(UTC)
    await session.flush()
    if entry.default:
        await catalogue.take_default(session, entry)
    await _note(session, viewer, f"{_noun(entry)}_changed", entry.name, request_id)


async def delete(session: Session, viewer: Viewer, entry: Flavour | Image, request_id: str) -> None:
    """`entry` was loaded after `hold`. What was made from it keeps its size or reference, and the name."""
    await catalogue.delete(session, entry)
    await _note(session, viewer, f"{_noun(entry)}_deleted", entry.name, request_id)


async def policy(session: Session, viewer: Viewer) -> Platform:
    auth.require(viewer, Permission.CATALOGUE_READ)
    return await catalogue.policy(session)


async def change_policy(
    session: Session, viewer: Viewer, held: Platform, changes: Mapping[str, Any], request_id: str
) -> None:
    """For what is made or changed from now on; what runs goes on."""
    for name, value in changes.items():
        setattr(held, name, value)
    await session.flush()
    await _note(session, viewer, "policy_changed", ", ".join(sorted(changes)), request_id)


def _fits(entry: Flavour | Image, instance_type: InstanceType) -> bool:
    return entry.enabled and entry.instance_type in (None, instance_type)


def _offered(offers: Offers, instance_type: InstanceType, reference: str) -> bool:
    """Whether an image of the catalogue refers to just that."""
    asked = images.parse(reference)
    return any(images.parse(e.reference) == asked for e in offers.images.values() if _fits(e, instance_type))


def _names(entries: Mapping[str, Flavour] | Mapping[str, Image], instance_type: InstanceType) -> list[str]:
    """Not the deprecated ones: these are to choose from."""
    return [name for name, entry in entries.items() if _fits(entry, instance_type) and not entry.deprecated][:_NAMED]


def _default(entries: Mapping[str, Entry], instance_type: InstanceType) -> Entry | None:
    """That of the type itself goes before that of every type."""
    found = [entry for entry in entries.values() if entry.default and _fits(entry, instance_type)]
    return min(found, key=lambda entry: entry.instance_type is None, default=None)


def _size(flavour: Flavour) -> Size:
    named = {name: getattr(flavour, name) for name in ("instancetype", "preference", "runtime_class")}
    settings = {name: value for name, value in named.items() if value is not None}
    return Size(flavour.cpu, flavour.memory, flavour.name, settings, _warnings(flavour))


def _chosen(found: Image) -> ChosenImage:
    return ChosenImage(found.reference, found.name, _warnings(found))


def _warnings(entry: Flavour | Image) -> tuple[str, ...]:
    if entry.deprecated is None:
        return ()
    return (f"The {_noun(entry)} {entry.name} is deprecated: {entry.deprecated}",)


def _a(entry: Flavour | Image) -> str:
    return "an image" if isinstance(entry, Image) else "a flavour"


def _noun(entry: Flavour | Image) -> str:
    return type(entry).__name__.lower()


async def _note(session: Session, viewer: Viewer, what: str, message: str, request_id: str) -> None:
    await events.add(session, kind=f"catalogue.{what}", actor=viewer.username, message=message, request_id=request_id)
