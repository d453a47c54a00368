"""What is being done and what happened; it outlives what it was done to."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import AsciiString, Base, Serial, table_args


class Operation(Base):
    """A slow verb: who wished what, how far it got, how it ended. Outlives what it was done to."""

    __tablename__ = "operations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(AsciiString(32))
    status: Mapped[str] = mapped_column(AsciiString(16))
    owner_id: Mapped[uuid.UUID] = mapped_column(doc="whose resource it is")
    actor_id: Mapped[uuid.UUID] = mapped_column(doc="who asked")
    actor: Mapped[str] = mapped_column(AsciiString(63))
    cluster_id: Mapped[uuid.UUID]
    cluster_name: Mapped[str] = mapped_column(AsciiString(63))
    instance_id: Mapped[uuid.UUID | None]
    instance_name: Mapped[str | None] = mapped_column(AsciiString(63))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=1)
    incarnation: Mapped[int | None] = mapped_column(doc="the incarnation that a restart waits for")
    reason: Mapped[str | None] = mapped_column(AsciiString(32))
    message: Mapped[str | None] = mapped_column(sa.String(1024))
    request_id: Mapped[str] = mapped_column(AsciiString(128))
    traceparent: Mapped[str | None] = mapped_column(AsciiString(55), doc="of the request, in W3C's words, if traced")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__: Any = table_args(
        Index(None, "owner_id", "id"), Index(None, "cluster_id", "status"), Index(None, "finished_at")
    )


class Event(Base):
    """Something that happened, for people and for streams. `id` grows; two may become visible out of order."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(AsciiString(48))
    owner_id: Mapped[uuid.UUID | None] = mapped_column(doc="whose stream it belongs to; none for the platform's own")
    actor: Mapped[str] = mapped_column(AsciiString(63))
    cluster_id: Mapped[uuid.UUID | None]
    cluster_name: Mapped[str | None] = mapped_column(AsciiString(63))
    instance_id: Mapped[uuid.UUID | None]
    instance_name: Mapped[str | None] = mapped_column(AsciiString(63))
    operation_id: Mapped[uuid.UUID | None]
    status: Mapped[str | None] = mapped_column(AsciiString(16), doc="the new status, phase or outcome")
    reason: Mapped[str | None] = mapped_column(AsciiString(32))
    message: Mapped[str | None] = mapped_column(sa.String(1024))
    request_id: Mapped[str | None] = mapped_column(AsciiString(128))
    created_at: Mapped[datetime]

    __table_args__: Any = table_args(
        Index(None, "owner_id", "id"),
        Index(None, "cluster_id", "id"),
        Index(None, "created_at"),
        sqlite_autoincrement=True,
    )
