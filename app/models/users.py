"""Who there is, what each may use, the tokens they come with, and the SSH keys they saved."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import AsciiString, Base, table_args
from app.models.words import CredentialKind, UserKind

_DIMENSIONS = ("cpu", "memory", "instances", "clusters", "storage")


class User(Base):
    """Somebody with a token and a quota account. `used_*` always equals the sum of the account's ledger rows."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(AsciiString(63), unique=True)
    token: Mapped[str] = mapped_column(AsciiString(32), doc="how the newest token begins and ends; never the secret")
    kind: Mapped[str] = mapped_column(AsciiString(16), default=UserKind.PERSON)
    password_hash: Mapped[str | None] = mapped_column(AsciiString(255), doc="Argon2id; none: no way in by password")
    role: Mapped[str] = mapped_column(AsciiString(16))
    quota_strategy: Mapped[str] = mapped_column(AsciiString(16))
    quota_cpu: Mapped[int] = mapped_column(doc="millicores")
    quota_memory: Mapped[int] = mapped_column(doc="MiB")
    quota_instances: Mapped[int]
    quota_clusters: Mapped[int]
    quota_storage: Mapped[int] = mapped_column(default=0, doc="MiB")
    used_cpu: Mapped[int] = mapped_column(default=0, doc="millicores")
    used_memory: Mapped[int] = mapped_column(default=0, doc="MiB")
    used_instances: Mapped[int] = mapped_column(default=0)
    used_clusters: Mapped[int] = mapped_column(default=0)
    used_storage: Mapped[int] = mapped_column(default=0, doc="MiB")
    version: Mapped[int] = mapped_column(default=1)
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    tokens: Mapped[list["ApiToken"]] = relationship(back_populates="user", passive_deletes=True, lazy="raise")

    # `used` may stand above `quota`: a limit set below usage blocks new resources and kills nothing.
    __table_args__: Any = table_args(
        *(CheckConstraint(f"used_{d} >= 0", name=f"used_{d}") for d in _DIMENSIONS),
        *(CheckConstraint(f"quota_{d} >= 0", name=f"quota_{d}") for d in _DIMENSIONS),
    )


class ApiToken(Base):
    """A way in for a user, whichever kind it is. Of secrets only the SHA-256 is kept, enough for 256 random bits.

    Every request looks one up by `token_hash`: of what was sent, or of the row's own id where an access token that we
    signed names it.
    """

    __tablename__ = "api_tokens"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(AsciiString(64), unique=True, doc="SHA-256, hexadecimal")
    kind: Mapped[str] = mapped_column(AsciiString(16), default=CredentialKind.BEARER)
    client_secret_hash: Mapped[str | None] = mapped_column(AsciiString(64), doc="SHA-256, hexadecimal")
    hint: Mapped[str] = mapped_column(AsciiString(32))
    name: Mapped[str] = mapped_column(AsciiString(63))
    scopes: Mapped[str | None] = mapped_column(AsciiString(64), doc="see rules.access; none: all that the role may")
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None] = mapped_column(doc="to about a minute")
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="tokens", lazy="raise")
    __table_args__: Any = table_args()


class SshKey(Base):
    """A public key under a name. VMs are given the key itself and do not refer to it."""

    __tablename__ = "ssh_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(AsciiString(63))
    public_key: Mapped[str] = mapped_column(AsciiString(8192))
    fingerprint: Mapped[str] = mapped_column(AsciiString(64))
    created_at: Mapped[datetime]

    __table_args__: Any = table_args(UniqueConstraint("user_id", "name"), UniqueConstraint("user_id", "fingerprint"))
