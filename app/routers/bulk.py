"""One verb on many things: each succeeds or fails by itself, all in one transaction, each with its own answer."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from app.database import Session
from app.errors import CmpError
from app.models import Operation
from app.routers import problems, views
from app.routers.deps import Outcome, State, write
from app.rules.access import Viewer


@dataclass(frozen=True, slots=True)
class Done:
    operation: Operation
    cluster_id: uuid.UUID


async def answer(
    request: Request,
    state: State,
    viewer: Viewer,
    ids: list[str],
    one: Callable[[Session, str], Awaitable[Done]],
    *,
    hold: Callable[[Session], Awaitable[None]],
) -> Response:
    """200 with an item for each id, in the order given. `hold` takes every lock that the items need, in one order."""

    async def work(session: Session) -> Outcome:
        await hold(session)
        items: list[dict[str, Any]] = []
        nudge: set[uuid.UUID] = set()
        for id in ids:
            savepoint = await session.begin_nested()
            try:
                done = await one(session, id)
                await session.flush()
            except CmpError as error:
                # Of this error only: after a deadlock MariaDB has no savepoint any more to go back to.
                await savepoint.rollback()
                items.append({"id": id, "operation": None, "problem": problems.problem_of(error)})
            else:
                await savepoint.commit()
                items.append({"id": id, "operation": views.operation(done.operation), "problem": None})
                nudge.add(done.cluster_id)
        failed = sum(item["problem"] is not None for item in items)
        return Outcome({"succeeded": len(items) - failed, "failed": failed, "items": items}, nudge=list(nudge))

    return (await write(request, state, viewer, work, status=200)).response
