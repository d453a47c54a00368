"""Clusters, their instances, and what these charge to an account."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship

from app.models.base import AsciiString, Base, table_args
from app.models.users import User


class Cluster(Base):
    """A named set of equal instances in a namespace of its own. The row stays until Kubernetes let go of all of it."""

    __tablename__ = "clusters"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(AsciiString(63))
    namespace: Mapped[str] = mapped_column(AsciiString(63), unique=True)
    namespace_uid: Mapped[str | None] = mapped_column(AsciiString(64), doc="proof that we made it")
    instance_type: Mapped[str] = mapped_column(AsciiString(32))
    cpu_per_inst: Mapped[int] = mapped_column(doc="millicores")
    memory_per_inst: Mapped[int] = mapped_column(doc="MiB")
    instance_count: Mapped[int]
    image: Mapped[str] = mapped_column(sa.String(512))
    image_name: Mapped[str | None] = mapped_column(AsciiString(63), doc="the catalogue's name of it, if it has one")
    flavour: Mapped[str | None] = mapped_column(AsciiString(63), doc="the catalogue's name of its size, if it has one")
    spec: Mapped[dict[str, Any]] = mapped_column(doc="what its type wants to know beyond size and image; no secrets")
    secrets: Mapped[str | None] = mapped_column(
        sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), doc="sealed; see rules.sealing"
    )
    revision: Mapped[int] = mapped_column(
        default=1, doc="of image, spec and secrets: what runs an older one is replaced"
    )
    max_unavailable: Mapped[int] = mapped_column(default=1, doc="how many may be down while instances are replaced")
    labels: Mapped[dict[str, str]]
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    phase: Mapped[str] = mapped_column(AsciiString(16))
    reason: Mapped[str | None] = mapped_column(AsciiString(32))
    message: Mapped[str | None] = mapped_column(sa.String(1024))
    ready_instances: Mapped[int] = mapped_column(default=0, doc="instances that are as wished")
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    # The reconciler's claim on this row: a write counts only while the lease token is still its own.
    due_at: Mapped[datetime]
    lease_token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0, doc="passes in a row that met an error")

    owner: Mapped[User] = relationship(backref=backref("clusters", passive_deletes="all", lazy="raise"), lazy="raise")
    instances: Mapped[list["Instance"]] = relationship(
        back_populates="cluster", passive_deletes=True, order_by="Instance.ordinal", lazy="raise"
    )
    __table_args__: Any = table_args(
        UniqueConstraint("owner_id", "name"),
        Index(None, "owner_id", "id"),
        Index(None, "due_at"),
        CheckConstraint("cpu_per_inst > 0 AND memory_per_inst > 0 AND instance_count > 0", name="sizes"),
    )


class Instance(Base):
    """One Pod or VirtualMachine: what is wished (`wanted`, `incarnation`) and what was last seen (the rest)."""

    __tablename__ = "instances"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    cluster_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clusters.id", ondelete="CASCADE"))
    ordinal: Mapped[int] = mapped_column(doc="from 1; the n in <cluster>-instance-<n>")
    instance_name: Mapped[str] = mapped_column(AsciiString(63))
    k8s_resource: Mapped[str] = mapped_column(AsciiString(160), doc="for example pods/web-instance-1")
    wanted: Mapped[str] = mapped_column(AsciiString(16))
    incarnation: Mapped[int] = mapped_column(default=1, doc="a restart wishes the next one")
    grace: Mapped[int | None] = mapped_column(doc="seconds it may take to end; none: what its kind gives it")
    cpu: Mapped[int] = mapped_column(doc="millicores that are charged for it, or would be if it ran")
    memory: Mapped[int] = mapped_column(doc="MiB, likewise")
    revision: Mapped[int | None] = mapped_column(doc="the cluster's revision that it was last seen to run")
    restart_required: Mapped[bool] = mapped_column(default=False, doc="what was changed waits for its next start")
    status: Mapped[str] = mapped_column(AsciiString(16))
    reason: Mapped[str | None] = mapped_column(AsciiString(32))
    message: Mapped[str | None] = mapped_column(sa.String(1024))
    waiting_since: Mapped[datetime | None] = mapped_column(doc="when the present reason was first seen")
    suspend: Mapped[str | None] = mapped_column(
        AsciiString(16), doc="how it could be suspended: freeze, vm-pause, or not"
    )
    migratable: Mapped[bool] = mapped_column(default=False, doc="whether it could move to another node while it runs")
    unmigratable: Mapped[str | None] = mapped_column(sa.String(512), doc="why it could not, in KubeVirt's words")
    guest: Mapped[dict[str, Any] | None] = mapped_column(doc="what the guest agent tells of the system inside a VM")
    node: Mapped[str | None] = mapped_column(AsciiString(253))
    ip: Mapped[str | None] = mapped_column(AsciiString(45))
    restarts: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    cluster: Mapped[Cluster] = relationship(back_populates="instances", lazy="raise")
    __table_args__: Any = table_args(UniqueConstraint("cluster_id", "ordinal"))


class ClusterGrant(Base):
    """What somebody else may with a cluster, by word of its owner. It ends with either of them."""

    __tablename__ = "cluster_grants"

    cluster_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    level: Mapped[str] = mapped_column(AsciiString(16))
    granted_by: Mapped[str] = mapped_column(AsciiString(63))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__: Any = table_args(Index(None, "user_id", "cluster_id"))


class ClusterTransfer(Base):
    """An offer: the cluster is to be somebody else's, with what it charges, once they accept it."""

    __tablename__ = "cluster_transfers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    cluster_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clusters.id", ondelete="CASCADE"), unique=True)
    to_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    offered_by: Mapped[str] = mapped_column(AsciiString(63))
    created_at: Mapped[datetime]

    __table_args__: Any = table_args()


class LedgerEntry(Base):
    """What one resource charges to an account: a row for the cluster itself and one for each instance.

    Written with the resource, deleted once, when Kubernetes was seen to have let go.
    """

    __tablename__ = "quota_ledger"

    resource_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, doc="the cluster's or instance's id")
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    cluster_id: Mapped[uuid.UUID] = mapped_column(index=True)
    cpu: Mapped[int] = mapped_column(doc="millicores")
    memory: Mapped[int] = mapped_column(doc="MiB")
    instances: Mapped[int]
    clusters: Mapped[int]
    storage: Mapped[int] = mapped_column(default=0, doc="MiB")

    __table_args__: Any = table_args(
        CheckConstraint("cpu >= 0 AND memory >= 0 AND instances >= 0 AND clusters >= 0", name="amounts"),
        CheckConstraint("storage >= 0", name="storage"),
    )
