"""Alembic's door: uses the connection it is given, or opens the configured database for the command line."""

import asyncio
from typing import Any, Literal, cast

import sqlalchemy as sa
from alembic import context

from app.database import Database
from app.models import AsciiString, Base, UtcDateTime
from app.settings import Settings


def readable(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """Our own column types by their names, in generated migrations."""
    if kind != "type" or not isinstance(item, UtcDateTime | AsciiString):
        return False
    name = type(item).__name__
    autogenerate.imports.add(f"from app.models import {name}")
    return f"{name}({cast(sa.String, item.impl_instance).length})" if isinstance(item, AsciiString) else f"{name}()"


def migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
        render_item=readable,
    )
    with context.begin_transaction():
        context.run_migrations()


async def from_command_line() -> None:
    database = Database(Settings().database(), tls=Settings().database_tls)
    await database.open()
    async with database.engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await database.close()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(from_command_line())
