"""/api/v1/instances"""

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from app import schemas
from app.database import Session
from app.models import Instance, InstanceStatus, InstanceType
from app.routers import bulk, views
from app.routers.access import needs
from app.routers.deps import (
    CurrentState,
    CurrentViewer,
    IfMatch,
    Outcome,
    PageQuery,
    WaitQuery,
    key_of,
    next_cursor,
    page_request,
    request_id,
    seconds_to_wait,
    unchanged,
    write,
)
from app.routers.wire import Json, StrictRoute, tagged
from app.rules.access import Access, Permission, Viewer
from app.rules.naming import SEARCH_PATTERN
from app.services import clusters, instances, operations, scaling
from app.store import instances as store
from app.store.paging import Page

router = APIRouter(prefix="/instances", tags=["instances"], route_class=StrictRoute)

Key = Annotated[
    str, Path(min_length=1, max_length=120, description="Its id, its name, or name@owner.", examples=["web-instance-1"])
]


class InstanceQuery(PageQuery):
    sort: Literal["created_at", "-created_at", "name", "-name"] = "created_at"
    name: str | None = Field(None, min_length=1, max_length=63, pattern=SEARCH_PATTERN, description="Part of the name.")
    status: InstanceStatus | None = None
    instance_type: InstanceType | None = None
    cluster: str | None = Field(None, min_length=1, max_length=120, description="A cluster's id or name.")


@router.get(
    "/",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.Listing[schemas.InstanceRead],
    summary="List your instances",
)
async def list_instances(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[InstanceQuery, Query()]
) -> Response:
    scope = f"instances {viewer.user_id} {query.model_dump(exclude={'limit', 'cursor'})}"
    page = page_request(state, scope, query, query.sort)

    async def read(session: Session) -> tuple[Access, Page[Instance]]:
        cluster = await clusters.load(session, viewer, key_of(query.cluster)) if query.cluster is not None else None
        found = await store.page_for(
            session,
            viewer,
            page,
            everyones=cluster is not None,
            cluster_id=cluster.cluster.id if cluster is not None else None,
            name=query.name,
            status=query.status,
            instance_type=query.instance_type,
        )
        return cluster.access if cluster is not None else Access.OWNER, found

    access, found = await state.reads.look(read)
    return tagged(
        request,
        {
            "items": [views.instance(row, viewer, access) for row in found.items],
            "next_cursor": next_cursor(state, scope, query.sort, found.last),
        },
    )


@router.get(
    "/{instance}",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.InstanceRead,
    summary="One instance",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, instance: Key) -> Response:
    async with state.database.reading() as session:
        return tagged(request, await _shown(session, viewer, key_of(instance)))


@router.post(
    "/{instance}/operate",
    dependencies=[needs(Permission.INSTANCES_OPERATE)],
    response_model=schemas.OperateResult,
    summary="Start, stop, suspend, resume, restart, reboot, migrate or replace an instance",
    description="`replace` makes it anew under its name, its disks included: what they held is gone. 409 names what is "
    "possible when this is not. `wait` waits for the operation to finish.",
)
async def operate(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    instance: Key,
    body: schemas.Operate,
    waiting: Annotated[WaitQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    async def work(session: Session) -> Outcome:
        if if_match is not None:
            await instances.hold_one(session, viewer, key_of(instance), body.operation)
            shown = await _shown(session, viewer, key_of(instance), lock=True)
            unchanged(if_match, lambda: shown)
        changed, operation = await instances.operate(
            session, viewer, key_of(instance), body.operation, request_id(), body.grace_seconds
        )
        return Outcome(
            {"instance": await _shown(session, viewer, changed.id), "operation": views.operation(operation)},
            nudge=[changed.cluster_id],
        )

    written = await write(request, state, viewer, work, status=200)
    seconds = seconds_to_wait(request, state, waiting)
    if written.outcome is None or seconds == 0:
        return written.response
    operation = await operations.wait(
        state.database, state.broadcaster, viewer, written.outcome.body["operation"]["id"], seconds
    )
    async with state.database.reading() as session:
        shown = await _shown(session, viewer, written.outcome.body["instance"]["id"])
    return Json({"instance": shown, "operation": views.operation(operation)})


@router.delete(
    "/{instance}",
    dependencies=[needs(Permission.CLUSTERS_WRITE)],
    status_code=202,
    response_model=schemas.Accepted,
    summary="Take this instance away from its cluster",
    description="Its cluster has one less; its disks go with it. Quota is released when Kubernetes has let go of it; "
    "`wait` waits for that. To have it made anew instead, operate `replace`.",
)
async def delete(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    instance: Key,
    waiting: Annotated[WaitQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    async def work(session: Session) -> Outcome:
        id, cluster_id = await instances.place_of(session, viewer, key_of(instance))
        view = await scaling.hold(session, viewer, cluster_id)
        if if_match is not None:
            shown = await _shown(session, viewer, id)
            unchanged(if_match, lambda: shown)
        operation = await scaling.remove(session, viewer, view, id, request_id())
        message = "The instance is being deleted."
        return Outcome({"message": message, "operation": views.operation(operation)}, nudge=[cluster_id])

    written = await write(request, state, viewer, work, status=202)
    seconds = seconds_to_wait(request, state, waiting)
    if written.outcome is None or seconds == 0:
        return written.response
    body = written.outcome.body
    operation = await operations.wait(state.database, state.broadcaster, viewer, body["operation"]["id"], seconds)
    return Json({"message": body["message"], "operation": views.operation(operation)}, 202)


@router.post(
    "/operate",
    dependencies=[needs(Permission.INSTANCES_OPERATE)],
    response_model=schemas.BulkResult,
    summary="Operate on many instances",
)
async def operate_many(
    request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.BulkOperate
) -> Response:
    async def one(session: Session, id: str) -> bulk.Done:
        instance, operation = await instances.operate(
            session, viewer, key_of(id), body.operation, request_id(), body.grace_seconds
        )
        return bulk.Done(operation, instance.cluster_id)

    async def hold(session: Session, ids: list[str]) -> None:
        await instances.hold(session, viewer, [key_of(id) for id in ids], body.operation)

    return await bulk.answer(request, state, viewer, body.ids, one, hold=hold)


async def _shown(session: Session, viewer: Viewer, key: uuid.UUID | str, *, lock: bool = False) -> dict[str, Any]:
    found, cluster = await instances.load(session, viewer, key, lock=lock)
    return views.instance(found, viewer, await instances.access_to(session, viewer, cluster))
