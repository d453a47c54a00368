"""The one row that says which installation this is."""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
import uuid_utils.compat as uuids

from app.database import Session
from app.models import Platform


async def ensure(session: Session) -> Platform:
    """The row; made on the first start of an installation."""
    row = await session.get(Platform, 1)
    if row is None:
        row = Platform(
            id=1, installation_id=uuids.uuid4(), cursor_secret=secrets.token_bytes(32), created_at=datetime.now(UTC)
        )
        session.add(row)
        await session.flush()
    return row


async def lock(session: Session) -> None:
    """Whoever holds it is the only one: first-start decisions are made under it."""
    await session.execute(sa.update(Platform).where(Platform.id == 1).values(created_at=Platform.created_at))
