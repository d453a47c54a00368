"""Who tried what, from where, and what came of it."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import AsciiString, Base, table_args


class AuditEntry(Base):
    """Written before a change, completed after it; then sealed: `chain` covers it and what was sealed before it.

    No foreign keys: it outlives whom and what it is about.
    """

    __tablename__ = "audit"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    actor_id: Mapped[uuid.UUID | None]
    actor: Mapped[str | None] = mapped_column(AsciiString(63))
    credential_id: Mapped[uuid.UUID | None] = mapped_column(doc="the row of api_tokens")
    credential: Mapped[str | None] = mapped_column(AsciiString(16), doc="its kind")
    address: Mapped[str] = mapped_column(AsciiString(45))
    method: Mapped[str] = mapped_column(AsciiString(16))
    path: Mapped[str] = mapped_column(AsciiString(300), doc="percent-encoded; never the query")
    request_id: Mapped[str] = mapped_column(AsciiString(128), index=True)
    outcome: Mapped[str] = mapped_column(AsciiString(16))
    status: Mapped[int | None] = mapped_column(doc="of the HTTP answer")
    created_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]
    seq: Mapped[int | None] = mapped_column(unique=True, doc="in the order of sealing, without gaps")
    chain: Mapped[str | None] = mapped_column(AsciiString(80))

    __table_args__: Any = table_args(Index(None, "actor_id", "id"))
