"""Who tried what, sealed"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_HEAD = ("audit_seq", "audit_chain")


def upgrade() -> None:
    there = _columns("platform")
    with op.batch_alter_table("platform", schema=None) as batch_op:
        if "audit_seq" not in there:
            batch_op.add_column(sa.Column("audit_seq", sa.BigInteger(), nullable=False, server_default="0"))
        if "audit_chain" not in there:
            batch_op.add_column(sa.Column("audit_chain", AsciiString(80), nullable=False, server_default=""))
    if "audit" in sa.inspect(op.get_bind()).get_table_names():
        return
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("actor", AsciiString(63), nullable=True),
        sa.Column("credential_id", ID, nullable=True),
        sa.Column("credential", AsciiString(16), nullable=True),
        sa.Column("address", AsciiString(45), nullable=False),
        sa.Column("method", AsciiString(16), nullable=False),
        sa.Column("path", AsciiString(300), nullable=False),
        sa.Column("request_id", AsciiString(128), nullable=False),
        sa.Column("outcome", AsciiString(16), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("chain", AsciiString(80), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("seq", name=op.f("uq_audit_seq")),
        **OPTIONS,
    )
    for columns in (["request_id"], ["created_at"], ["actor_id", "id"]):
        op.create_index(op.f(f"ix_audit_{'_'.join(columns)}"), "audit", columns)


def downgrade() -> None:
    if "audit" in sa.inspect(op.get_bind()).get_table_names():
        op.drop_table("audit")
    there = _columns("platform")
    with op.batch_alter_table("platform", schema=None) as batch_op:
        for name in _HEAD:
            if name in there:
                batch_op.drop_column(name)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
