"""Answers to POSTs that carried an Idempotency-Key."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Session, affected, violates
from app.models import IdempotencyKey


class Taken(Exception):
    """The key is there already: roll back, then `find` it."""


@dataclass(frozen=True, slots=True)
class Answer:
    fingerprint: str
    status_code: int
    body: bytes


async def find(session: Session, user_id: uuid.UUID, key: str) -> Answer | None:
    row = await session.get(IdempotencyKey, (user_id, key))
    return Answer(row.fingerprint, row.status_code, row.body) if row is not None else None


async def claim(session: Session, user_id: uuid.UUID, key: str, fingerprint: str) -> None:
    """First statement of the transaction: a second request with this key waits here for the first one's outcome."""
    try:
        await session.execute(
            sa.insert(IdempotencyKey).values(
                user_id=user_id, key=key, fingerprint=fingerprint, status_code=0, body=b"", created_at=datetime.now(UTC)
            )
        )
    except IntegrityError as error:
        if violates(error, "pk_idempotency_keys") or "PRIMARY" in str(error.orig):
            raise Taken from error
        raise


async def answer(session: Session, user_id: uuid.UUID, key: str, status_code: int, body: bytes) -> None:
    await session.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
        .values(status_code=status_code, body=body)
        .execution_options(synchronize_session=False)
    )


async def prune(session: Session, older_than: datetime) -> int:
    return await affected(session, sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < older_than))
