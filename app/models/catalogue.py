"""What administrators offer and allow: the installation itself, flavours, images."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import AsciiString, Base, table_args


class Platform(Base):
    """One row: which installation this is. Kubernetes objects carry its id, cursors are signed with its secret."""

    __tablename__ = "platform"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    installation_id: Mapped[uuid.UUID]
    cursor_secret: Mapped[bytes] = mapped_column(sa.LargeBinary())
    custom_sizes: Mapped[bool] = mapped_column(default=True, doc="whether a size must be one of the flavours")
    allowed_images: Mapped[list[str]] = mapped_column(
        default=lambda: ["*"], doc="patterns of the images that may run beside the catalogue's; see rules.images"
    )
    audit_seq: Mapped[int] = mapped_column(default=0, doc="how many entries of the audit trail were sealed")
    audit_chain: Mapped[str] = mapped_column(AsciiString(80), default="", doc="of the last of them")
    created_at: Mapped[datetime]

    __table_args__: Any = table_args()


class Flavour(Base):
    """A size with a name. What was made from it holds the size itself, so its size never changes."""

    __tablename__ = "flavours"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(AsciiString(63), unique=True)
    description: Mapped[str] = mapped_column(sa.String(512))
    instance_type: Mapped[str | None] = mapped_column(AsciiString(32), doc="none: for every type")
    cpu: Mapped[int] = mapped_column(doc="millicores")
    memory: Mapped[int] = mapped_column(doc="MiB")
    instancetype: Mapped[str | None] = mapped_column(AsciiString(63), doc="KubeVirt's name of just this size")
    preference: Mapped[str | None] = mapped_column(AsciiString(63), doc="KubeVirt's name of how its guests like it")
    runtime_class: Mapped[str | None] = mapped_column(AsciiString(63), doc="what runs its containers")
    default: Mapped[bool] = mapped_column("is_default", doc="at most one of each type")
    deprecated: Mapped[str | None] = mapped_column(sa.String(512), doc="what to take instead")
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__: Any = table_args(CheckConstraint("cpu > 0 AND memory > 0", name="size"))


class Image(Base):
    """An image with a name. What was made from it holds the reference itself."""

    __tablename__ = "images"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(AsciiString(63), unique=True)
    description: Mapped[str] = mapped_column(sa.String(512))
    instance_type: Mapped[str] = mapped_column(AsciiString(32))
    reference: Mapped[str] = mapped_column(sa.String(512))
    default: Mapped[bool] = mapped_column("is_default", doc="at most one of each type")
    deprecated: Mapped[str | None] = mapped_column(sa.String(512), doc="what to take instead")
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__: Any = table_args()
