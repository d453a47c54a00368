"""Delivers what is due to those who want to be told: one message at a time to each, all of them side by side.

A subscription is taken by a lease. What a worker that dies was sending is sent again, under the same id.
"""

import asyncio
import random
import uuid

import structlog

from app.database import Database, Session
from app.delivery import Mail, Message, NotDelivered, Webhooks
from app.models import Channel, Delivery, DeliveryStatus, Subscription
from app.rules import notifications as rules
from app.rules.sealing import NoKey, Sealer
from app.store import notifications
from app.telemetry import metrics

log = structlog.get_logger(__name__)

_IDLE_SECONDS = 1.0
_MOST_AT_ONCE = 50
_MOST_IN_TURN = 20
_LEASE_BEYOND = 5.0


class Notifier:
    def __init__(
        self,
        database: Database,
        webhooks: Webhooks,
        mail: Mail,
        sealer: Sealer,
        *,
        seconds: float,
        first_pause: float,
    ) -> None:
        """`seconds`: how long one try takes at most. `first_pause`: after the first that failed."""
        self._database = database
        self._senders: dict[Channel, Webhooks | Mail] = {Channel.WEBHOOK: webhooks, Channel.EMAIL: mail}
        self._sealer = sealer
        self._seconds = seconds
        self._lease_seconds = seconds + _LEASE_BEYOND
        self._first_pause = first_pause
        self._visits: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; what is being sent then is sent again by whoever takes it when the lease has run out."""
        try:
            while True:
                if not await self._take():
                    await asyncio.sleep(_IDLE_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
        finally:
            for visit in self._visits:
                visit.cancel()
            await asyncio.gather(*self._visits, return_exceptions=True)

    async def _take(self) -> bool:
        """Whether there was anything to take."""
        free = _MOST_AT_ONCE - len(self._visits)
        if free <= 0:
            return False
        token = uuid.uuid4()
        try:
            taken = await self._database.run(
                lambda session: notifications.claim(session, token, limit=free, lease_seconds=self._lease_seconds)
            )
        except Exception:
            metrics.RECONCILE_ERRORS.labels("notify").inc()
            log.warning("due notifications could not be claimed", exc_info=True)
            return False
        for id in taken:
            visit = asyncio.create_task(self._visit(id, token), name=f"notify {id}")
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)
        return bool(taken)

    async def _visit(self, id: uuid.UUID, token: uuid.UUID) -> None:
        """Some of what is due, up to the first that fails: then it rests, and others have their turn.

        Where something goes wrong here the lease runs out.
        """
        try:
            failures = 0
            for _ in range(_MOST_IN_TURN):
                found = await self._database.run(
                    lambda session: notifications.next_of(session, id, token, lease_seconds=self._lease_seconds)
                )
                if found is None:
                    break
                if not await self._deliver(*found):
                    failures = found[0].failures + 1
                    break
            rest = rules.rest(failures, self._first_pause)
            await self._database.run(
                lambda session: notifications.release(session, id, token, failures=failures, rest_seconds=rest)
            )
        except Exception:
            metrics.RECONCILE_ERRORS.labels("notify").inc()
            log.warning("a notification could not be handled", subscription_id=str(id), exc_info=True)

    async def _deliver(self, subscription: Subscription, delivery: Delivery) -> bool:
        """False: it failed, and is tried again or given up."""
        channel = Channel(subscription.channel)
        pause: float | None = None
        try:
            async with asyncio.timeout(self._seconds):
                said = await self._senders[channel].send(self._message(subscription, delivery))
        except (NotDelivered, TimeoutError) as error:
            said = str(error) or "no answer in time"
            pause = rules.pause(delivery.attempts + 1, self._first_pause) * random.uniform(0.8, 1.2)  # noqa: S311
        given_up = await self._database.run(lambda session: _write(session, delivery, said, pause))
        outcome = DeliveryStatus.DELIVERED if pause is None else "failed"
        metrics.DELIVERIES.labels(channel, outcome).inc()
        metrics.DELIVERIES.labels(channel, DeliveryStatus.GAVE_UP).inc(given_up)
        log.info("notification", delivery_id=str(delivery.id), topic=delivery.topic, outcome=outcome, said=said)
        return pause is None

    def _message(self, subscription: Subscription, delivery: Delivery) -> Message:
        """Raises NotDelivered."""
        secret = ""
        if subscription.secret is not None:
            try:
                secret = str(self._sealer.open(subscription.secret, str(subscription.id))["secret"])
            except NoKey:
                raise NotDelivered("its secret was sealed with a key that is not known now") from None
        return Message(
            str(delivery.id), delivery.topic, delivery.content, delivery.created_at, subscription.target, secret
        )


async def _write(session: Session, delivery: Delivery, said: str, pause: float | None) -> int:
    """Answers how many were given up."""
    await notifications.tried(session, delivery.id, delivery.attempts, said=said, pause_seconds=pause)
    return 0 if pause is None else await notifications.give_up(session, delivery.subscription_id)
