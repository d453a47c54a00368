"""/api/v1/audit: who tried what. One's own; everybody's for administrators and operators."""

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator, Field

from app import auth, schemas
from app.models import AuditEntry, AuditOutcome
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, PageQuery, State, next_cursor, page_request
from app.routers.wire import Json, StrictRoute, encode, tagged
from app.rules.access import Permission, Viewer
from app.store import audit as store
from app.store.paging import PageRequest

router = APIRouter(prefix="/audit", tags=["audit"], route_class=StrictRoute)

_PAGE = 500
_LISTING = schemas.Listing[schemas.AuditRead]


def _written(value: str) -> str:
    if value.replace(".", "", 1).lstrip("+-").isdecimal():
        raise ValueError("a time is written as RFC 3339 has it")
    return value


_Time = Annotated[AwareDatetime, BeforeValidator(_written)]


class AuditQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"
    everyones: bool = Field(False, description="Everybody's: for administrators and operators.")
    actor: str | None = Field(None, min_length=1, max_length=63, pattern=r"^[-._@a-z0-9]+$", description="A username.")
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET", "WEBSOCKET"] | None = None
    outcome: AuditOutcome | None = None
    request_id: str | None = Field(None, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")
    since: _Time | None = Field(None, description="RFC 3339.")
    until: _Time | None = Field(None, description="RFC 3339; what was then is no longer in it.")


@router.get("/", dependencies=[needs(Permission.SELF_READ)], response_model=_LISTING, summary="Who tried what")
async def list_entries(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[AuditQuery, Query()]
) -> Response:
    wanted = _filter(viewer, query)
    scope = f"audit {viewer.user_id} {query.model_dump(exclude={'limit', 'cursor'})}"
    page = page_request(state, scope, query, query.sort)
    found = await state.reads.look(partial(store.page_for, viewer=viewer, page=page, wanted=wanted))
    following = next_cursor(state, scope, query.sort, found.last)
    return tagged(request, {"items": [_shown(entry) for entry in found.items], "next_cursor": following})


@router.get(
    "/export",
    dependencies=[needs(Permission.SELF_READ)],
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}, "description": "Lines."}},
    summary="All of it, as lines of JSON",
)
async def export(state: CurrentState, viewer: CurrentViewer, query: Annotated[AuditQuery, Query()]) -> Response:
    lines = _lines(state, viewer, _filter(viewer, query), query.sort)
    return StreamingResponse(lines, media_type="application/x-ndjson")


@router.get(
    "/verify",
    dependencies=[needs(Permission.AUDIT_VERIFY)],
    response_model=schemas.AuditVerified,
    summary="Whether the trail still fits together (administrators, operators)",
)
async def verify(state: CurrentState) -> Response:
    entries, unkeyed, broken = await state.audit.verify()
    return Json({"entries": entries, "unkeyed": unkeyed, "broken_at": broken})


async def _lines(state: State, viewer: Viewer, wanted: store.AuditFilter, sort: str) -> AsyncIterator[bytes]:
    after: list[Any] | None = None
    while True:
        page = PageRequest(_PAGE, sort.removeprefix("-"), sort.startswith("-"), after)
        found = await state.reads.look(partial(store.page_for, viewer=viewer, page=page, wanted=wanted))
        for entry in found.items:
            yield encode(_shown(entry)) + b"\n"
        if found.last is None:
            return
        after = found.last


def _filter(viewer: Viewer, query: AuditQuery) -> store.AuditFilter:
    if query.everyones:
        auth.require(viewer, Permission.EVERYONES)
    since: datetime | None = query.since
    return store.AuditFilter(
        query.everyones, query.actor, query.method, query.outcome, query.request_id, since, query.until
    )


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return dict(store.as_row(entry))
