"""Whom a cluster is shared with, and to whom it is offered"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = {"cluster_grants": "user_id", "cluster_transfers": "to_id"}


def upgrade() -> None:
    own: dict[str, tuple[Any, ...]] = {
        "cluster_grants": (
            sa.Column("level", AsciiString(16), nullable=False),
            sa.Column("granted_by", AsciiString(63), nullable=False),
            sa.Column("updated_at", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("cluster_id", "user_id", name=op.f("pk_cluster_grants")),
        ),
        "cluster_transfers": (
            sa.Column("id", ID, nullable=False),
            sa.Column("offered_by", AsciiString(63), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_cluster_transfers")),
            sa.UniqueConstraint("cluster_id", name=op.f("uq_cluster_transfers_cluster_id")),
        ),
    }
    for table, user in _TABLES.items():
        if table not in sa.inspect(op.get_bind()).get_table_names():
            op.create_table(table, *_in_common(table, user), *own[table], **OPTIONS)
    _index("cluster_grants", ["user_id", "cluster_id"])
    _index("cluster_transfers", ["to_id"])


def downgrade() -> None:
    for table in _TABLES:
        if table in sa.inspect(op.get_bind()).get_table_names():
            op.drop_table(table)


def _in_common(table: str, user: str) -> tuple[Any, ...]:
    return (
        sa.Column("cluster_id", ID, nullable=False),
        sa.Column(user, ID, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f(f"fk_{table}_cluster_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint([user], ["users.id"], name=op.f(f"fk_{table}_{user}"), ondelete="CASCADE"),
    )


def _index(table: str, columns: list[str]) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(op.f(name), table, columns)
