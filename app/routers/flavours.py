"""/api/v1/flavours"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app import schemas
from app.models import Flavour
from app.routers import entries
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, IfMatch
from app.routers.entries import EntryQuery, Key
from app.routers.wire import StrictRoute
from app.rules.access import Permission

router = APIRouter(prefix="/flavours", tags=["catalogue"], route_class=StrictRoute)


@router.post(
    "/",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    status_code=201,
    response_model=schemas.FlavourRead,
    summary="Offer a flavour (administrators)",
)
async def create(request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.FlavourCreate) -> Response:
    return await entries.created(request, state, viewer, Flavour, body.model_dump())


@router.get(
    "/",
    dependencies=[needs(Permission.CATALOGUE_READ)],
    response_model=schemas.Listing[schemas.FlavourRead],
    summary="The sizes that can be chosen by name",
    description="`instance_type` finds the flavours of that type and those of every type.",
)
async def list_flavours(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[EntryQuery, Query()]
) -> Response:
    return await entries.listed(request, state, viewer, Flavour, query)


@router.get(
    "/{flavour}",
    dependencies=[needs(Permission.CATALOGUE_READ)],
    response_model=schemas.FlavourRead,
    summary="One flavour",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, flavour: Key) -> Response:
    return await entries.shown(request, state, viewer, Flavour, flavour)


@router.patch(
    "/{flavour}",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    response_model=schemas.FlavourRead,
    summary="Deprecate, hide or describe a flavour, or make it the default (administrators)",
)
async def change(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    flavour: Key,
    body: schemas.FlavourChange,
    if_match: IfMatch = None,
) -> Response:
    return await entries.changed(request, state, viewer, Flavour, flavour, body.changes(), if_match)


@router.delete(
    "/{flavour}",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Take a flavour out of the catalogue (administrators)",
    description="Clusters that were made from it keep their size, and its name.",
)
async def delete(
    request: Request, state: CurrentState, viewer: CurrentViewer, flavour: Key, if_match: IfMatch = None
) -> Response:
    return await entries.deleted(request, state, viewer, Flavour, flavour, if_match)
