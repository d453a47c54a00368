"""Operations by when they ended, if they did"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not _there():
        with op.batch_alter_table("operations", schema=None) as batch_op:
            batch_op.create_index(batch_op.f("ix_operations_finished_at"), ["finished_at"], unique=False)


def downgrade() -> None:
    if _there():
        with op.batch_alter_table("operations", schema=None) as batch_op:
            batch_op.drop_index(batch_op.f("ix_operations_finished_at"))


def _there() -> bool:
    return any(
        index["name"] == "ix_operations_finished_at" for index in sa.inspect(op.get_bind()).get_indexes("operations")
    )
