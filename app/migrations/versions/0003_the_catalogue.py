"""The catalogue: flavours, images, and what users may run beside it"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()
    if "flavours" not in there:
        op.create_table(
            "flavours",
            sa.Column("id", ID, nullable=False),
            sa.Column("name", AsciiString(63), nullable=False),
            sa.Column("description", sa.String(512), nullable=False),
            sa.Column("instance_type", AsciiString(32), nullable=True),
            sa.Column("cpu", sa.BigInteger(), nullable=False),
            sa.Column("memory", sa.BigInteger(), nullable=False),
            sa.Column("instancetype", AsciiString(63), nullable=True),
            sa.Column("preference", AsciiString(63), nullable=True),
            *_in_common("flavours"),
            sa.CheckConstraint("cpu > 0 AND memory > 0", name=op.f("ck_flavours_size")),
            **OPTIONS,
        )
    if "images" not in there:
        op.create_table(
            "images",
            sa.Column("id", ID, nullable=False),
            sa.Column("name", AsciiString(63), nullable=False),
            sa.Column("description", sa.String(512), nullable=False),
            sa.Column("instance_type", AsciiString(32), nullable=False),
            sa.Column("reference", sa.String(512), nullable=False),
            *_in_common("images"),
            **OPTIONS,
        )
    for table in ("clusters", "platform"):
        has = _columns(table)
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in _new_columns(table):
                if column.name not in has:
                    batch_op.add_column(column)


def downgrade() -> None:
    for table in ("platform", "clusters"):
        has = _columns(table)
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in _new_columns(table):
                if column.name in has:
                    batch_op.drop_column(column.name)
    for table in ("images", "flavours"):
        if table in sa.inspect(op.get_bind()).get_table_names():
            op.drop_table(table)


def _in_common(table: str) -> tuple[Any, ...]:
    return (
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("deprecated", sa.String(512), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("name", name=op.f(f"uq_{table}_name")),
    )


def _new_columns(table: str) -> tuple[sa.Column[Any], ...]:
    """With defaults for what is there already, and for an older process that still runs during an upgrade."""
    if table == "clusters":
        return (sa.Column("image_name", AsciiString(63), nullable=True),)
    return (
        sa.Column("custom_sizes", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("allowed_images", JSON, nullable=False, server_default=_every_image()),
    )


def _every_image() -> sa.TextClause:
    """MySQL takes a default for JSON only as an expression, SQLite only as a plain value."""
    return sa.text("""('["*"]')""" if op.get_bind().dialect.name == "mysql" else """'["*"]'""")


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
