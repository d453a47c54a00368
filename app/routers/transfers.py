"""/api/v1/transfers, and how one begins: /api/v1/clusters/{cluster}/transfer"""

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from app import schemas
from app.database import Session
from app.routers import views
from app.routers.access import needs
from app.routers.deps import (
    CurrentState,
    CurrentViewer,
    Outcome,
    PageQuery,
    key_of,
    next_cursor,
    page_request,
    request_id,
    write,
)
from app.routers.wire import StrictRoute, tagged
from app.rules.access import Permission
from app.services import transfers
from app.store import transfers as store

router = APIRouter(prefix="/transfers", tags=["clusters"], route_class=StrictRoute)
of_clusters = APIRouter(prefix="/clusters/{cluster}/transfer", tags=["clusters"], route_class=StrictRoute)

Key = Annotated[
    str, Path(min_length=1, max_length=120, description="Its id, its name, or name@owner.", examples=["web"])
]


class TransferQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"


@of_clusters.post(
    "",
    dependencies=[needs(Permission.CLUSTERS_SHARE)],
    response_model=schemas.TransferRead,
    summary="Offer a cluster to another user",
    description="Only by its owner, or whoever looks after everybody's. It changes hands when the receiver accepts: it "
    "takes their quota. An offer to another replaces it.",
)
async def offer(
    request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key, body: schemas.TransferCreate
) -> Response:
    async def work(session: Session) -> Outcome:
        return Outcome(
            views.transfer(await transfers.offer(session, viewer, key_of(cluster), key_of(body.to), request_id()))
        )

    return (await write(request, state, viewer, work, status=200)).response


@of_clusters.put(
    "",
    dependencies=[needs(Permission.USERS_WRITE)],
    response_model=schemas.ClusterRead,
    summary="Give a cluster to another user at once (administrators)",
    description="Without the receiver's word, within the receiver's quota.",
)
async def move(
    request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key, body: schemas.TransferCreate
) -> Response:
    async def work(session: Session) -> Outcome:
        view = await transfers.move(session, viewer, key_of(cluster), key_of(body.to), request_id())
        return Outcome(views.cluster(view), nudge=[view.cluster.id])

    return (await write(request, state, viewer, work, status=200)).response


@router.get(
    "/",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.Listing[schemas.TransferRead],
    summary="What you offer, and what is offered to you",
)
async def list_transfers(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[TransferQuery, Query()]
) -> Response:
    scope = f"transfers {viewer.user_id}"
    page = page_request(state, scope, query, query.sort)
    async with state.database.reading() as session:
        found = await store.page_for(session, viewer, page)
    following = next_cursor(state, scope, query.sort, found.last)
    return tagged(request, {"items": [views.transfer(row) for row in found.items], "next_cursor": following})


@router.get(
    "/{transfer}",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.TransferRead,
    summary="One offer",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, transfer: uuid.UUID) -> Response:
    async with state.database.reading() as session:
        return tagged(request, views.transfer(await transfers.get(session, viewer, transfer)))


@router.post(
    "/{transfer}/accept",
    dependencies=[needs(Permission.CLUSTERS_SHARE)],
    response_model=schemas.ClusterRead,
    summary="Accept a cluster that is offered to you",
    description="It is yours then, with what it charges; those it was shared with lose it.",
)
async def accept(request: Request, state: CurrentState, viewer: CurrentViewer, transfer: uuid.UUID) -> Response:
    async def work(session: Session) -> Outcome:
        view = await transfers.accept(session, viewer, transfer, request_id())
        return Outcome(views.cluster(view), nudge=[view.cluster.id])

    return (await write(request, state, viewer, work, status=200)).response


@router.delete(
    "/{transfer}",
    dependencies=[needs(Permission.CLUSTERS_SHARE)],
    status_code=204,
    response_class=Response,
    summary="Withdraw an offer, or decline it",
)
async def delete(request: Request, state: CurrentState, viewer: CurrentViewer, transfer: uuid.UUID) -> Response:
    async def work(session: Session) -> Outcome:
        await transfers.withdraw(session, viewer, transfer, request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response
