"""One verb on many things: each succeeds or fails by itself, each with its own answer.

A transaction takes so many at a time: a thousand in one would keep everybody else from writing for seconds.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request, Response

from app.database import Session
from app.errors import CmpError
from app.models import Operation
from app.routers import problems, views
from app.routers.deps import Outcome, State, write
from app.routers.wire import Json
from app.rules.access import Viewer

_AT_A_TIME = 50


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
    hold: Callable[[Session, list[str]], Awaitable[None]],
) -> Response:
    """200 with an item for each id, in the order given. `hold` takes every lock that some ids need, in one order.

    With an Idempotency-Key, a repeated request goes on where the first one was cut off, and does nothing twice.
    """

    items: list[dict[str, Any]] = []
    headers: dict[str, str] = {}
    nudge: set[uuid.UUID] = set()

    def part(some: list[str]) -> Callable[[Session], Awaitable[Outcome]]:
        async def work(session: Session) -> Outcome:
            await hold(session, some)
            return Outcome([item async for item in _each(session, some, one, nudge)])

        return work

    for start in range(0, len(ids), _AT_A_TIME):
        written = await write(
            request, state, viewer, part(ids[start : start + _AT_A_TIME]), status=200, part=start // _AT_A_TIME
        )
        items += orjson.loads(written.response.body)
        headers = {} if written.outcome is not None else {"Idempotency-Replayed": "true"}
    # Once, at the end: visits of the cluster between the parts would only slow them down.
    for cluster_id in nudge:
        state.nudge(cluster_id)
    failed = sum(item["problem"] is not None for item in items)
    return Json({"succeeded": len(items) - failed, "failed": failed, "items": items}, headers=headers)


async def _each(
    session: Session, ids: list[str], one: Callable[[Session, str], Awaitable[Done]], nudge: set[uuid.UUID]
) -> AsyncIterator[dict[str, Any]]:
    for id in ids:
        savepoint = await session.begin_nested()
        try:
            done = await one(session, id)
            await session.flush()
        except CmpError as error:
            # Of this error only: after a deadlock MariaDB has no savepoint any more to go back to.
            await savepoint.rollback()
            yield {"id": id, "operation": None, "problem": problems.problem_of(error)}
        else:
            await savepoint.commit()
            nudge.add(done.cluster_id)
            yield {"id": id, "operation": views.operation(done.operation), "problem": None}
