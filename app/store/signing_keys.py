"""The keys that sign access tokens."""

from collections.abc import Sequence

import sqlalchemy as sa

from app.database import Session
from app.models import SigningKey


async def all_newest_first(session: Session) -> Sequence[SigningKey]:
    statement = sa.select(SigningKey).order_by(SigningKey.created_at.desc(), SigningKey.kid)
    return (await session.execute(statement)).scalars().all()


async def add(session: Session, key: SigningKey) -> None:
    session.add(key)
    await session.flush()


async def remove(session: Session, kids: Sequence[str]) -> None:
    await session.execute(sa.delete(SigningKey).where(SigningKey.kid.in_(kids)))
