"""`python -m app.migrations`: brings the database's schema to where this version needs it, and ends."""

import asyncio
import sys

from app import migrations
from app.database import Database
from app.errors import CmpError
from app.settings import Settings


async def migrate(settings: Settings) -> None:
    database = Database(settings.database(), pool_size=settings.database_pool, tls=settings.database_tls)
    await database.open()
    try:
        changed = await migrations.upgrade(database)
    finally:
        await database.close()
    print(f"{database.describe()}: {'migrated' if changed else 'nothing to migrate'}, now at {migrations.head()}")


if __name__ == "__main__":
    try:
        asyncio.run(migrate(Settings()))
    except (CmpError, ValueError) as error:
        sys.exit(f"The schema cannot be migrated: {error}")
