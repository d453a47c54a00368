"""The platform itself: the one row that says which installation this is, and what is held, late or does not fit.

The latter for administrators, in plain statements that lock nothing.
"""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
import uuid_utils.compat as uuids
from sqlalchemy.exc import IntegrityError

from app.database import Session, utc_now
from app.models import Cluster, Event, Instance, LedgerEntry, Platform, User
from app.rules.quota import DIMENSIONS

NAMED = 20
"""Of what does not fit, no more is named."""
_LATELY = 100_000


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


@dataclass(frozen=True, slots=True)
class Lease:
    """A cluster that a worker is at, and until when it is the worker's own if nothing is heard of that one."""

    cluster_id: uuid.UUID
    cluster_name: str
    owner: str
    until: datetime | None


async def all_leases(session: Session, limit: int) -> tuple[list[Lease], int]:
    """The first to run out of those that are held, and how many there are."""
    held = Cluster.lease_until >= utc_now()
    columns = sa.select(Cluster.id, Cluster.name, User.username, Cluster.lease_until)
    rows = columns.join(User, User.id == Cluster.owner_id).where(held).order_by(Cluster.lease_until).limit(limit)
    number = await session.scalar(sa.select(sa.func.count()).select_from(Cluster).where(held))
    return [Lease(*row) for row in await session.execute(rows)], number or 0


async def all_lost_leases(session: Session) -> list[str]:
    """Clusters whose lease ran out unreturned: the worker that held it is dead or cut off."""
    return await _names(session, sa.select(Cluster.name).where(Cluster.lease_until < utc_now()))


async def all_late(session: Session, seconds: float) -> list[str]:
    """Clusters that were to be looked at so long ago, and that no worker is at."""
    free = sa.or_(Cluster.lease_until.is_(None), Cluster.lease_until < utc_now())
    return await _names(session, sa.select(Cluster.name).where(Cluster.due_at < utc_now(-seconds), free))


async def all_off_their_ledger(session: Session) -> list[str]:
    """Users whose counters are not what the ledger adds up to."""
    sums = [sa.func.coalesce(sa.func.sum(getattr(LedgerEntry, d)), 0) for d in DIMENSIONS]
    used = [getattr(User, f"used_{d}") for d in DIMENSIONS]
    joined = sa.select(User.username).outerjoin(LedgerEntry, LedgerEntry.account_id == User.id)
    grouped = joined.group_by(User.id, User.username, *used)
    return await _names(session, grouped.having(sa.or_(*(u != s for u, s in zip(used, sums, strict=True)))))


async def all_uncharged(session: Session) -> list[str]:
    """Instances that no ledger entry charges for."""
    charged = sa.exists().where(LedgerEntry.resource_id == Instance.id)
    return await _names(session, sa.select(Instance.instance_name).where(~charged))


async def all_told(session: Session, kinds: Sequence[str], limit: int) -> list[Event]:
    """The newest of these kinds, among the last hundred thousand events."""
    # Kinds have no index, so that only what was told lately is looked through.
    recent = Event.id > sa.select(sa.func.max(Event.id) - _LATELY).scalar_subquery()
    statement = sa.select(Event).where(recent, Event.kind.in_(kinds)).order_by(Event.id.desc()).limit(limit)
    return list((await session.execute(statement)).scalars())


async def _names(session: Session, statement: sa.Select[str]) -> list[str]:
    return list((await session.execute(statement.limit(NAMED))).scalars())
