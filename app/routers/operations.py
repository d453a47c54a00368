"""/api/v1/operations"""

import uuid
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app import auth, schemas
from app.models import OperationKind, OperationStatus
from app.routers import views
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, PageQuery, next_cursor, page_request
from app.routers.wire import Json, StrictRoute, tagged
from app.rules.access import Permission
from app.services import operations
from app.store import operations as store

router = APIRouter(prefix="/operations", tags=["operations"], route_class=StrictRoute)


class OperationQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"
    status: OperationStatus | None = None
    kind: OperationKind | None = None
    cluster_id: uuid.UUID | None = None
    instance_id: uuid.UUID | None = None
    everyones: bool = Field(False, description="Everybody's: for administrators and operators.")


class Timeout(BaseModel):
    model_config = ConfigDict(extra="forbid")

    timeout: int = Field(30, ge=0, le=3600, description="Seconds.")


@router.get(
    "/",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.Listing[schemas.OperationRead],
    summary="List operations, newest first",
)
async def list_operations(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[OperationQuery, Query()]
) -> Response:
    auth.require(viewer, Permission.EVERYONES if query.everyones else Permission.CLUSTERS_READ)
    scope = f"operations {viewer.user_id} {query.model_dump(exclude={'limit', 'cursor'})}"
    page = page_request(state, scope, query, query.sort)
    found = await state.reads.look(
        partial(
            store.page_for,
            viewer=viewer,
            page=page,
            everyones=query.everyones,
            cluster_id=query.cluster_id,
            instance_id=query.instance_id,
            status=query.status,
            kind=query.kind,
        )
    )
    return tagged(
        request,
        {
            "items": [views.operation(row) for row in found.items],
            "next_cursor": next_cursor(state, scope, query.sort, found.last),
        },
    )


@router.get(
    "/{operation}",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.OperationRead,
    summary="One operation",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, operation: uuid.UUID) -> Response:
    return tagged(request, views.operation(await operations.load(state.database, viewer, operation)))


@router.get(
    "/{operation}/wait",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.OperationRead,
    summary="Wait for an operation",
    description="Answers as soon as it is finished, or as it stands after `timeout` seconds.",
)
async def wait(
    state: CurrentState, viewer: CurrentViewer, operation: uuid.UUID, query: Annotated[Timeout, Query()]
) -> Response:
    seconds = min(query.timeout, state.settings.max_wait_seconds)
    found = await operations.wait(state.database, state.broadcaster, viewer, operation, seconds)
    return Json(views.operation(found))
