"""Tables and enumerations: what CMP remembers, and the words for the states it can be in.

Units in the database: CPU in millicores, memory in MiB, times in UTC. This file imports nothing of ours.
"""

import enum
import uuid
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class InstanceType(enum.StrEnum):
    CONTAINER = "container"
    VM = "vm"


class InstanceStatus(enum.StrEnum):
    """What an instance is seen to be."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUSPENDING = "suspending"
    SUSPENDED = "suspended"
    FAILED = "failed"
    DELETING = "deleting"


class Wanted(enum.StrEnum):
    """What an instance is wished to be."""

    RUNNING = "running"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    ABSENT = "absent"


class InstanceOperation(enum.StrEnum):
    START = "start"
    STOP = "stop"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTART = "restart"
    REBOOT = "reboot"
    MIGRATE = "migrate"
    REPLACE = "replace"


class ClusterPhase(enum.StrEnum):
    PENDING = "pending"
    PROVISIONING = "provisioning"
    RUNNING = "running"
    DEGRADED = "degraded"
    FAILED = "failed"
    DELETING = "deleting"


class OperationKind(enum.StrEnum):
    CLUSTER_CREATE = "cluster.create"
    CLUSTER_DELETE = "cluster.delete"
    CLUSTER_SCALE = "cluster.scale"
    CLUSTER_UPDATE = "cluster.update"
    INSTANCE_START = "instance.start"
    INSTANCE_STOP = "instance.stop"
    INSTANCE_SUSPEND = "instance.suspend"
    INSTANCE_RESUME = "instance.resume"
    INSTANCE_RESTART = "instance.restart"
    INSTANCE_REBOOT = "instance.reboot"
    INSTANCE_MIGRATE = "instance.migrate"
    INSTANCE_REPLACE = "instance.replace"


class OperationStatus(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(enum.StrEnum):
    """Why something is not (yet) as wished; `rules.reasons` has the words and the remedy for each."""

    IMAGE_PULL = "image_pull"
    UNSCHEDULABLE = "unschedulable"
    QUOTA = "quota"
    CRASH_LOOP = "crash_loop"
    OUT_OF_MEMORY = "out_of_memory"
    EXITED = "exited"
    COMPLETED = "completed"
    EVICTED = "evicted"
    NODE_LOST = "node_lost"
    CONFIGURATION = "configuration"
    REJECTED = "rejected"
    VOLUME = "volume"
    SUSPEND_LOST = "suspend_lost"
    SUSPEND_UNSUPPORTED = "suspend_unsupported"
    MIGRATION_FAILED = "migration_failed"
    FOREIGN_OBJECT = "foreign_object"
    TERMINATION_STUCK = "termination_stuck"
    KUBERNETES_UNAVAILABLE = "kubernetes_unavailable"
    WAITING = "waiting"
    DEADLINE = "deadline"


class Role(enum.StrEnum):
    """`rules.access.PERMISSIONS` says what each may."""

    ADMIN = "admin"
    OPERATOR = "operator"
    USER = "user"
    VIEWER = "viewer"


class QuotaStrategy(enum.StrEnum):
    """`auth.QUOTA_STRATEGIES` says what each charges and when."""

    ALLOCATED = "allocated"
    RUNNING = "running"


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, microseconds kept, on every dialect."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class AsciiString(sa.types.TypeDecorator[str]):
    """A string compared byte by byte: equal and ordered alike on every dialect.

    But for spaces at the end, which MariaDB and MySQL pass over: nothing that is looked up by may hold a space.
    """

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        length = cast(sa.String, self.impl_instance).length
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"))
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(sa.String(length, collation=collation))


# CHAR(32) where there is no UUID type that sorts by its bytes: MariaDB's own reorders them.
Id = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: dict[Any, Any] = {
        uuid.UUID: Id,
        datetime: UtcDateTime(),
        int: sa.BigInteger(),
        dict[str, Any]: Json,
        dict[str, str]: Json,
        list[str]: Json,
    }


_DIMENSIONS = ("cpu", "memory", "instances", "clusters", "storage")


def _table_args(*constraints: Any, **options: Any) -> tuple[Any, ...]:
    common = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
    return (*constraints, common | options)


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
    created_at: Mapped[datetime]

    __table_args__: Any = _table_args()


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
    default: Mapped[bool] = mapped_column("is_default", doc="at most one of each type")
    deprecated: Mapped[str | None] = mapped_column(sa.String(512), doc="what to take instead")
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__: Any = _table_args(CheckConstraint("cpu > 0 AND memory > 0", name="size"))


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

    __table_args__: Any = _table_args()


class User(Base):
    """Somebody with a token and a quota account. `used_*` always equals the sum of the account's ledger rows."""

    __tablename__ = "users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(AsciiString(63), unique=True)
    token: Mapped[str] = mapped_column(AsciiString(32), doc="how the newest token begins and ends; never the secret")
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
    clusters: Mapped[list["Cluster"]] = relationship(back_populates="owner", passive_deletes="all", lazy="raise")

    # `used` may stand above `quota`: a limit set below usage blocks new resources and kills nothing.
    __table_args__: Any = _table_args(
        *(CheckConstraint(f"used_{d} >= 0", name=f"used_{d}") for d in _DIMENSIONS),
        *(CheckConstraint(f"quota_{d} >= 0", name=f"quota_{d}") for d in _DIMENSIONS),
    )


class ApiToken(Base):
    """A bearer token: only its SHA-256 is kept, which is enough for 256 random bits."""

    __tablename__ = "api_tokens"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(AsciiString(64), unique=True, doc="SHA-256, hexadecimal")
    hint: Mapped[str] = mapped_column(AsciiString(32))
    name: Mapped[str] = mapped_column(AsciiString(63))
    scopes: Mapped[str | None] = mapped_column(AsciiString(64), doc="see rules.access; none: all that the role may")
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None] = mapped_column(doc="to about a minute")
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="tokens", lazy="raise")
    __table_args__: Any = _table_args()


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

    owner: Mapped[User] = relationship(back_populates="clusters", lazy="raise")
    instances: Mapped[list["Instance"]] = relationship(
        back_populates="cluster", passive_deletes=True, order_by="Instance.ordinal", lazy="raise"
    )
    __table_args__: Any = _table_args(
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
    __table_args__: Any = _table_args(UniqueConstraint("cluster_id", "ordinal"))


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

    __table_args__: Any = _table_args(
        CheckConstraint("cpu >= 0 AND memory >= 0 AND instances >= 0 AND clusters >= 0", name="amounts"),
        CheckConstraint("storage >= 0", name="storage"),
    )


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
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__: Any = _table_args(Index(None, "owner_id", "id"), Index(None, "cluster_id", "status"))


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

    __table_args__: Any = _table_args(
        Index(None, "owner_id", "id"),
        Index(None, "cluster_id", "id"),
        Index(None, "created_at"),
        sqlite_autoincrement=True,
    )


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

    __table_args__: Any = _table_args()


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

    __table_args__: Any = _table_args()
