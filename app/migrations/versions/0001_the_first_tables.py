"""The first tables"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


_CHILDREN_FIRST = (
    "instances", "quota_ledger", "idempotency_keys", "clusters", "api_tokens", "workers", "users", "platform",
    "operations", "events",
)  # fmt: skip


def upgrade() -> None:
    _clear_what_a_killed_run_left()
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", AsciiString(48), nullable=False),
        sa.Column("owner_id", ID, nullable=True),
        sa.Column("actor", AsciiString(63), nullable=False),
        sa.Column("cluster_id", ID, nullable=True),
        sa.Column("cluster_name", AsciiString(63), nullable=True),
        sa.Column("instance_id", ID, nullable=True),
        sa.Column("instance_name", AsciiString(63), nullable=True),
        sa.Column("operation_id", ID, nullable=True),
        sa.Column("status", AsciiString(16), nullable=True),
        sa.Column("reason", AsciiString(32), nullable=True),
        sa.Column("message", sa.String(length=1024), nullable=True),
        sa.Column("request_id", AsciiString(128), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        **OPTIONS,
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_cluster_id_id"), ["cluster_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_owner_id_id"), ["owner_id", "id"], unique=False)

    op.create_table(
        "operations",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", AsciiString(32), nullable=False),
        sa.Column("status", AsciiString(16), nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("actor_id", ID, nullable=False),
        sa.Column("actor", AsciiString(63), nullable=False),
        sa.Column("cluster_id", ID, nullable=False),
        sa.Column("cluster_name", AsciiString(63), nullable=False),
        sa.Column("instance_id", ID, nullable=True),
        sa.Column("instance_name", AsciiString(63), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=True),
        sa.Column("reason", AsciiString(32), nullable=True),
        sa.Column("message", sa.String(length=1024), nullable=True),
        sa.Column("request_id", AsciiString(128), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        **OPTIONS,
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operations_cluster_id_status"), ["cluster_id", "status"], unique=False)
        batch_op.create_index(batch_op.f("ix_operations_owner_id_id"), ["owner_id", "id"], unique=False)

    op.create_table(
        "platform",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("installation_id", ID, nullable=False),
        sa.Column("cursor_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_platform")),
        **OPTIONS,
    )
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("username", AsciiString(63), nullable=False),
        sa.Column("token", AsciiString(32), nullable=False),
        sa.Column("role", AsciiString(16), nullable=False),
        sa.Column("quota_strategy", AsciiString(16), nullable=False),
        sa.Column("quota_cpu", sa.BigInteger(), nullable=False),
        sa.Column("quota_memory", sa.BigInteger(), nullable=False),
        sa.Column("quota_instances", sa.BigInteger(), nullable=False),
        sa.Column("quota_clusters", sa.BigInteger(), nullable=False),
        sa.Column("used_cpu", sa.BigInteger(), nullable=False),
        sa.Column("used_memory", sa.BigInteger(), nullable=False),
        sa.Column("used_instances", sa.BigInteger(), nullable=False),
        sa.Column("used_clusters", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("quota_clusters >= 0", name=op.f("ck_users_quota_clusters")),
        sa.CheckConstraint("quota_cpu >= 0", name=op.f("ck_users_quota_cpu")),
        sa.CheckConstraint("quota_instances >= 0", name=op.f("ck_users_quota_instances")),
        sa.CheckConstraint("quota_memory >= 0", name=op.f("ck_users_quota_memory")),
        sa.CheckConstraint("used_clusters >= 0", name=op.f("ck_users_used_clusters")),
        sa.CheckConstraint("used_cpu >= 0", name=op.f("ck_users_used_cpu")),
        sa.CheckConstraint("used_instances >= 0", name=op.f("ck_users_used_instances")),
        sa.CheckConstraint("used_memory >= 0", name=op.f("ck_users_used_memory")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
        **OPTIONS,
    )
    op.create_table(
        "workers",
        sa.Column("id", ID, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("kubernetes", sa.String(length=255), nullable=True),
        sa.Column("kubernetes_error", sa.String(length=1024), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        **OPTIONS,
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("token_hash", AsciiString(64), nullable=False),
        sa.Column("hint", AsciiString(32), nullable=False),
        sa.Column("name", AsciiString(63), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
        **OPTIONS,
    )
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_tokens_user_id"), ["user_id"], unique=False)

    op.create_table(
        "clusters",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", AsciiString(63), nullable=False),
        sa.Column("namespace", AsciiString(63), nullable=False),
        sa.Column("namespace_uid", AsciiString(64), nullable=True),
        sa.Column("instance_type", AsciiString(32), nullable=False),
        sa.Column("cpu_per_inst", sa.BigInteger(), nullable=False),
        sa.Column("memory_per_inst", sa.BigInteger(), nullable=False),
        sa.Column("instance_count", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.String(length=512), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("phase", AsciiString(16), nullable=False),
        sa.Column("reason", AsciiString(32), nullable=True),
        sa.Column("message", sa.String(length=1024), nullable=True),
        sa.Column("ready_instances", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("lease_token", ID, nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "cpu_per_inst > 0 AND memory_per_inst > 0 AND instance_count > 0", name=op.f("ck_clusters_sizes")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_clusters_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
        sa.UniqueConstraint("namespace", name=op.f("uq_clusters_namespace")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_clusters_owner_id_name")),
        **OPTIONS,
    )
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_clusters_due_at"), ["due_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_clusters_owner_id_id"), ["owner_id", "id"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("key", AsciiString(255), nullable=False),
        sa.Column("fingerprint", AsciiString(64), nullable=False),
        sa.Column("status_code", sa.BigInteger(), nullable=False),
        sa.Column(
            "body",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mariadb").with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
        **OPTIONS,
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_at"), ["created_at"], unique=False)

    op.create_table(
        "quota_ledger",
        sa.Column("resource_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("cluster_id", ID, nullable=False),
        sa.Column("cpu", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("instances", sa.BigInteger(), nullable=False),
        sa.Column("clusters", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "cpu >= 0 AND memory >= 0 AND instances >= 0 AND clusters >= 0", name=op.f("ck_quota_ledger_amounts")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["users.id"], name=op.f("fk_quota_ledger_account_id")),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_quota_ledger")),
        **OPTIONS,
    )
    with op.batch_alter_table("quota_ledger", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quota_ledger_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_quota_ledger_cluster_id"), ["cluster_id"], unique=False)

    op.create_table(
        "instances",
        sa.Column("id", ID, nullable=False),
        sa.Column("cluster_id", ID, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("instance_name", AsciiString(63), nullable=False),
        sa.Column("k8s_resource", AsciiString(160), nullable=False),
        sa.Column("wanted", AsciiString(16), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("status", AsciiString(16), nullable=False),
        sa.Column("reason", AsciiString(32), nullable=True),
        sa.Column("message", sa.String(length=1024), nullable=True),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("suspend", AsciiString(16), nullable=True),
        sa.Column("node", AsciiString(253), nullable=True),
        sa.Column("ip", AsciiString(45), nullable=True),
        sa.Column("restarts", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_instances_cluster_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("cluster_id", "ordinal", name=op.f("uq_instances_cluster_id_ordinal")),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("instances")
    op.drop_table("quota_ledger")
    op.drop_table("idempotency_keys")
    op.drop_table("clusters")
    op.drop_table("api_tokens")
    op.drop_table("workers")
    op.drop_table("users")
    op.drop_table("platform")
    op.drop_table("operations")
    op.drop_table("events")


def _clear_what_a_killed_run_left() -> None:
    """MySQL and MariaDB make tables outside transactions. A table with rows is somebody's: then making it fails."""
    connection = op.get_bind()
    if connection.dialect.name not in ("mysql", "mariadb"):
        return
    present = set(sa.inspect(connection).get_table_names())
    for name in _CHILDREN_FIRST:
        if name in present and not connection.scalar(sa.select(sa.exists(sa.text("1")).select_from(sa.table(name)))):
            op.drop_table(name)
