"""API tokens: which are valid, the one condition that every look-up by token carries; and their rows."""

import uuid
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from app.database import Session
from app.models import ApiToken, User
from app.store.paging import Page, PageRequest, page_of

# Beside the user's, in the one read that authenticates.
COLUMNS = (
    ApiToken.id.label("token_id"),
    ApiToken.scopes.label("token_scopes"),
    ApiToken.expires_at.label("token_expires_at"),
    ApiToken.last_used_at.label("token_last_used_at"),
)


def valid_token() -> sa.ColumnElement[bool]:
    """Joins a token, bound as `token_hash` and `now`, to a user who is not disabled."""
    return sa.and_(
        ApiToken.user_id == User.id,
        ApiToken.token_hash == sa.bindparam("token_hash", type_=ApiToken.token_hash.type),
        sa.or_(
            ApiToken.expires_at.is_(None), ApiToken.expires_at > sa.bindparam("now", type_=ApiToken.created_at.type)
        ),
        User.disabled_at.is_(None),
    )


async def page_of_user(session: Session, user_id: uuid.UUID, page: PageRequest) -> Page[ApiToken]:
    statement = sa.select(ApiToken).where(ApiToken.user_id == user_id)
    return await page_of(session, statement, page, {"created_at": ApiToken.id}, ApiToken.id)


async def get_of_user(session: Session, user_id: uuid.UUID, id: uuid.UUID) -> ApiToken | None:
    statement = sa.select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.id == id)
    return (await session.execute(statement)).scalar_one_or_none()


async def count_of_user(session: Session, user_id: uuid.UUID) -> int:
    counted = sa.select(sa.func.count()).select_from(ApiToken).where(ApiToken.user_id == user_id)
    return int(await session.scalar(counted) or 0)


async def add(session: Session, token: ApiToken) -> None:
    session.add(token)
    await session.flush()


async def remove(session: Session, token: ApiToken) -> None:
    await session.delete(token)
    await session.flush()


async def all_used(session: Session, used: Mapping[uuid.UUID, datetime]) -> None:
    """In the order of their ids, so that several processes that write the same ones wait and do not deadlock."""
    for id in sorted(used):
        later = sa.or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < used[id])
        await session.execute(
            sa.update(ApiToken)
            .where(ApiToken.id == id, later)
            .values(last_used_at=used[id])
            .execution_options(synchronize_session=False)
        )
