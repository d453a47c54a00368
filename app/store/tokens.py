"""Ways in: which are valid, the one condition that every look-up by token carries; and their rows."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from app.database import Session, affected
from app.models import ApiToken, CredentialKind, User
from app.store.paging import Page, PageRequest, page_of

MADE = (CredentialKind.BEARER, CredentialKind.CLIENT)
SIGN_INS = (CredentialKind.BROWSER, CredentialKind.OAUTH)

# Beside the user's, in the one read that authenticates.
COLUMNS = (
    ApiToken.id.label("token_id"),
    ApiToken.kind.label("token_kind"),
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


async def page_of_user(session: Session, user_id: uuid.UUID, page: PageRequest, kind: str | None) -> Page[ApiToken]:
    statement = sa.select(ApiToken).where(ApiToken.user_id == user_id)
    if kind is not None:
        statement = statement.where(ApiToken.kind == kind)
    return await page_of(session, statement, page, {"created_at": ApiToken.id}, ApiToken.id)


async def get_of_user(session: Session, user_id: uuid.UUID, id: uuid.UUID) -> ApiToken | None:
    statement = sa.select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.id == id)
    return (await session.execute(statement)).scalar_one_or_none()


async def count_of_user(session: Session, user_id: uuid.UUID) -> int:
    """Those that were made on purpose."""
    counted = sa.select(sa.func.count()).select_from(ApiToken).where(ApiToken.user_id == user_id)
    return int(await session.scalar(counted.where(ApiToken.kind.in_(MADE))) or 0)


async def all_get(session: Session, id: uuid.UUID) -> ApiToken | None:
    return await session.get(ApiToken, id)


async def remove_oldest_sign_ins(session: Session, user_id: uuid.UUID, *, beyond: int) -> None:
    """Whoever signs in again and again and never out loses the oldest."""
    signed_in = sa.select(ApiToken.id).where(ApiToken.user_id == user_id, ApiToken.kind.in_(SIGN_INS))
    oldest = (await session.execute(signed_in.order_by(ApiToken.id.desc()).offset(beyond))).scalars().all()
    await session.execute(sa.delete(ApiToken).where(ApiToken.id.in_(oldest)))


async def remove_sign_ins(session: Session, user_id: uuid.UUID, *, but: uuid.UUID | None = None) -> None:
    statement = sa.delete(ApiToken).where(ApiToken.user_id == user_id, ApiToken.kind.in_(SIGN_INS))
    await session.execute(statement if but is None else statement.where(ApiToken.id != but))


async def all_remove_ended_sign_ins(session: Session, before: datetime) -> None:
    """API tokens that have ended stay to be seen; sign-ins do not."""
    await session.execute(sa.delete(ApiToken).where(ApiToken.kind.in_(SIGN_INS), ApiToken.expires_at < before))


async def add(session: Session, token: ApiToken) -> None:
    session.add(token)
    await session.flush()


async def remove(session: Session, token: ApiToken) -> None:
    """Whoever else removes it at the same moment does so too."""
    await affected(session, sa.delete(ApiToken).where(ApiToken.id == token.id))


async def all_used(session: Session, used: Mapping[uuid.UUID, datetime], idle: timedelta, lifetime: timedelta) -> None:
    """A browser's session then lasts for another `idle`, but none for longer than `lifetime`.

    In the order of their ids, so that several processes that write the same ones wait and do not deadlock.
    """
    for id in sorted(used):
        later = sa.or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at < used[id])
        until = used[id] + idle
        lasts = sa.and_(ApiToken.kind == CredentialKind.BROWSER, ApiToken.created_at > until - lifetime)
        await session.execute(
            sa.update(ApiToken)
            .where(ApiToken.id == id, later)
            .values(
                last_used_at=used[id],
                expires_at=sa.case(
                    (lasts, sa.bindparam(None, until, ApiToken.expires_at.type)), else_=ApiToken.expires_at
                ),
            )
            .execution_options(synchronize_session=False)
        )
