"""/api/v1/clusters/{cluster}/grants"""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app import schemas
from app.database import Session
from app.routers import views
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, Outcome, key_of, request_id, write
from app.routers.wire import StrictRoute, tagged
from app.rules.access import Permission
from app.services import grants

router = APIRouter(prefix="/clusters/{cluster}/grants", tags=["clusters"], route_class=StrictRoute)

Key = Annotated[
    str, Path(min_length=1, max_length=120, description="Its id, its name, or name@owner.", examples=["web"])
]
User = Annotated[str, Path(min_length=1, max_length=100, description="An id or a username.", examples=["grace"])]


@router.get(
    "/",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.Listing[schemas.GrantRead],
    summary="Whom a cluster is shared with",
    description="All of them to its owner; to whom it is shared with, their own.",
)
async def list_grants(request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key) -> Response:
    async with state.database.reading() as session:
        found = await grants.all_of(session, viewer, key_of(cluster))
    return tagged(request, {"items": [views.grant(row) for row in found], "next_cursor": None})


@router.get(
    "/{user}",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.GrantRead,
    summary="What a user may with a cluster",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key, user: User) -> Response:
    async with state.database.reading() as session:
        found = await grants.all_of(session, viewer, key_of(cluster), key_of(user))
    return tagged(request, views.grant(found[0]))


@router.put(
    "/{user}",
    dependencies=[needs(Permission.CLUSTERS_SHARE)],
    response_model=schemas.GrantRead,
    summary="Share a cluster with a user",
    description="Only by its owner, or whoever looks after everybody's. Quota stays the owner's.",
)
async def put(
    request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key, user: User, body: schemas.GrantPut
) -> Response:
    async def work(session: Session) -> Outcome:
        found = await grants.put(session, viewer, key_of(cluster), key_of(user), body.level, request_id())
        return Outcome(views.grant(found))

    return (await write(request, state, viewer, work, status=200)).response


@router.delete(
    "/{user}",
    dependencies=[needs(Permission.CLUSTERS_SHARE)],
    status_code=204,
    response_class=Response,
    summary="Share a cluster with a user no longer",
    description="By its owner, or by whom it is shared with. 204 also where there is no such grant.",
)
async def delete(request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key, user: User) -> Response:
    async def work(session: Session) -> Outcome:
        await grants.remove(session, viewer, key_of(cluster), key_of(user), request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response
