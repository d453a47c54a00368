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
) -> Response:
    """200 with an item for each id, in the order given."""

    async def work(session: Session) -> Outcome:
        items: list[dict[str, Any]] = []
        nudge: set[uuid.UUID] = set()
        for id in ids:
            try:
                async with session.begin_nested():
                    done = await one(session, id)
                    await session.flush()
                    items.append({"id": id, "operation": views.operation(done.operation), "problem": None})
                    nudge.add(done.cluster_id)
            except CmpError as error:
                items.append({"id": id, "operation": None, "problem": problems.problem_of(error)})
        failed = sum(item["problem"] is not None for item in items)
        return Outcome({"succeeded": len(items) - failed, "failed": failed, "items": items}, nudge=list(nudge))

    return (await write(request, state, viewer, work, status=200)).response
