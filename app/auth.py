"""Who you are, what you may, and whether it fits. Knows no HTTP; writes no SQL of its own.

Quota: `reserve` claims in one conditional UPDATE and enters the ledger in the same transaction; `release` gives back
once, when Kubernetes was seen to have let go.
"""

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from typing import Protocol

from app.database import Database, Row, Session
from app.errors import Forbidden, QuotaExceeded, Unauthenticated
from app.models import QuotaStrategy, Role
from app.rules import units
from app.rules.access import PERMISSIONS, Permission, Scope, Viewer
from app.rules.quota import DIMENSIONS, Account, Amounts
from app.store import ledger, users

TOKEN_PREFIX = "cmp_pat_"  # noqa: S105
_TOKEN_LENGTH = len(TOKEN_PREFIX) + 43


def new_token() -> str:
    """256 random bits behind a prefix that secret scanners can look for."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """SHA-256 is enough for a secret that cannot be guessed; a slow hash would only slow every request."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_hint(token: str) -> str:
    """How it begins and ends, so that people can tell theirs apart."""
    return f"{token[: len(TOKEN_PREFIX)]}…{token[-4:]}".replace("…", "...")


def presented(authorization: str | None) -> str:
    """The hash of a well-formed bearer token, from the header's value. Raises Unauthenticated."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(TOKEN_PREFIX) or len(token) != _TOKEN_LENGTH:
        raise not_known()
    return token_hash(token)


def not_known() -> Unauthenticated:
    return Unauthenticated("A valid bearer token is needed: send it as `Authorization: Bearer <token>`.")


async def asker(database: Database, authorization: str | None) -> Row:
    """The user's columns, in a short read that ends before anything is claimed (snapshot isolation would refuse it)."""
    row = await users.by_token(database, presented(authorization))
    if row is None:
        raise not_known()
    return row


async def authenticate(database: Database, authorization: str | None) -> Viewer:
    return viewer_of(await asker(database, authorization))


def viewer_of(row: Row, prefix: str = "") -> Viewer:
    scopes = row[f"{prefix}token_scopes"]
    return Viewer(
        uuid.UUID(str(row[f"{prefix}id"])),
        row[f"{prefix}username"],
        Role(row[f"{prefix}role"]),
        None if scopes is None else frozenset(Scope(scope) for scope in scopes.split()),
        row[f"{prefix}token_expires_at"],
    )


def require(viewer: Viewer, permission: Permission) -> None:
    if viewer.may(permission):
        return
    if permission not in PERMISSIONS[viewer.role]:
        raise Forbidden(f"This needs {permission}, which your role ({viewer.role}) lacks. Ask an administrator.")
    raise Forbidden(f"This needs {permission}, which this token's scopes leave out. Use another token.")


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
