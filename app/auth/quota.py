"""Whether it fits. Quota: `reserve` claims in one conditional UPDATE and enters the ledger in the same transaction.

`release` gives back once, when Kubernetes was seen to have let go. Writes no SQL of its own.
"""

import uuid
from collections.abc import Iterable
from typing import Protocol

from app.auth.credentials import not_known
from app.database import Session
from app.errors import Forbidden, QuotaExceeded
from app.models import QuotaStrategy
from app.rules import units
from app.rules.quota import DIMENSIONS, Account, Amounts
from app.store import ledger


class Strategy(Protocol):
    """What an instance is charged, and when."""

    frees_compute_when_stopped: bool


class Allocated:
    """The document's: charged from creation until it is gone, running or not."""

    frees_compute_when_stopped = False


class Running:
    """CPU and memory are charged only while it is not stopped; a start may therefore be refused."""

    frees_compute_when_stopped = True


QUOTA_STRATEGIES: dict[QuotaStrategy, Strategy] = {
    QuotaStrategy.ALLOCATED: Allocated(),
    QuotaStrategy.RUNNING: Running(),
}


async def reserve(session: Session, account_id: uuid.UUID, amounts: Amounts) -> None:
    """First statement of the transaction that uses it up. Raises QuotaExceeded, with every number."""
    if await ledger.claim(session, account_id, amounts):
        return
    # Locked, what is looked at stays as it is; and what was released since the claim may let it fit by now.
    account = await ledger.lock_account(session, account_id)
    if account is None:
        raise not_known()
    if await ledger.claim(session, account_id, amounts):
        return
    raise _refusal(account, amounts) or Forbidden("This account is disabled. Ask an administrator.")


async def reserve_start(session: Session, account_id: uuid.UUID, instance_id: uuid.UUID, compute: Amounts) -> None:
    """What is to run claims its compute again where that was freed, under whichever strategy. Raises QuotaExceeded."""
    await ledger.lock_account(session, account_id)
    if await ledger.compute_of(session, instance_id):
        return
    await reserve(session, account_id, compute)
    await ledger.charge_compute(session, instance_id, compute)


async def seen_stopped(session: Session, account_id: uuid.UUID, instance_ids: Iterable[uuid.UUID]) -> None:
    """The account's strategy may free the compute of instances that were seen to be stopped. Idempotent."""
    account = await ledger.lock_account(session, account_id)
    if account is not None and QUOTA_STRATEGIES[QuotaStrategy(account.strategy)].frees_compute_when_stopped:
        await ledger.free_compute(session, account_id, instance_ids)


async def reserve_size(
    session: Session, account_id: uuid.UUID, instance_ids: Iterable[uuid.UUID], compute: Amounts
) -> None:
    """Those that are to have another size are charged for the larger of both, until they are seen to have it.

    Raises QuotaExceeded.
    """
    await ledger.lock_account(session, account_id)
    more = await ledger.missing_compute(session, account_id, instance_ids, compute)
    if more:
        await reserve(session, account_id, more)
        await ledger.raise_compute(session, account_id, instance_ids, compute)


async def seen_sized(
    session: Session, account_id: uuid.UUID, instance_ids: Iterable[uuid.UUID], compute: Amounts
) -> None:
    """They hold this and no more by now. Idempotent; what is charged for nothing stays so."""
    await ledger.lower_compute(session, account_id, instance_ids, compute)


async def release(session: Session, account_id: uuid.UUID, resource_ids: Iterable[uuid.UUID]) -> None:
    """What these resources hold goes back, once: their ledger rows are gone afterwards."""
    await ledger.release(session, account_id, resource_ids)


async def recount(session: Session, account_id: uuid.UUID) -> dict[str, int] | None:
    """Repair the counters from the ledger; the drift by dimension, or None where there was none."""
    drift = await ledger.recount(session, account_id)
    return {d: n for d, n in drift.as_dict().items() if n} if drift is not None else None


async def all_account_ids(session: Session) -> list[uuid.UUID]:
    return await ledger.all_account_ids(session)


def _refusal(account: Account, amounts: Amounts) -> QuotaExceeded | None:
    """None when it would fit."""
    exceeded = {
        d: _shown(d, amounts.as_dict()[d], account.used.as_dict()[d], account.quota.as_dict()[d])
        for d in DIMENSIONS
        if amounts.as_dict()[d] > account.available.as_dict()[d]
    }
    if not exceeded:
        return None
    said = "; ".join(
        f"{d}: requested {n['requested']}, used {n['used']} of {n['limit']}, remaining {n['remaining']}"
        for d, n in exceeded.items()
    )
    return QuotaExceeded(
        f"This does not fit your quota ({said}). Delete what you no longer need, ask for less, or ask an "
        "administrator for more.",
        details={"quota": exceeded},
    )


def _shown(dimension: str, requested: int, used: int, limit: int) -> dict[str, int | float]:
    numbers = {"requested": requested, "used": used, "limit": limit, "remaining": max(0, limit - used)}
    if dimension != "cpu":
        return dict(numbers)
    return {name: units.cores(value) for name, value in numbers.items()}
