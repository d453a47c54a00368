"""Why a VM cannot move to another node while it runs"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not _there():
        with op.batch_alter_table("instances", schema=None) as batch_op:
            batch_op.add_column(sa.Column("unmigratable", sa.String(512), nullable=True))


def downgrade() -> None:
    if _there():
        with op.batch_alter_table("instances", schema=None) as batch_op:
            batch_op.drop_column("unmigratable")


def _there() -> bool:
    return any(column["name"] == "unmigratable" for column in sa.inspect(op.get_bind()).get_columns("instances"))
