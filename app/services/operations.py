"""Waiting for operations."""

import asyncio
import uuid
from contextlib import suppress

from app.database import Database
from app.errors import NotFound
from app.models import Operation
from app.rules.access import Viewer
from app.services.events import Broadcaster
from app.store import operations

_LOOK = 1.0


async def load(database: Database, viewer: Viewer, operation_id: uuid.UUID) -> Operation:
    """Raises NotFound."""
    async with database.reading() as session:
        found = await operations.get(session, viewer, operation_id)
    if found is None:
        raise NotFound("There is no such operation, or it is not yours. List yours to see their ids.")
    return found


async def wait(
    database: Database, broadcaster: Broadcaster, viewer: Viewer, operation_id: uuid.UUID, seconds: float
) -> Operation:
    """The operation once it is finished, or as it stands after so many seconds. Raises NotFound."""
    deadline = asyncio.get_running_loop().time() + seconds
    async with broadcaster.changes() as changed:
        while True:
            found = await load(database, viewer, operation_id)
            left = deadline - asyncio.get_running_loop().time()
            if found.finished_at is not None or left <= 0:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK)):
                    await changed.wait()
            changed.clear()
