"""What trace an operation is of"""

import sqlalchemy as sa
from alembic import op

from app.models import AsciiString

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not _there():
        with op.batch_alter_table("operations", schema=None) as batch_op:
            batch_op.add_column(sa.Column("traceparent", AsciiString(55), nullable=True))


def downgrade() -> None:
    if _there():
        with op.batch_alter_table("operations", schema=None) as batch_op:
            batch_op.drop_column("traceparent")


def _there() -> bool:
    return any(column["name"] == "traceparent" for column in sa.inspect(op.get_bind()).get_columns("operations"))
