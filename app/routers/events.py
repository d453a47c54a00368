"""/api/v1/events: what happens, as it happens."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app import auth, schemas
from app.database import Row
from app.errors import CmpError, Invalid
from app.routers import views
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, PageQuery, State, next_cursor, page_request, presented_before
from app.routers.wire import StrictRoute, encode, tagged
from app.rules.access import Access, Permission, Viewer
from app.services.events import Listener
from app.store import clusters, sharing
from app.store import events as store

router = APIRouter(prefix="/events", tags=["events"], route_class=StrictRoute)

_ASK_AGAIN = 5.0
# An event may come twice: a replay of a month need not be remembered to the end of the stream.
_REMEMBERED = 10_000
_MAX_ID = 2**63 - 1
# After one of these somebody else may be told less, or nothing.
_HANDS = ("cluster.unshared", "cluster.transferred")


class StreamQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cluster_id: uuid.UUID | None = None
    everyones: bool = Field(False, description="Everybody's: for administrators and operators.")


class HistoryQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"
    cluster_id: uuid.UUID | None = None
    everyones: bool = Field(False, description="Everybody's: for administrators and operators.")


@router.get(
    "/",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    summary="Follow events",
    description="Server-sent events. After a break, send the last id you saw as `Last-Event-ID`: nothing is skipped, "
    "though an event may come twice. The data of each is as /events/history shows it.",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events."}},
)
async def follow(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    auth.require(viewer, _needed(query))
    stream = _stream(request, state, viewer, query, _after(last_event_id))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get(
    "/history",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.Listing[schemas.EventRead],
    summary="List past events, newest first",
)
async def history(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[HistoryQuery, Query()]
) -> Response:
    auth.require(viewer, _needed(query))
    scope = f"events {viewer.user_id} {query.model_dump(exclude={'limit', 'cursor'})}"
    page = page_request(state, scope, query, query.sort)
    wanted: dict[str, Any] = {"everyones": query.everyones, "cluster_id": query.cluster_id}
    found = await state.reads.look(partial(store.page_for, viewer=viewer, page=page, **wanted))
    return tagged(
        request,
        {
            "items": [views.event(row) for row in found.items],
            "next_cursor": next_cursor(state, scope, query.sort, found.last),
        },
    )


async def _stream(
    request: Request, state: State, viewer: Viewer, query: StreamQuery, after: int | None
) -> AsyncIterator[bytes]:
    owner_id = None if query.everyones else await _owner(state, viewer, query)
    sent: set[int] = set()
    authenticated = time.monotonic()
    async with state.broadcaster.listening(owner_id, _only(viewer, owner_id, query)) as listener:
        yield b": connected\n\n"
        if after is not None:
            async for row in state.broadcaster.replay(owner_id, after):
                if len(sent) >= _REMEMBERED:
                    sent.clear()
                sent.add(row["id"])
                if _wanted(row, query):
                    yield _event(row)
        while not listener.lost:
            live = await _next(listener)
            changed = live is not None and live["kind"] in _HANDS
            if changed or time.monotonic() - authenticated > _ASK_AGAIN:
                if not await _still_may(request, state, query, owner_id):
                    return
                authenticated = time.monotonic()
            if live is None:
                yield b": still here\n\n"
            elif live["id"] not in sent and _wanted(live, query):
                yield _event(live)


async def _next(listener: Listener) -> Row | None:
    """None after a while of silence."""
    try:
        async with asyncio.timeout(_ASK_AGAIN):
            return await listener.next()
    except TimeoutError:
        return None


async def _owner(state: State, viewer: Viewer, query: StreamQuery) -> uuid.UUID:
    """Whose events are told: one's own, or the owner's of the cluster that is named, while that is shared."""
    if query.cluster_id is not None:
        async with state.database.reading() as session:
            cluster = await clusters.get(session, viewer, query.cluster_id)
            access = await sharing.access_to(session, viewer, cluster) if cluster is not None else None
        if cluster is not None and access not in (None, Access.ROLE):
            return cluster.owner_id
    return viewer.account_id


def _only(viewer: Viewer, owner_id: uuid.UUID | None, query: StreamQuery) -> uuid.UUID | None:
    return query.cluster_id if owner_id not in (None, viewer.account_id) else None


async def _still_may(request: Request, state: State, query: StreamQuery, owner_id: uuid.UUID | None) -> bool:
    """The stream of what is not shared any more, of a revoked token, or of a role that was taken away, ends before it
    tells anything more.
    """
    try:
        viewer = await auth.authenticate(state.database, presented_before(request))
        auth.require(viewer, _needed(query))
        return owner_id is None or owner_id == await _owner(state, viewer, query)
    except CmpError:
        return False


def _needed(query: StreamQuery | HistoryQuery) -> Permission:
    return Permission.EVERYONES if query.everyones else Permission.CLUSTERS_READ


def _wanted(row: Row, query: StreamQuery) -> bool:
    return query.cluster_id is None or row["cluster_id"] == query.cluster_id


def _event(row: Row) -> bytes:
    data: dict[str, Any] = views.event(row)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row["id"], row["kind"].encode(), encode(data))


def _after(last_event_id: str | None) -> int | None:
    if last_event_id is None or last_event_id == "":
        return None
    if not last_event_id.isascii() or not last_event_id.isdigit() or int(last_event_id) > _MAX_ID:
        raise Invalid("Last-Event-ID is the id of an event: a number.")
    return int(last_event_id)
