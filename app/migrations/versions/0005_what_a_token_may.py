"""What a token is narrowed to, and when it was last used"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.models import AsciiString, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = ("scopes", "last_used_at")


def upgrade() -> None:
    there = _there()
    new: list[sa.Column[Any]] = [
        sa.Column("scopes", AsciiString(64), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
    ]
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        for column in new:
            if column.name not in there:
                batch_op.add_column(column)


def downgrade() -> None:
    there = _there()
    with op.batch_alter_table("api_tokens", schema=None) as batch_op:
        for name in _COLUMNS:
            if name in there:
                batch_op.drop_column(name)


def _there() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("api_tokens")}
