"""Refresh tokens, providers' subjects and devices that wait."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Session, affected, violates
from app.models import DeviceCode, ProviderIdentity, RefreshToken, User


class SubjectInUse(Exception):
    """Somebody is that subject already."""


async def add_refresh(session: Session, row: RefreshToken) -> None:
    session.add(row)
    await session.flush()


async def use_refresh(session: Session, token_hash: str, now: datetime) -> bool:
    """Of several that come with the same one, one is told True."""
    used = (
        sa.update(RefreshToken)
        .where(RefreshToken.token_hash == token_hash, RefreshToken.used_at.is_(None))
        .values(used_at=now)
    )
    return await affected(session, used) == 1


async def owner_of_refresh(session: Session, token_hash: str) -> uuid.UUID | None:
    """The sign-in that it belongs to, used or not."""
    found: uuid.UUID | None = await session.scalar(
        sa.select(RefreshToken.api_token_id).where(RefreshToken.token_hash == token_hash)
    )
    return found


async def user_of_subject(session: Session, issuer: str, subject: str) -> User | None:
    statement = (
        sa.select(User)
        .join(ProviderIdentity, ProviderIdentity.user_id == User.id)
        .where(ProviderIdentity.issuer == issuer, ProviderIdentity.subject == subject)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def add_identity(session: Session, identity: ProviderIdentity) -> None:
    session.add(identity)
    try:
        await session.flush()
    except IntegrityError as error:
        if violates(error, "uq_identities_issuer_subject"):
            raise SubjectInUse from error
        raise


async def identities_of(session: Session, user_id: uuid.UUID) -> list[ProviderIdentity]:
    statement = sa.select(ProviderIdentity).where(ProviderIdentity.user_id == user_id).order_by(ProviderIdentity.id)
    return list((await session.execute(statement)).scalars())


async def remove_identity(session: Session, user_id: uuid.UUID, id: uuid.UUID) -> bool:
    gone = sa.delete(ProviderIdentity).where(ProviderIdentity.user_id == user_id, ProviderIdentity.id == id)
    return await affected(session, gone) == 1


async def add_device(session: Session, device: DeviceCode) -> None:
    session.add(device)
    await session.flush()


async def device_by_code(session: Session, device_hash: str) -> DeviceCode | None:
    statement = sa.select(DeviceCode).where(DeviceCode.device_hash == device_hash).with_for_update()
    return (await session.execute(statement)).scalar_one_or_none()


async def device_by_user_code(session: Session, user_code_hash: str, now: datetime) -> DeviceCode | None:
    """One that still waits for an answer."""
    statement = sa.select(DeviceCode).where(
        DeviceCode.user_code_hash == user_code_hash, DeviceCode.allowed.is_(None), DeviceCode.expires_at > now
    )
    return (await session.execute(statement.with_for_update())).scalar_one_or_none()


async def remove_device(session: Session, device: DeviceCode) -> None:
    await session.delete(device)
    await session.flush()


async def all_remove_ended_devices(session: Session, before: datetime) -> None:
    await session.execute(sa.delete(DeviceCode).where(DeviceCode.expires_at < before))
