"""Who is told of what"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INDEXES = (
    ("subscriptions", ["account_id"]),
    ("deliveries", ["subscription_id", "id"]),
    ("deliveries", ["due_at"]),
    ("deliveries", ["since"]),
)


def upgrade() -> None:
    _table(
        "subscriptions",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("channel", AsciiString(16), nullable=False),
        sa.Column("target", AsciiString(1024), nullable=False),
        sa.Column("topics", AsciiString(255), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("free_at", UtcDateTime(), nullable=False),
        sa.Column("lease_token", ID, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["users.id"], name=op.f("fk_subscriptions_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
    )
    _table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("subscription_id", ID, nullable=False),
        sa.Column("topic", AsciiString(32), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("status", AsciiString(16), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("said", AsciiString(255), nullable=True),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("tried_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_deliveries_subscription_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    _table(
        "quota_levels",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("levels", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["users.id"], name=op.f("fk_quota_levels_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_quota_levels")),
    )
    for table, columns in _INDEXES:
        name = "_".join(["ix", table, *columns])
        if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.create_index(op.f(name), table, columns)


def downgrade() -> None:
    for table in ("quota_levels", "deliveries", "subscriptions"):
        if table in _tables():
            op.drop_table(table)


def _table(name: str, *what: Any) -> None:
    if name not in _tables():
        op.create_table(name, *what, **OPTIONS)


def _tables() -> list[str]:
    return sa.inspect(op.get_bind()).get_table_names()
