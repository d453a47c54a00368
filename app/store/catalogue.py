"""The catalogue: flavours and images, and the policy beside them."""

from collections.abc import Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Session, violates
from app.models import Flavour, Image, Platform
from app.rules.access import Permission, Viewer
from app.store.paging import Page, PageRequest, page_of

Entry = TypeVar("Entry", bound=Flavour | Image)


class NameInUse(Exception):
    """There is an entry of that name."""


async def all_entries(session: Session, table: type[Entry]) -> Sequence[Entry]:
    return (await session.execute(sa.select(table).order_by(table.name))).scalars().all()


async def page_for(
    session: Session,
    viewer: Viewer,
    table: type[Entry],
    page: PageRequest,
    *,
    instance_type: str | None,
    deprecated: bool | None,
) -> Page[Entry]:
    """What is not enabled is shown to those who may change it."""
    statement = _visible(viewer, table)
    if instance_type is not None:
        statement = statement.where(sa.or_(table.instance_type == instance_type, table.instance_type.is_(None)))
    if deprecated is not None:
        statement = statement.where(table.deprecated.is_not(None) if deprecated else table.deprecated.is_(None))
    return await page_of(session, statement, page, {"created_at": table.id, "name": table.name}, table.id)


async def get(session: Session, viewer: Viewer, table: type[Entry], name: str) -> Entry | None:
    return (await session.execute(_visible(viewer, table).where(table.name == name))).scalar_one_or_none()


async def add(session: Session, entry: Flavour | Image) -> None:
    session.add(entry)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, f"uq_{entry.__tablename__}_name"):
            raise NameInUse from error
        raise


async def take_default(session: Session, entry: Flavour | Image) -> None:
    """From whichever entry of the same type had it. The caller holds the policy's lock."""
    table = type(entry)
    same_type = (
        table.instance_type.is_(None) if entry.instance_type is None else table.instance_type == entry.instance_type
    )
    await session.execute(
        sa.update(table)
        .where(same_type, table.id != entry.id, table.default)
        .values(default=False)
        .execution_options(synchronize_session=False)
    )


async def delete(session: Session, entry: Flavour | Image) -> None:
    await session.execute(sa.delete(type(entry)).where(type(entry).id == entry.id))


async def policy(session: Session, *, lock: bool = False) -> Platform:
    """Whoever holds its lock is the only one who changes the catalogue."""
    statement = sa.select(Platform).where(Platform.id == 1)
    return (await session.execute(statement.with_for_update() if lock else statement)).scalar_one()


def _visible(viewer: Viewer, table: type[Entry]) -> sa.Select[Entry]:
    statement = sa.select(table)
    return statement if viewer.may(Permission.CATALOGUE_WRITE) else statement.where(table.enabled)
