"""The one row that says which installation this is."""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
import uuid_utils.compat as uuids
from sqlalchemy.exc import IntegrityError

from app.database import Session
from app.models import Platform


async def ensure(session: Session) -> Platform:
    """The row; made on the first start of an installation, by one of the processes that start at the same time."""
    row = await session.get(Platform, 1)
    if row is not None:
        return row
    row = Platform(
        id=1, installation_id=uuids.uuid4(), cursor_secret=secrets.token_bytes(32), created_at=datetime.now(UTC)
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return (await session.execute(sa.select(Platform).where(Platform.id == 1))).scalar_one()
    return row


async def lock(session: Session) -> None:
    """Whoever holds it is the only one: first-start decisions are made under it."""
    await session.execute(sa.update(Platform).where(Platform.id == 1).values(created_at=Platform.created_at))
