"""What the processes of CMP keep for themselves: answers to repeat, and who is at work."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import AsciiString, Base, table_args


class IdempotencyKey(Base):
    """The answer to a POST that carried an Idempotency-Key, written in the transaction of the change itself."""

    __tablename__ = "idempotency_keys"

    # No foreign key: its shared lock on the user's row, taken before the quota is claimed, deadlocks on MariaDB.
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(AsciiString(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(AsciiString(64), doc="SHA-256 of method, path and body")
    status_code: Mapped[int] = mapped_column(default=0)
    body: Mapped[bytes] = mapped_column(sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"))
    created_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__: Any = table_args()


class Worker(Base):
    """A reconciler process that is, or lately was, at work, and how it sees Kubernetes."""

    __tablename__ = "workers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(255))
    pid: Mapped[int]
    kubernetes: Mapped[str | None] = mapped_column(sa.String(255), doc="which API server, and its version")
    kubernetes_error: Mapped[str | None] = mapped_column(sa.String(1024), doc="why it cannot be reached at present")
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]

    __table_args__: Any = table_args()
