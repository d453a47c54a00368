"""Who wants to be told of what, what they are told, and which levels of their quota they were told of."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import AsciiString, Base, table_args


class Subscription(Base):
    """Where an account is told of its topics. A worker has it by a lease, and one delivery at a time goes there."""

    __tablename__ = "subscriptions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(AsciiString(16))
    target: Mapped[str] = mapped_column(AsciiString(1024), doc="a URL or an address")
    topics: Mapped[str] = mapped_column(AsciiString(255), doc="with spaces between")
    secret: Mapped[str | None] = mapped_column(
        sa.Text, doc="sealed: what signs, or until an address is confirmed the code that was sent there"
    )
    confirmed_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0, doc="tries that failed since one did not")
    free_at: Mapped[datetime] = mapped_column(doc="nobody takes it before: leased, or resting after a failure")
    lease_token: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]

    __table_args__: Any = table_args()


class Delivery(Base):
    """One message to one subscription. `due_at` is none once it has ended."""

    __tablename__ = "deliveries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("subscriptions.id", ondelete="CASCADE"))
    topic: Mapped[str] = mapped_column(AsciiString(32))
    content: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(AsciiString(16))
    attempts: Mapped[int] = mapped_column(default=0)
    said: Mapped[str | None] = mapped_column(AsciiString(255), doc="what became of the last try")
    since: Mapped[datetime] = mapped_column(doc="from when on it is tried: made, or sent again")
    due_at: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__: Any = table_args(Index(None, "subscription_id", "id"), Index(None, "due_at"), Index(None, "since"))


class QuotaLevel(Base):
    """Of an account that wants to be told: the highest share of each limit that it was told of, in percent."""

    __tablename__ = "quota_levels"

    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    levels: Mapped[dict[str, Any]]

    __table_args__: Any = table_args()
