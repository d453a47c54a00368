"""The quota ledger and the counters that must always equal it.

Lock order, everywhere: the account's row in `users` first, then anything else. On MariaDB the other order deadlocks,
because a child row takes a shared lock on its parent.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.database import Session, affected
from app.models import LedgerEntry, User
from app.rules.quota import DIMENSIONS, Account, Amounts, account_of

_ACCOUNT_COLUMNS = (
    User.quota_strategy,
    *(getattr(User, f"{kind}_{d}") for kind in ("quota", "used") for d in DIMENSIONS),
)


async def claim(session: Session, account_id: uuid.UUID, amounts: Amounts) -> bool:
    """One conditional UPDATE: true when it fitted and is now charged, false when nothing changed.

    Only dimensions that are asked for are checked: a limit below usage blocks what would use more of it, nothing else.
    """
    asked = {d: n for d, n in amounts.as_dict().items() if n}
    statement = claiming(account_id, asked).execution_options(synchronize_session=False)
    return await affected(session, statement) == 1


def claiming(account_id: Any, asked: Mapping[str, Any]) -> sa.Update:
    """The UPDATE of `claim`, for amounts by dimension; all of them may be bind parameters."""
    fits = [_used(d) + n <= getattr(User, f"quota_{d}") for d, n in asked.items()]
    return (
        sa.update(User)
        .where(User.id == account_id, User.disabled_at.is_(None), *fits)
        .values({f"used_{d}": _used(d) + n for d, n in asked.items()} | {"version": User.version + 1})
    )


async def enter(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """What is charged for each resource: columns of LedgerEntry. After `claim`, in the same transaction."""
    if rows:
        await session.execute(sa.insert(LedgerEntry), rows)


async def lock_account(session: Session, account_id: uuid.UUID) -> Account | None:
    row = (await session.execute(sa.select(*_ACCOUNT_COLUMNS).where(User.id == account_id).with_for_update())).first()
    return account_of(dict(row._mapping)) if row is not None else None


async def lock_accounts(session: Session, account_ids: Iterable[uuid.UUID]) -> None:
    for ids in _chunks(sorted(account_ids)):
        await session.execute(sa.select(User.id).where(User.id.in_(ids)).order_by(User.id).with_for_update())


async def release(session: Session, account_id: uuid.UUID, resource_ids: Iterable[uuid.UUID]) -> Amounts:
    """Delete these entries and lower the counters by exactly what they held. Again: nothing more happens."""
    await lock_account(session, account_id)
    freed = Amounts()
    for ids in _chunks(list(resource_ids)):
        mine = sa.and_(LedgerEntry.account_id == account_id, LedgerEntry.resource_id.in_(ids))
        freed += await _sum(session, mine)
        await session.execute(sa.delete(LedgerEntry).where(mine).execution_options(synchronize_session=False))
    await _lower(session, account_id, freed)
    return freed


async def free_compute(session: Session, account_id: uuid.UUID, resource_ids: Iterable[uuid.UUID]) -> Amounts:
    """CPU and memory of these entries go back to the account; the entries stay. Again: nothing more happens."""
    await lock_account(session, account_id)
    freed = Amounts()
    for ids in _chunks(list(resource_ids)):
        mine = sa.and_(LedgerEntry.account_id == account_id, LedgerEntry.resource_id.in_(ids))
        held = await _sum(session, mine)
        freed += Amounts(cpu=held.cpu, memory=held.memory)
        await session.execute(
            sa.update(LedgerEntry).where(mine).values(cpu=0, memory=0).execution_options(synchronize_session=False)
        )
    await _lower(session, account_id, freed)
    return freed


async def all_held_by(session: Session, cluster_id: uuid.UUID) -> Amounts:
    """What a cluster and all of its instances are charged for."""
    return await _sum(session, LedgerEntry.cluster_id == cluster_id)


async def move(session: Session, cluster_id: uuid.UUID, from_id: uuid.UUID, to_id: uuid.UUID, held: Amounts) -> None:
    """The entries of a cluster, for which `held` was claimed from the receiver, in the same transaction."""
    theirs = sa.and_(LedgerEntry.cluster_id == cluster_id, LedgerEntry.account_id == from_id)
    moved = sa.update(LedgerEntry).where(theirs).values(account_id=to_id)
    await session.execute(moved.execution_options(synchronize_session=False))
    await _lower(session, from_id, held)


async def compute_of(session: Session, resource_id: uuid.UUID) -> Amounts:
    """CPU and memory that one resource is charged for at present."""
    held = await _sum(session, LedgerEntry.resource_id == resource_id)
    return Amounts(cpu=held.cpu, memory=held.memory)


async def charge_compute(session: Session, resource_id: uuid.UUID, amounts: Amounts) -> None:
    """Write on the entry what `claim` has just charged for it."""
    await session.execute(
        sa.update(LedgerEntry)
        .where(LedgerEntry.resource_id == resource_id)
        .values(cpu=amounts.cpu, memory=amounts.memory)
        .execution_options(synchronize_session=False)
    )


async def missing_compute(
    session: Session, account_id: uuid.UUID, resource_ids: Iterable[uuid.UUID], wanted: Amounts
) -> Amounts:
    """How much more is to be claimed before each of these that is charged for compute at all is for so much."""
    more = Amounts()
    for ids in _chunks(list(resource_ids)):
        columns = [sa.func.coalesce(sa.func.sum(n - _least(column, n)), 0) for column, n in _compute(wanted)]
        row = (await session.execute(sa.select(*columns).where(_charged(account_id, ids)))).one()
        more += Amounts(cpu=int(row[0]), memory=int(row[1]))
    return more


async def raise_compute(
    session: Session, account_id: uuid.UUID, resource_ids: Iterable[uuid.UUID], wanted: Amounts
) -> None:
    """Write on the entries what `claim` has just charged for them, by `missing_compute`."""
    values = {column.key: sa.case((column > n, column), else_=n) for column, n in _compute(wanted)}
    for ids in _chunks(list(resource_ids)):
        await session.execute(
            sa.update(LedgerEntry)
            .where(_charged(account_id, ids))
            .values(values)
            .execution_options(synchronize_session=False)
        )


async def lower_compute(
    session: Session, account_id: uuid.UUID, resource_ids: Iterable[uuid.UUID], wanted: Amounts
) -> Amounts:
    """What these are charged for beyond `wanted` goes back. Again: nothing more happens."""
    await lock_account(session, account_id)
    freed = Amounts()
    for ids in _chunks(list(resource_ids)):
        mine = _charged(account_id, ids)
        held = await _sum(session, mine)
        values = {column.key: _least(column, n) for column, n in _compute(wanted)}
        await session.execute(
            sa.update(LedgerEntry).where(mine).values(values).execution_options(synchronize_session=False)
        )
        left = await _sum(session, mine)
        freed += Amounts(cpu=held.cpu - left.cpu, memory=held.memory - left.memory)
    await _lower(session, account_id, freed)
    return freed


async def recount(session: Session, account_id: uuid.UUID) -> Amounts | None:
    """Set the counters to the ledger's sums, under the account's lock. Answers the drift, counter minus ledger, if any.

    A drift may be negative in a dimension, so the answer's fields may be too.
    """
    locked = await lock_account(session, account_id)
    if locked is None:
        return None
    true = await _sum(session, LedgerEntry.account_id == account_id)
    if true == locked.used:
        return None
    await session.execute(
        sa.update(User)
        .where(User.id == account_id)
        .values({f"used_{d}": n for d, n in true.as_dict().items()} | {"version": User.version + 1})
        .execution_options(synchronize_session=False)
    )
    return locked.used + true * -1


async def all_account_ids(session: Session) -> list[uuid.UUID]:
    return list((await session.execute(sa.select(User.id).order_by(User.id))).scalars())


async def all_in_cluster(session: Session, cluster_id: uuid.UUID) -> list[uuid.UUID]:
    """Ids of the resources that a cluster still charges for, its own among them."""
    found = await session.execute(sa.select(LedgerEntry.resource_id).where(LedgerEntry.cluster_id == cluster_id))
    return list(found.scalars())


def _charged(account_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> sa.ColumnElement[bool]:
    """Those of these entries that are charged for compute: what is stopped may not be."""
    return sa.and_(LedgerEntry.account_id == account_id, LedgerEntry.resource_id.in_(ids), LedgerEntry.cpu > 0)


def _compute(amounts: Amounts) -> tuple[tuple[Any, int], ...]:
    return ((LedgerEntry.cpu, amounts.cpu), (LedgerEntry.memory, amounts.memory))


def _least(column: Any, n: int) -> sa.ColumnElement[int]:
    return sa.case((column < n, column), else_=n)


def _used(dimension: str) -> Any:
    return getattr(User, f"used_{dimension}")


async def _sum(session: Session, condition: sa.ColumnElement[bool]) -> Amounts:
    columns = [sa.func.coalesce(sa.func.sum(getattr(LedgerEntry, d)), 0) for d in DIMENSIONS]
    row = (await session.execute(sa.select(*columns).where(condition))).one()
    return Amounts(*(int(value) for value in row))


async def _lower(session: Session, account_id: uuid.UUID, freed: Amounts) -> None:
    if not freed:
        return
    await session.execute(
        sa.update(User)
        .where(User.id == account_id)
        .values({f"used_{d}": _used(d) - n for d, n in freed.as_dict().items() if n} | {"version": User.version + 1})
        .execution_options(synchronize_session=False)
    )


def _chunks(ids: list[uuid.UUID], size: int = 500) -> list[list[uuid.UUID]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
