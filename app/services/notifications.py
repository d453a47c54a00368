"""Who wants to be told of what, and where: subscriptions, and messages that are sent again or as a test."""

import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import uuid_utils.compat as uuids

from app import auth
from app.database import Session
from app.errors import Conflict, Invalid, NotFound, TooMany, Unsupported, WrongState
from app.models import Channel, Delivery, Subscription, Topic
from app.rules import notifications as rules
from app.rules.access import Viewer
from app.rules.addresses import Fence
from app.store import events, ledger, notifications

MOST = 20
MOST_ADDRESSES = 20
_A_DAY = timedelta(days=1)
_ASKED = "subscription.address_asked"


@dataclass(frozen=True, slots=True)
class Ways:
    """What this installation can do: whether it has a mail server, and where webhooks may go."""

    mail: bool
    http: bool
    fence: Fence


@dataclass(frozen=True, slots=True)
class SubscriptionWish:
    channel: Channel
    target: str
    topics: frozenset[Topic]
    secret: str
    seal: Callable[[uuid.UUID], str | None]
    """Seals the secret for a row, by its id."""


def secret_for(channel: Channel) -> str:
    return rules.new_secret() if channel == Channel.WEBHOOK else rules.new_code()


async def create(session: Session, viewer: Viewer, wish: SubscriptionWish, ways: Ways, request_id: str) -> Subscription:
    """Mail begins with a code to an address that is to be confirmed. Raises Invalid, Conflict, Unsupported, TooMany."""
    _require(wish, ways)
    if await ledger.lock_account(session, viewer.account_id) is None:
        raise auth.not_known()
    if await notifications.count_of(session, viewer.account_id) >= MOST:
        raise Conflict(f"An account has at most {MOST} subscriptions. Delete one that is no longer needed.")
    now, id = datetime.now(UTC), uuids.uuid7()
    subscription = Subscription(
        id=id,
        account_id=viewer.account_id,
        channel=wish.channel,
        target=wish.target,
        topics=" ".join(sorted(wish.topics)),
        secret=wish.seal(id),
        confirmed_at=now if wish.channel == Channel.WEBHOOK else None,
        failures=0,
        free_at=now,
        created_at=now,
    )
    await notifications.add(session, subscription)
    await _note(session, "subscription.created", viewer, subscription, request_id)
    if wish.channel == Channel.EMAIL:
        await _ask(session, viewer, subscription, request_id)
        await _deliver(session, subscription, rules.CONFIRMATION, {"subscription_id": str(id)})
    return subscription


async def load(session: Session, viewer: Viewer, id: uuid.UUID, *, lock: bool = False) -> Subscription:
    """Raises NotFound."""
    found = await notifications.get(session, viewer, id, lock=lock)
    if found is None:
        raise NotFound("There is no such subscription. List them to see their ids.")
    return found


async def delete(session: Session, viewer: Viewer, id: uuid.UUID, request_id: str) -> None:
    subscription = await load(session, viewer, id, lock=True)
    await _note(session, "subscription.deleted", viewer, subscription, request_id)
    await notifications.remove(session, id)


async def confirm(
    session: Session, viewer: Viewer, id: uuid.UUID, code: str, opened: Callable[[Subscription], str]
) -> Subscription:
    """`opened`: the secret of a subscription. Raises Invalid."""
    subscription = await load(session, viewer, id, lock=True)
    if subscription.confirmed_at is None:
        if not hmac.compare_digest(opened(subscription).encode(), code.encode()):
            raise Invalid("That is not the code that was sent to the address.")
        subscription.confirmed_at, subscription.secret = datetime.now(UTC), None
        await session.flush()
        await notifications.end_waiting(session, id, rules.CONFIRMATION)
    return subscription


async def test(session: Session, viewer: Viewer, id: uuid.UUID) -> Delivery:
    """One that waits already is not joined by another."""
    subscription = await load(session, viewer, id, lock=True)
    _require_confirmed(subscription)
    waiting = await notifications.waiting_of(session, id, rules.PING)
    return waiting or await _deliver(session, subscription, rules.PING, {})


async def resend(session: Session, viewer: Viewer, id: uuid.UUID, delivery_id: uuid.UUID, request_id: str) -> Delivery:
    """At once, under the same id, whatever became of it before. Raises NotFound, WrongState, TooMany."""
    await ledger.lock_account(session, viewer.account_id)
    subscription = await load(session, viewer, id, lock=True)
    delivery = await notifications.delivery_of(session, id, delivery_id)
    if delivery is None:
        raise NotFound("There is no such delivery. List those of the subscription to see their ids.")
    if delivery.topic == rules.CONFIRMATION and subscription.confirmed_at is not None:
        raise WrongState("This address is confirmed already.")
    if delivery.topic == rules.CONFIRMATION:
        await _ask(session, viewer, subscription, request_id)
    await notifications.send_again(session, delivery_id)
    await notifications.wake(session, id)
    await session.refresh(delivery)
    return delivery


async def _ask(session: Session, viewer: Viewer, subscription: Subscription, request_id: str) -> None:
    """One more mail to somebody who has not said yes. The account is locked. Raises TooMany."""
    since = datetime.now(UTC) - _A_DAY
    if await events.count_since(session, viewer.account_id, _ASKED, since) >= MOST_ADDRESSES:
        raise TooMany(f"An account asks addresses at most {MOST_ADDRESSES} times a day. Try again tomorrow.")
    await _note(session, _ASKED, viewer, subscription, request_id)


def _require(wish: SubscriptionWish, ways: Ways) -> None:
    if wish.channel == Channel.EMAIL:
        if not ways.mail:
            raise Unsupported(
                "This installation sends no mail. Use a webhook, or ask an administrator to set CMP_SMTP_HOST."
            )
        if not rules.is_mail_address(wish.target):
            raise Invalid("A mail address is needed, such as ops@example.org.")
        return
    wrong = rules.wrong_with_url(wish.target, http=ways.http)
    if wrong is None and not _may_be_outside(urlsplit(wish.target).hostname or "", ways.fence):
        wrong = "Its address is not on the internet, and no administrator has allowed it (CMP_WEBHOOK_CIDRS)."
    if wrong is not None:
        raise Invalid(wrong)


def _may_be_outside(host: str, fence: Fence) -> bool:
    """Of a name nothing is known before it is connected to."""
    try:
        return fence.lets(host)
    except ValueError:
        return True


def _require_confirmed(subscription: Subscription) -> None:
    if subscription.confirmed_at is None:
        raise WrongState("This address is not confirmed yet. The code is in the mail that was sent there.")


async def _deliver(session: Session, subscription: Subscription, topic: str, content: dict[str, Any]) -> Delivery:
    row = notifications.delivery(subscription.id, topic, content, datetime.now(UTC))
    made = Delivery(**row)
    await notifications.add(session, made)
    await notifications.wake(session, subscription.id)
    return made


async def _note(session: Session, kind: str, viewer: Viewer, row: Subscription, request_id: str) -> None:
    """Of a URL no more than its host: there may be secrets in the rest."""
    where = urlsplit(row.target).hostname if row.channel == Channel.WEBHOOK else row.target
    message = f"{row.channel} to {where}"
    await events.add(
        session, kind=kind, actor=viewer.username, owner_id=viewer.account_id, message=message, request_id=request_id
    )
