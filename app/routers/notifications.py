"""/api/v1/notifications: where one is told of failures and of one's quota."""

import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from app import schemas
from app.database import Session
from app.errors import Unsupported
from app.models import Channel, Delivery, Subscription
from app.routers.access import needs
from app.routers.deps import (
    CurrentState,
    CurrentViewer,
    Outcome,
    PageQuery,
    State,
    next_cursor,
    page_request,
    request_id,
    sealing_of,
    write,
)
from app.routers.wire import StrictRoute, tagged
from app.rules.access import Permission
from app.rules.addresses import Fence
from app.rules.sealing import NoKey
from app.services import notifications
from app.services.notifications import SubscriptionWish, Ways
from app.settings import Settings
from app.store import notifications as store

router = APIRouter(prefix="/notifications", tags=["notifications"], route_class=StrictRoute)


class SubscriptionQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "created_at"


class DeliveryQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "-created_at"


@router.get(
    "/",
    dependencies=[needs(Permission.SELF_READ)],
    response_model=schemas.Listing[schemas.SubscriptionRead],
    summary="Where you are told of what",
)
async def list_subscriptions(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[SubscriptionQuery, Query()]
) -> Response:
    scope = f"notifications {viewer.user_id}"
    page = page_request(state, scope, query, query.sort)
    async with state.database.reading() as session:
        found = await store.page_for(session, viewer, page)
    following = next_cursor(state, scope, query.sort, found.last)
    return tagged(request, {"items": [_shown(row) for row in found.items], "next_cursor": following})


@router.post(
    "/",
    dependencies=[needs(Permission.NOTIFICATIONS_WRITE)],
    status_code=201,
    response_model=schemas.SubscriptionCreated,
    summary="Be told by webhook or mail",
    description="Webhooks are signed as Standard Webhooks has it, with a secret that is in this answer only. A mail "
    "address gets a code first, to be confirmed with.",
)
async def create(
    request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.SubscriptionCreate
) -> Response:
    secret = notifications.secret_for(body.channel)
    wish = SubscriptionWish(
        body.channel, body.target, frozenset(body.topics), secret, sealing_of(state, {"secret": secret})
    )

    async def work(session: Session) -> Outcome:
        made = await notifications.create(session, viewer, wish, _ways(state.settings), request_id())
        shown = secret if body.channel == Channel.WEBHOOK else None
        return Outcome(_shown(made) | {"secret": shown}, remembered=_shown(made) | {"secret": None})

    return (await write(request, state, viewer, work, status=201)).response


@router.get(
    "/{subscription}",
    dependencies=[needs(Permission.SELF_READ)],
    response_model=schemas.SubscriptionRead,
    summary="One subscription",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, subscription: uuid.UUID) -> Response:
    async with state.database.reading() as session:
        return tagged(request, _shown(await notifications.load(session, viewer, subscription)))


@router.delete(
    "/{subscription}",
    dependencies=[needs(Permission.NOTIFICATIONS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Be told there no more",
    description="What is waiting to be delivered goes with it.",
)
async def delete(request: Request, state: CurrentState, viewer: CurrentViewer, subscription: uuid.UUID) -> Response:
    async def work(session: Session) -> Outcome:
        await notifications.delete(session, viewer, subscription, request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response


@router.post(
    "/{subscription}/confirm",
    dependencies=[needs(Permission.NOTIFICATIONS_WRITE)],
    response_model=schemas.SubscriptionRead,
    summary="Confirm a mail address",
)
async def confirm(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    subscription: uuid.UUID,
    body: schemas.SubscriptionConfirm,
) -> Response:
    async def work(session: Session) -> Outcome:
        return Outcome(_shown(await notifications.confirm(session, viewer, subscription, body.code, _opened(state))))

    return (await write(request, state, viewer, work, status=200)).response


@router.post(
    "/{subscription}/test",
    dependencies=[needs(Permission.NOTIFICATIONS_WRITE)],
    response_model=schemas.DeliveryRead,
    summary="Be sent a ping now",
)
async def test(request: Request, state: CurrentState, viewer: CurrentViewer, subscription: uuid.UUID) -> Response:
    async def work(session: Session) -> Outcome:
        return Outcome(_delivery(await notifications.test(session, viewer, subscription)))

    return (await write(request, state, viewer, work, status=200)).response


@router.get(
    "/{subscription}/deliveries",
    dependencies=[needs(Permission.SELF_READ)],
    response_model=schemas.Listing[schemas.DeliveryRead],
    summary="What was sent to a subscription, and what became of it",
)
async def deliveries(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    subscription: uuid.UUID,
    query: Annotated[DeliveryQuery, Query()],
) -> Response:
    scope = f"deliveries {viewer.user_id} {subscription}"
    page = page_request(state, scope, query, query.sort)
    async with state.database.reading() as session:
        await notifications.load(session, viewer, subscription)
        found = await store.deliveries_of(session, subscription, page)
    following = next_cursor(state, scope, query.sort, found.last)
    return tagged(request, {"items": [_delivery(row) for row in found.items], "next_cursor": following})


@router.post(
    "/{subscription}/deliveries/{delivery}/resend",
    dependencies=[needs(Permission.NOTIFICATIONS_WRITE)],
    response_model=schemas.DeliveryRead,
    summary="Send a message again",
    description="Under the same id, and tried again for a day.",
)
async def resend(
    request: Request, state: CurrentState, viewer: CurrentViewer, subscription: uuid.UUID, delivery: uuid.UUID
) -> Response:
    async def work(session: Session) -> Outcome:
        return Outcome(_delivery(await notifications.resend(session, viewer, subscription, delivery, request_id())))

    return (await write(request, state, viewer, work, status=200)).response


def _ways(settings: Settings) -> Ways:
    fence = Fence(settings.egress_except, settings.webhook_cidrs)
    return Ways(mail=settings.smtp_host is not None, http=settings.webhook_http, fence=fence)


def _opened(state: State) -> Callable[[Subscription], str]:
    def opened(row: Subscription) -> str:
        try:
            return str(state.sealer.open(row.secret or "", str(row.id))["secret"])
        except NoKey as error:
            raise Unsupported(
                "The code was sealed with a key that this installation does not have now. Subscribe again."
            ) from error

    return opened


def _shown(row: Subscription) -> dict[str, Any]:
    return {
        "id": row.id,
        "channel": row.channel,
        "target": row.target,
        "topics": row.topics.split(),
        "confirmed": row.confirmed_at is not None,
        "failures": row.failures,
        "created_at": row.created_at,
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "topic": row.topic,
        "status": row.status,
        "attempts": row.attempts,
        "said": row.said,
        "tried_at": row.tried_at,
        "next_try_at": row.due_at,
        "created_at": row.created_at,
    }
