"""Which RuntimeClass runs the containers of a flavour"""

import sqlalchemy as sa
from alembic import op

from app.models import AsciiString

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not _there():
        with op.batch_alter_table("flavours", schema=None) as batch_op:
            batch_op.add_column(sa.Column("runtime_class", AsciiString(63), nullable=True))


def downgrade() -> None:
    if _there():
        with op.batch_alter_table("flavours", schema=None) as batch_op:
            batch_op.drop_column("runtime_class")


def _there() -> bool:
    return any(column["name"] == "runtime_class" for column in sa.inspect(op.get_bind()).get_columns("flavours"))
