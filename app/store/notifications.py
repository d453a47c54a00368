"""Subscriptions, what is to be delivered to them, and whose turn it is.

A worker takes a subscription by its lease; leases and pauses are by the database's clock.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import uuid_utils.compat as uuids

from app.database import Row, Session, affected, utc_now
from app.models import Delivery, DeliveryStatus, QuotaLevel, Subscription, Topic, User
from app.rules import notifications as rules
from app.rules.access import Viewer
from app.rules.quota import DIMENSIONS
from app.store.paging import Page, PageRequest, contains, page_of

_WAITING = Delivery.status == DeliveryStatus.WAITING


async def page_for(session: Session, viewer: Viewer, page: PageRequest) -> Page[Subscription]:
    mine = sa.select(Subscription).where(Subscription.account_id == viewer.account_id)
    return await page_of(session, mine, page, {"created_at": Subscription.id}, Subscription.id)


async def get(session: Session, viewer: Viewer, id: uuid.UUID, *, lock: bool = False) -> Subscription | None:
    statement = sa.select(Subscription).where(Subscription.account_id == viewer.account_id, Subscription.id == id)
    return (await session.execute(statement.with_for_update() if lock else statement)).scalar_one_or_none()


async def count_of(session: Session, account_id: uuid.UUID) -> int:
    counted = sa.select(sa.func.count()).where(Subscription.account_id == account_id)
    return int(await session.scalar(counted) or 0)


async def add(session: Session, row: Subscription | Delivery) -> None:
    session.add(row)
    await session.flush()


async def remove(session: Session, subscription_id: uuid.UUID) -> None:
    """Its deliveries go with it."""
    await session.execute(sa.delete(Subscription).where(Subscription.id == subscription_id))


async def deliveries_of(session: Session, subscription_id: uuid.UUID, page: PageRequest) -> Page[Delivery]:
    statement = sa.select(Delivery).where(Delivery.subscription_id == subscription_id)
    return await page_of(session, statement, page, {"created_at": Delivery.id}, Delivery.id)


async def delivery_of(session: Session, subscription_id: uuid.UUID, id: uuid.UUID) -> Delivery | None:
    statement = sa.select(Delivery).where(Delivery.subscription_id == subscription_id, Delivery.id == id)
    return (await session.execute(statement.with_for_update())).scalar_one_or_none()


async def waiting_of(session: Session, subscription_id: uuid.UUID, topic: str) -> Delivery | None:
    statement = sa.select(Delivery).where(
        Delivery.subscription_id == subscription_id, Delivery.topic == topic, _WAITING
    )
    return (await session.execute(statement.limit(1))).scalar_one_or_none()


def delivery(subscription_id: uuid.UUID, topic: str, content: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """One row, as columns by name: to be tried at once."""
    return {
        "id": uuids.uuid7(),
        "subscription_id": subscription_id,
        "topic": topic,
        "content": dict(content),
        "status": DeliveryStatus.WAITING,
        "attempts": 0,
        "since": now,
        "due_at": now,
        "created_at": now,
    }


async def tell(session: Session, events: Sequence[Mapping[str, Any]]) -> None:
    """Of events that are being written, those that somebody wants to be told of: in the same transaction.

    What happened together is one message. The lock keeps a subscription from being deleted meanwhile.
    """
    found: dict[tuple[uuid.UUID, Topic], list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        topic = rules.topic_of(event)
        if topic is not None and event.get("owner_id") is not None:
            found[event["owner_id"], topic].append(event)
    if not found:
        return
    owners = sorted({owner for owner, _ in found})
    rows = []
    for row in (await session.execute(_told(owners))).all():
        rows += [
            delivery(row.id, topic, rules.content(told), told[0]["created_at"])
            for (owner, topic), told in found.items()
            if owner == row.account_id and topic in row.topics.split()
        ]
    if rows:
        await session.execute(sa.insert(Delivery), rows)


async def claim(session: Session, token: uuid.UUID, *, limit: int, lease_seconds: float) -> list[uuid.UUID]:
    """Subscriptions with something due, the longest free first; stepped over what another worker is claiming."""
    due = sa.select(Delivery.subscription_id).where(Delivery.due_at <= utc_now())
    statement = (
        sa.select(Subscription.id)
        .where(Subscription.free_at <= utc_now(), Subscription.id.in_(due))
        .order_by(Subscription.free_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list((await session.execute(statement)).scalars())
    if ids:
        taken = sa.update(Subscription).where(Subscription.id.in_(ids))
        await affected(session, taken.values(lease_token=token, free_at=utc_now(lease_seconds)))
    return ids


async def next_of(
    session: Session, subscription_id: uuid.UUID, token: uuid.UUID, *, lease_seconds: float
) -> tuple[Subscription, Delivery] | None:
    """What is sent next, with the lease renewed; None when nothing is due, or the lease is lost."""
    renewed = _mine(subscription_id, token).values(free_at=utc_now(lease_seconds))
    if await affected(session, renewed) != 1:
        return None
    due = sa.select(Delivery).where(Delivery.subscription_id == subscription_id, Delivery.due_at <= utc_now())
    found = (await session.execute(due.order_by(Delivery.due_at, Delivery.id).limit(1))).scalar_one_or_none()
    subscription = await session.get(Subscription, subscription_id)
    return None if found is None or subscription is None else (subscription, found)


async def tried(
    session: Session, delivery_id: uuid.UUID, attempts: int, *, said: str, pause_seconds: float | None
) -> bool:
    """One more try. `pause_seconds`: none when it was delivered. False where another one wrote that already."""
    delivered = pause_seconds is None
    values = {
        "attempts": attempts + 1,
        "said": said,
        "tried_at": utc_now(),
        "status": DeliveryStatus.DELIVERED if delivered else DeliveryStatus.WAITING,
        "due_at": None if pause_seconds is None else utc_now(pause_seconds),
    }
    statement = sa.update(Delivery).where(Delivery.id == delivery_id, Delivery.attempts == attempts, _WAITING)
    return await affected(session, statement.values(values)) == 1


async def give_up(session: Session, subscription_id: uuid.UUID) -> int:
    """All that has waited for as long as anything is tried. Answers how many."""
    old = sa.and_(Delivery.subscription_id == subscription_id, _WAITING)
    old = sa.and_(old, Delivery.since < utc_now(-rules.GIVE_UP.total_seconds()))
    return await affected(session, sa.update(Delivery).where(old).values(status=DeliveryStatus.GAVE_UP, due_at=None))


async def end_waiting(session: Session, subscription_id: uuid.UUID, topic: str) -> None:
    """It came to where it was to go, by whatever try."""
    waiting = sa.and_(Delivery.subscription_id == subscription_id, Delivery.topic == topic, _WAITING)
    await affected(session, sa.update(Delivery).where(waiting).values(status=DeliveryStatus.DELIVERED, due_at=None))


async def release(
    session: Session, subscription_id: uuid.UUID, token: uuid.UUID, *, failures: int, rest_seconds: float = 0
) -> None:
    """Give it back, unless the lease is lost."""
    values = {"lease_token": None, "failures": failures, "free_at": utc_now(rest_seconds)}
    await affected(session, _mine(subscription_id, token).values(values))


async def send_again(session: Session, delivery_id: uuid.UUID) -> None:
    """From the beginning, under the id that it had."""
    values = {"status": DeliveryStatus.WAITING, "attempts": 0, "since": utc_now(), "due_at": utc_now()}
    await affected(session, sa.update(Delivery).where(Delivery.id == delivery_id).values(values))


async def wake(session: Session, subscription_id: uuid.UUID) -> None:
    """It rests no longer; whoever has it keeps it."""
    resting = sa.and_(Subscription.id == subscription_id, Subscription.lease_token.is_(None))
    await affected(session, sa.update(Subscription).where(resting).values(free_at=utc_now()))


async def all_forget(session: Session) -> None:
    """Drop every lease: only for a database that belongs to this one process, at its start."""
    held = sa.update(Subscription).where(Subscription.lease_token.is_not(None))
    await affected(session, held.values(lease_token=None, free_at=utc_now()))


async def all_prune(session: Session, older_than: datetime, unconfirmed_since: datetime) -> None:
    ended = sa.and_(Delivery.since < older_than, sa.not_(_WAITING))
    await session.execute(sa.delete(Delivery).where(ended))
    unconfirmed = sa.and_(Subscription.confirmed_at.is_(None), Subscription.created_at < unconfirmed_since)
    await session.execute(sa.delete(Subscription).where(unconfirmed))


async def all_watched(session: Session, account_id: uuid.UUID | None = None) -> list[Row]:
    """The accounts that want to be told of their quota: its columns, and the `levels` they were told of."""
    wanted = sa.select(Subscription.account_id).where(
        contains(Subscription.topics, Topic.QUOTA_THRESHOLD), Subscription.confirmed_at.is_not(None)
    )
    amounts = [getattr(User, f"{kind}_{dimension}") for kind in ("quota", "used") for dimension in DIMENSIONS]
    statement = (
        sa.select(User.id, User.quota_strategy, *amounts, QuotaLevel.levels)
        .outerjoin(QuotaLevel, QuotaLevel.account_id == User.id)
        .where(User.id.in_(wanted))
    )
    if account_id is not None:
        statement = statement.where(User.id == account_id)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


async def write_levels(session: Session, account_id: uuid.UUID, levels: Mapping[str, int]) -> None:
    """Under the account's lock."""
    await session.execute(sa.delete(QuotaLevel).where(QuotaLevel.account_id == account_id))
    await session.execute(sa.insert(QuotaLevel), [{"account_id": account_id, "levels": dict(levels)}])


def _told(owners: Sequence[uuid.UUID]) -> sa.Select[uuid.UUID, uuid.UUID, str]:
    wanted = sa.and_(Subscription.account_id.in_(owners), Subscription.confirmed_at.is_not(None))
    enabled = sa.select(User.id).where(User.id.in_(owners), User.disabled_at.is_(None))
    columns = (Subscription.id, Subscription.account_id, Subscription.topics)
    statement = sa.select(*columns).where(wanted, Subscription.account_id.in_(enabled)).order_by(Subscription.id)
    return statement.with_for_update(read=True, key_share=True)


def _mine(subscription_id: uuid.UUID, token: uuid.UUID) -> sa.Update:
    return sa.update(Subscription).where(Subscription.id == subscription_id, Subscription.lease_token == token)
