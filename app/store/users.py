"""Users and their tokens."""

import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Database, Row, Session, violates
from app.models import ApiToken, Cluster, IdempotencyKey, User
from app.rules.quota import DIMENSIONS
from app.store.paging import Page, PageRequest, contains, page_of
from app.store.tokens import COLUMNS, valid_token


@lru_cache
def _by_token() -> sa.Select[Any]:
    return sa.select(*User.__table__.columns, *COLUMNS).where(valid_token())


async def by_token(database: Database, token_hash: str) -> Row | None:
    """The user's columns and the token's, or None: unknown, expired and disabled look alike."""
    rows = await database.fetch(_by_token(), {"token_hash": token_hash, "now": datetime.now(UTC)})
    return rows[0] if rows else None


async def all_page(
    session: Session, page: PageRequest, *, name: str | None, role: str | None, near_limit: bool = False
) -> Page[User]:
    statement = sa.select(User)
    if name is not None:
        statement = statement.where(contains(User.username, name))
    if role is not None:
        statement = statement.where(User.role == role)
    if near_limit:
        statement = statement.where(sa.or_(*(_near(d) for d in DIMENSIONS)))
    return await page_of(session, statement, page, {"created_at": User.id, "username": User.username}, User.id)


def _near(dimension: str) -> sa.ColumnElement[bool]:
    used, quota = getattr(User, f"used_{dimension}"), getattr(User, f"quota_{dimension}")
    return sa.and_(used > 0, used * 5 >= quota * 4)


async def all_get(session: Session, key: uuid.UUID | str, *, lock: bool = False) -> User | None:
    """By id or by username."""
    statement = sa.select(User).where(User.id == key if isinstance(key, uuid.UUID) else User.username == key)
    return (await session.execute(statement.with_for_update() if lock else statement)).scalar_one_or_none()


class UsernameInUse(Exception):
    """There is a user of that name."""


async def add(session: Session, user: User) -> None:
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_users_username"):
            raise UsernameInUse from error
        raise


async def token_exists(session: Session, token_hash: str) -> bool:
    return (await session.execute(sa.select(ApiToken.id).where(ApiToken.token_hash == token_hash))).first() is not None


async def any_exists(session: Session) -> bool:
    return (await session.execute(sa.select(User.id).limit(1))).first() is not None


async def other_admins(session: Session, user_id: uuid.UUID) -> int:
    """How many enabled administrators there are besides this user."""
    statement = (
        sa.select(User.id).where(User.role == "admin", User.disabled_at.is_(None), User.id != user_id).with_for_update()
    )
    return len((await session.execute(statement)).all())


async def has_clusters(session: Session, user_id: uuid.UUID) -> bool:
    return (
        await session.execute(sa.select(Cluster.id).where(Cluster.owner_id == user_id).limit(1))
    ).first() is not None


async def delete(session: Session, user_id: uuid.UUID) -> None:
    await session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.user_id == user_id))
    await session.execute(sa.delete(User).where(User.id == user_id))


async def replace_tokens(session: Session, token: ApiToken) -> None:
    """This one instead of all that its user had; sign-ins end too."""
    await session.execute(sa.delete(ApiToken).where(ApiToken.user_id == token.user_id))
    session.add(token)
