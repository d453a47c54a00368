"""How much there is of everything, for those who watch over the platform."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.database import Session, utc_now
from app.models import Cluster, Delivery, Instance, Operation, Subscription, User, Worker
from app.rules.quota import DIMENSIONS, Account, Amounts, account_of

Counts = dict[tuple[str, ...], int]
_AT_WORK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts by their words; `oldest` and `overdue_seconds` in seconds. `accounts` are those nearest to a limit.

    `blind`: workers that cannot read Kubernetes.
    """

    clusters: Counts
    instances: Counts
    operations: dict[str, int]
    oldest: dict[str, float]
    overdue: int
    overdue_seconds: float
    waiting: dict[str, tuple[int, float]]
    """Notifications by channel: how many, and how many seconds the longest due of them is late."""
    leases: int
    workers: int
    blind: int
    accounts: dict[str, Account]
    others: tuple[Amounts, Amounts]
    """What the other accounts use, and may."""


async def all_of(session: Session, accounts: int) -> Survey:
    by_phase = sa.select(Cluster.instance_type, Cluster.phase, sa.func.count()).group_by(
        Cluster.instance_type, Cluster.phase
    )
    by_status = (
        sa.select(Cluster.instance_type, Instance.status, sa.func.count())
        .join(Cluster, Cluster.id == Instance.cluster_id)
        .group_by(Cluster.instance_type, Instance.status)
    )
    open_ = sa.select(Operation.kind, sa.func.count(), sa.func.min(Operation.created_at)).where(
        Operation.finished_at.is_(None)
    )
    operations = (await session.execute(open_.group_by(Operation.kind))).all()
    now = datetime.now(UTC)
    at_work = Worker.seen_at >= now - _AT_WORK
    overdue, overdue_seconds = await _overdue(session)
    nearest = await _nearest(session, accounts)
    return Survey(
        clusters=await _counts(session, by_phase),
        instances=await _counts(session, by_status),
        operations={kind: count for kind, count, _ in operations},
        oldest={kind: max(0.0, (now - first).total_seconds()) for kind, _, first in operations},
        overdue=overdue,
        overdue_seconds=overdue_seconds,
        waiting=await _waiting(session),
        leases=await _count(session, Cluster.lease_until >= utc_now()),
        workers=await _count(session, at_work),
        blind=await _count(session, sa.and_(at_work, Worker.kubernetes_error.is_not(None))),
        accounts=nearest,
        others=await _others(session, nearest.values()),
    )


async def _counts(session: Session, statement: sa.Select[str, str, int]) -> Counts:
    return {(row[0], row[1]): row[2] for row in await session.execute(statement)}


async def _count(session: Session, condition: sa.ColumnElement[bool]) -> int:
    return int(await session.scalar(sa.select(sa.func.count()).where(condition)) or 0)


async def _overdue(session: Session) -> tuple[int, float]:
    free = sa.or_(Cluster.lease_until.is_(None), Cluster.lease_until < utc_now())
    statement = sa.select(sa.func.count(), sa.func.min(Cluster.due_at), utc_now().label("now")).where(
        free, Cluster.due_at < utc_now()
    )
    count, first, now = (await session.execute(statement)).one()
    return count, 0.0 if first is None else max(0.0, (now - first).total_seconds())


async def _waiting(session: Session) -> dict[str, tuple[int, float]]:
    columns = (Subscription.channel, sa.func.count(), sa.func.min(Delivery.due_at), utc_now().label("now"))
    statement = sa.select(*columns).join(Subscription, Subscription.id == Delivery.subscription_id)
    statement = statement.where(Delivery.due_at.is_not(None)).group_by(Subscription.channel)
    rows = (await session.execute(statement)).all()
    return {row[0]: (row[1], max(0.0, (row.now - row[2]).total_seconds())) for row in rows}


async def _nearest(session: Session, most: int) -> dict[str, Account]:
    limits, used = ([getattr(User, f"{kind}_{d}") for d in DIMENSIONS] for kind in ("quota", "used"))
    shares = [sa.case((limit > 0, n * 1.0 / limit), else_=0.0) for limit, n in zip(limits, used, strict=True)]
    greatest = sa.func.max if session.get_bind().dialect.name == "sqlite" else sa.func.greatest
    statement = sa.select(User.username, User.quota_strategy, *limits, *used)
    rows = await session.execute(statement.order_by(greatest(*shares).desc(), User.id).limit(most))
    return {row.username: account_of(dict(row._mapping)) for row in rows}


async def _others(session: Session, shown: Iterable[Account]) -> tuple[Amounts, Amounts]:
    kinds = ("used", "quota")
    sums = [sa.func.coalesce(sa.func.sum(getattr(User, f"{kind}_{d}")), 0) for kind in kinds for d in DIMENSIONS]
    row = [int(value) for value in (await session.execute(sa.select(*sums))).one()]
    used, quota = Amounts(*row[: len(DIMENSIONS)]), Amounts(*row[len(DIMENSIONS) :])
    for account in shown:
        used, quota = used + account.used * -1, quota + account.quota * -1
    return used, quota
