"""What flavours and images have in common on the wire; and how everything of the catalogue is written."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from pydantic import Field

from app import auth
from app.database import Session
from app.models import Flavour, Image, InstanceType
from app.routers import views
from app.routers.deps import Outcome, PageQuery, State, next_cursor, page_request, request_id, unchanged
from app.routers.deps import write as _write
from app.routers.wire import tagged
from app.rules.access import Permission, Viewer
from app.rules.naming import CATALOGUE_NAME_PATTERN
from app.services import catalogue
from app.store import catalogue as store

Key = Annotated[
    str, Path(min_length=1, max_length=63, pattern=CATALOGUE_NAME_PATTERN, description="Its name.", examples=["small"])
]
Work = Callable[[Session], Awaitable[Outcome]]


class EntryQuery(PageQuery):
    sort: Literal["created_at", "-created_at", "name", "-name"] = "name"
    instance_type: InstanceType | None = Field(None, description="What can be chosen for this type.")
    deprecated: bool | None = None


async def write(request: Request, state: State, viewer: Viewer, work: Work, *, status: int) -> Response:
    """And this process chooses from what there is now."""
    try:
        return (await _write(request, state, viewer, work, status=status)).response
    finally:
        state.catalogue.changed()


async def listed(
    request: Request, state: State, viewer: Viewer, table: type[Flavour | Image], query: EntryQuery
) -> Response:
    auth.require(viewer, Permission.CATALOGUE_READ)
    scope = f"{table.__tablename__} {viewer.user_id} {query.model_dump(exclude={'limit', 'cursor'})}"
    page = page_request(state, scope, query, query.sort)
    wanted: dict[str, Any] = {"instance_type": query.instance_type, "deprecated": query.deprecated}
    async with state.database.reading() as session:
        found = await store.page_for(session, viewer, table, page, **wanted)
    return tagged(
        request,
        {
            "items": [views.entry(row) for row in found.items],
            "next_cursor": next_cursor(state, scope, query.sort, found.last),
        },
    )


async def shown(request: Request, state: State, viewer: Viewer, table: type[Flavour | Image], name: str) -> Response:
    async with state.database.reading() as session:
        return tagged(request, views.entry(await catalogue.load(session, viewer, table, name)))


async def created(
    request: Request, state: State, viewer: Viewer, table: type[Flavour | Image], values: Mapping[str, Any]
) -> Response:
    async def work(session: Session) -> Outcome:
        return Outcome(views.entry(await catalogue.create(session, viewer, table, values, request_id())))

    return await write(request, state, viewer, work, status=201)


async def changed(
    request: Request,
    state: State,
    viewer: Viewer,
    table: type[Flavour | Image],
    name: str,
    changes: Mapping[str, Any],
    if_match: str | None,
) -> Response:
    async def work(session: Session) -> Outcome:
        await catalogue.hold(session, viewer)
        found = await catalogue.load(session, viewer, table, name)
        unchanged(if_match, lambda: views.entry(found))
        await catalogue.change(session, viewer, found, changes, request_id())
        return Outcome(views.entry(found))

    return await write(request, state, viewer, work, status=200)


async def deleted(
    request: Request,
    state: State,
    viewer: Viewer,
    table: type[Flavour | Image],
    name: str,
    if_match: str | None,
) -> Response:
    async def work(session: Session) -> Outcome:
        await catalogue.hold(session, viewer)
        found = await catalogue.load(session, viewer, table, name)
        unchanged(if_match, lambda: views.entry(found))
        await catalogue.delete(session, viewer, found, request_id())
        return Outcome(None)

    return await write(request, state, viewer, work, status=204)
