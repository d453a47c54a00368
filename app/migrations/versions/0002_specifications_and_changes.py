"""What an instance is beyond its size: specification, secrets, revisions, storage"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

from app.models import AsciiString

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SEALED = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What an older process that still runs during an upgrade does not name.
_NUMBERS = {
    "users": {"quota_storage": 0, "used_storage": 0},
    "clusters": {"revision": 1, "max_unavailable": 1},
    "instances": {"cpu": 0, "memory": 0},
    "quota_ledger": {"storage": 0},
}
_FLAGS = {"instances": ("restart_required", "migratable")}
_NULLABLE: dict[str, dict[str, Callable[[], Any]]] = {
    "clusters": {"flavour": lambda: AsciiString(63), "secrets": lambda: SEALED},
    "instances": {"grace": sa.BigInteger, "revision": sa.BigInteger, "guest": lambda: JSON},
}
_CHECKS = {"users": ("quota_storage", "used_storage"), "quota_ledger": ("storage",)}
_TABLES = ("users", "clusters", "instances", "quota_ledger")


def upgrade() -> None:
    for table in _TABLES:
        there = _columns(table)
        new = [column for column in _new_columns(table) if column.name not in there]
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in new:
                batch_op.add_column(column)
            for name in _CHECKS.get(table, ()):
                if f"ck_{table}_{name}" not in _checks(table):
                    batch_op.create_check_constraint(op.f(f"ck_{table}_{name}"), f"{name} >= 0")
    # A platform that had no limit on storage had none to give either: the accounts get what a new one gets.
    op.execute("UPDATE users SET quota_storage = 102400 WHERE quota_storage = 0")
    op.execute(
        "UPDATE instances SET "
        "cpu = (SELECT cpu_per_inst FROM clusters WHERE clusters.id = instances.cluster_id), "
        "memory = (SELECT memory_per_inst FROM clusters WHERE clusters.id = instances.cluster_id) "
        "WHERE cpu = 0"
    )


def downgrade() -> None:
    for table in reversed(_TABLES):
        there = _columns(table)
        with op.batch_alter_table(table, schema=None) as batch_op:
            for name in _CHECKS.get(table, ()):
                if f"ck_{table}_{name}" in _checks(table):
                    batch_op.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")
            for column in _new_columns(table):
                if column.name in there:
                    batch_op.drop_column(column.name)


def _new_columns(table: str) -> list[sa.Column[Any]]:
    numbers = [
        sa.Column(name, sa.BigInteger(), nullable=False, server_default=str(value))
        for name, value in _NUMBERS.get(table, {}).items()
    ]
    flags: list[sa.Column[Any]] = [
        sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()) for name in _FLAGS.get(table, ())
    ]
    optional = [sa.Column(name, kind(), nullable=True) for name, kind in _NULLABLE.get(table, {}).items()]
    spec = [sa.Column("spec", JSON, nullable=False, server_default=_empty())] if table == "clusters" else []
    return [*numbers, *flags, *optional, *spec]


def _empty() -> sa.TextClause:
    """MySQL takes a default for JSON only as an expression, SQLite only as a plain value."""
    return sa.text("('{}')" if op.get_bind().dialect.name == "mysql" else "'{}'")


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _checks(table: str) -> set[str | None]:
    return {check["name"] for check in sa.inspect(op.get_bind()).get_check_constraints(table)}
