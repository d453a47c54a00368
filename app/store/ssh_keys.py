"""SSH keys that users saved."""

import uuid

import sqlalchemy as sa

from app.database import Session
from app.models import SshKey
from app.rules.access import Viewer
from app.store.paging import Page, PageRequest, page_of


async def page_for(session: Session, viewer: Viewer, page: PageRequest) -> Page[SshKey]:
    sorts = {"created_at": SshKey.id, "name": SshKey.name}
    return await page_of(session, _mine(viewer), page, sorts, SshKey.id)


async def list_for(session: Session, viewer: Viewer) -> list[SshKey]:
    """Whole: nobody has many."""
    return list((await session.execute(_mine(viewer))).scalars())


async def get(session: Session, viewer: Viewer, key: uuid.UUID | str) -> SshKey | None:
    """By id or name."""
    named = SshKey.id == key if isinstance(key, uuid.UUID) else SshKey.name == key
    return (await session.execute(_mine(viewer).where(named))).scalar_one_or_none()


async def add(session: Session, row: SshKey) -> None:
    session.add(row)
    await session.flush()


async def remove(session: Session, id: uuid.UUID) -> None:
    await session.execute(sa.delete(SshKey).where(SshKey.id == id))


def _mine(viewer: Viewer) -> sa.Select[SshKey]:
    return sa.select(SshKey).where(SshKey.user_id == viewer.user_id)
