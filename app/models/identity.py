"""How people and programs come in beside their API tokens: keys, refresh tokens, providers' subjects, devices."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import AsciiString, Base, table_args


class SigningKey(Base):
    """Signs access tokens. The newest does; those before it only verify."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(AsciiString(64), primary_key=True)
    public: Mapped[dict[str, Any]] = mapped_column(doc="JWK")
    private: Mapped[str] = mapped_column(sa.Text(), doc="JWK, sealed; see rules.sealing")
    created_at: Mapped[datetime]

    __table_args__: Any = table_args()


class RefreshToken(Base):
    """Works once. One that comes again was stolen, or its thief was faster: everything of its sign-in ends."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[str] = mapped_column(AsciiString(64), primary_key=True, doc="SHA-256, hexadecimal")
    api_token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_tokens.id", ondelete="CASCADE"), index=True)
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__: Any = table_args()


class ProviderIdentity(Base):
    """Whom a provider's subject is here. Never an address of email, which providers give to others."""

    __tablename__ = "identities"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(AsciiString(255))
    subject: Mapped[str] = mapped_column(AsciiString(255))
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]

    __table_args__: Any = table_args(UniqueConstraint("issuer", "subject"))


class DeviceCode(Base):
    """A program without a browser that waits for its user to let it in from one that has (RFC 8628)."""

    __tablename__ = "device_codes"

    device_hash: Mapped[str] = mapped_column(AsciiString(64), primary_key=True, doc="SHA-256, hexadecimal")
    user_code_hash: Mapped[str] = mapped_column(AsciiString(64), unique=True, doc="SHA-256, hexadecimal")
    client: Mapped[str] = mapped_column(AsciiString(63), doc="what the program calls itself")
    address: Mapped[str] = mapped_column(AsciiString(45), doc="where it asked from, for whoever lets it in")
    scopes: Mapped[str | None] = mapped_column(AsciiString(64))
    interval: Mapped[int] = mapped_column("poll_interval", doc="seconds between two questions whether it may")
    asked_at: Mapped[datetime | None]
    allowed: Mapped[bool | None] = mapped_column(doc="none: nobody has answered yet")
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]

    __table_args__: Any = table_args()
