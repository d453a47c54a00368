"""/api/v1/images"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app import schemas
from app.models import Image
from app.routers import entries
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, IfMatch
from app.routers.entries import EntryQuery, Key
from app.routers.wire import StrictRoute
from app.rules.access import Permission

router = APIRouter(prefix="/images", tags=["catalogue"], route_class=StrictRoute)


@router.post(
    "/",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    status_code=201,
    response_model=schemas.ImageRead,
    summary="Offer an image (administrators)",
)
async def create(request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.ImageCreate) -> Response:
    return await entries.created(request, state, viewer, Image, body.model_dump())


@router.get(
    "/",
    dependencies=[needs(Permission.CATALOGUE_READ)],
    response_model=schemas.Listing[schemas.ImageRead],
    summary="The images that can be chosen by name",
)
async def list_images(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[EntryQuery, Query()]
) -> Response:
    return await entries.listed(request, state, viewer, Image, query)


@router.get(
    "/{image}", dependencies=[needs(Permission.CATALOGUE_READ)], response_model=schemas.ImageRead, summary="One image"
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, image: Key) -> Response:
    return await entries.shown(request, state, viewer, Image, image)


@router.patch(
    "/{image}",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    response_model=schemas.ImageRead,
    summary="Deprecate, hide or describe an image, change what it refers to, or make it the default (administrators)",
    description="Clusters that were made from it keep the reference that it had.",
)
async def change(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    image: Key,
    body: schemas.ImageChange,
    if_match: IfMatch = None,
) -> Response:
    return await entries.changed(request, state, viewer, Image, image, body.changes(), if_match)


@router.delete(
    "/{image}",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Take an image out of the catalogue (administrators)",
    description="Clusters that were made from it keep its reference, and its name.",
)
async def delete(
    request: Request, state: CurrentState, viewer: CurrentViewer, image: Key, if_match: IfMatch = None
) -> Response:
    return await entries.deleted(request, state, viewer, Image, image, if_match)
