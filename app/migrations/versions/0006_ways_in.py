"""Passwords, sign-ins, OAuth clients, providers' identities, devices, and the keys that sign access tokens"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models import AsciiString, UtcDateTime

ID = sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OPTIONS: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add(
        "users",
        sa.Column("kind", AsciiString(16), nullable=False, server_default="person"),
        sa.Column("password_hash", AsciiString(255), nullable=True),
    )
    _add(
        "api_tokens",
        sa.Column("kind", AsciiString(16), nullable=False, server_default="bearer"),
        sa.Column("client_secret_hash", AsciiString(64), nullable=True),
    )
    there = sa.inspect(op.get_bind()).get_table_names()
    for name, columns in _tables().items():
        if name not in there:
            op.create_table(name, *columns, **OPTIONS)
    for table, column in (
        ("refresh_tokens", "api_token_id"),
        ("identities", "user_id"),
        ("device_codes", "expires_at"),
    ):
        if table not in there:
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()
    for name in _tables():
        if name in there:
            op.drop_table(name)
    op.execute("DELETE FROM api_tokens WHERE kind <> 'bearer'")
    for table, columns in (("api_tokens", ("client_secret_hash", "kind")), ("users", ("password_hash", "kind"))):
        has = _there(table)
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                if column in has:
                    batch_op.drop_column(column)


def _tables() -> dict[str, list[Any]]:
    def user(table: str, **options: Any) -> list[Any]:
        key = sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id"), ondelete="CASCADE")
        return [sa.Column("user_id", ID, **options), key]

    return {
        "signing_keys": [
            sa.Column("kid", AsciiString(64), nullable=False),
            sa.Column("public", JSON, nullable=False),
            sa.Column("private", sa.Text(), nullable=False),
            sa.Column("created_at", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
        ],
        "refresh_tokens": [
            sa.Column("token_hash", AsciiString(64), nullable=False),
            sa.Column("api_token_id", ID, nullable=False),
            sa.Column("used_at", UtcDateTime(), nullable=True),
            sa.Column("created_at", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
            sa.ForeignKeyConstraint(
                ["api_token_id"],
                ["api_tokens.id"],
                name=op.f("fk_refresh_tokens_api_token_id"),
                ondelete="CASCADE",
            ),
        ],
        "identities": [
            sa.Column("id", ID, nullable=False),
            sa.Column("issuer", AsciiString(255), nullable=False),
            sa.Column("subject", AsciiString(255), nullable=False),
            *user("identities", nullable=False),
            sa.Column("created_at", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
            sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer_subject")),
        ],
        "device_codes": [
            sa.Column("device_hash", AsciiString(64), nullable=False),
            sa.Column("user_code_hash", AsciiString(64), nullable=False),
            sa.Column("client", AsciiString(63), nullable=False),
            sa.Column("address", AsciiString(45), nullable=False),
            sa.Column("scopes", AsciiString(64), nullable=True),
            sa.Column("poll_interval", sa.BigInteger(), nullable=False),
            sa.Column("asked_at", UtcDateTime(), nullable=True),
            sa.Column("allowed", sa.Boolean(), nullable=True),
            *user("device_codes", nullable=True),
            sa.Column("expires_at", UtcDateTime(), nullable=False),
            sa.Column("created_at", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("device_hash", name=op.f("pk_device_codes")),
            sa.UniqueConstraint("user_code_hash", name=op.f("uq_device_codes_user_code_hash")),
        ],
    }


def _add(table: str, *columns: sa.Column[Any]) -> None:
    there = _there(table)
    with op.batch_alter_table(table, schema=None) as batch_op:
        for column in columns:
            if column.name not in there:
                batch_op.add_column(column)


def _there(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
