"""saved SSH keys"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if _there():
        return
    op.create_table(
        "ssh_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", AsciiString(63), nullable=False),
        sa.Column("public_key", AsciiString(8192), nullable=False),
        sa.Column("fingerprint", AsciiString(64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ssh_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ssh_keys")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_ssh_keys_user_id_name")),
        sa.UniqueConstraint("user_id", "fingerprint", name=op.f("uq_ssh_keys_user_id_fingerprint")),
        **OPTIONS,
    )


def downgrade() -> None:
    if _there():
        op.drop_table("ssh_keys")


def _there() -> bool:
    return "ssh_keys" in sa.inspect(op.get_bind()).get_table_names()
