"""Subscriptions to be told by, and what became of each message."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.models import Channel, DeliveryStatus, Topic
from app.schemas.fields import In, Out, example

_Topics = Annotated[list[Annotated[Topic, Field(strict=False)]], Field(min_length=1, max_length=len(Topic))]


class SubscriptionCreate(In):
    model_config = example(
        {"channel": "webhook", "target": "https://ops.example.org/cmp", "topics": ["cluster.failed"]}
    )

    channel: Annotated[Channel, Field(strict=False)]
    target: Annotated[str, Field(min_length=3, max_length=1024, pattern=r"^[\x21-\x7e]+$")] = Field(
        description="A URL, or a mail address, which is asked first."
    )
    topics: _Topics = Field(list(Topic), description="Of what; without it, of everything.")


class SubscriptionConfirm(In):
    code: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")] = Field(
        description="From the mail that was sent to the address."
    )


class SubscriptionRead(Out):
    id: uuid.UUID
    channel: Channel
    target: str
    topics: list[Topic]
    confirmed: bool = Field(description="Nothing but a code is sent to an address that is not.")
    failures: int = Field(description="Tries that failed since one did not.")
    created_at: datetime


class SubscriptionCreated(SubscriptionRead):
    """The secret is shown this once, and is None in the repeated answer to an Idempotency-Key."""

    secret: str | None = Field(description="Of a webhook: what its messages are signed with, `whsec_…`.")


class DeliveryRead(Out):
    id: uuid.UUID = Field(description="The message's own: the same at every try.")
    topic: str = Field(description="A topic, `ping` or `confirmation`.")
    status: DeliveryStatus
    attempts: int
    said: str | None = Field(description="What became of the last try.")
    tried_at: datetime | None
    next_try_at: datetime | None = Field(description="None once it has ended.")
    created_at: datetime
