"""/api/v1/users"""

import time
import uuid
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from app import schemas
from app.database import Session
from app.errors import Invalid
from app.models import OperationStatus, Role
from app.routers import views
from app.routers.access import needs
from app.routers.deps import (
    CurrentAsker,
    CurrentState,
    CurrentViewer,
    IfMatch,
    Outcome,
    PageQuery,
    State,
    WaitQuery,
    key_of,
    next_cursor,
    page_request,
    request_id,
    seconds_to_wait,
    unchanged,
    write,
)
from app.routers.wire import Json, StrictRoute, sent, tagged
from app.rules.access import Permission, Viewer
from app.rules.naming import SEARCH_PATTERN
from app.rules.quota import DIMENSIONS, Amounts, account_of
from app.services import leaving, operations, users
from app.services.users import UserWish
from app.settings import Settings
from app.store import users as store

router = APIRouter(prefix="/users", tags=["users"], route_class=StrictRoute)

Key = Annotated[str, Path(min_length=1, max_length=100, description="An id or a username.", examples=["ada"])]


class UserQuery(PageQuery):
    sort: Literal["created_at", "-created_at", "username", "-username"] = "created_at"
    name: str | None = Field(
        None, min_length=1, max_length=63, pattern=SEARCH_PATTERN, description="Part of the username."
    )
    role: Role | None = None
    near_limit: bool = Field(False, description="Only who has used four fifths or more of any of their limits.")


class LeavingQuery(WaitQuery):
    clusters: Literal["delete", "transfer"] | None = Field(None, description="What becomes of the user's clusters.")
    to: str | None = Field(None, min_length=1, max_length=100, description="Whose they are then: a username or id.")


@router.post(
    "/",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=201,
    response_model=schemas.UserCreated,
    summary="Create a user",
    description="For administrators. The token is in this answer only.",
)
async def create(request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.UserCreate) -> Response:
    wish = UserWish(body.username, body.role, _quota(state, body), body.quota_strategy, body.kind)

    async def work(session: Session) -> Outcome:
        user, token = await users.create(session, viewer, wish, request_id())
        shown = views.user(user)
        return Outcome(shown | {"token": token}, remembered=shown | {"token": None})

    return (await write(request, state, viewer, work, status=201)).response


@router.get(
    "/",
    dependencies=[needs(Permission.USERS_READ)],
    response_model=schemas.Listing[schemas.UserRead],
    summary="List all users (administrators, operators)",
)
async def list_users(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[UserQuery, Query()]
) -> Response:
    scope = f"users {viewer.user_id} {query.model_dump(exclude={'limit', 'cursor'})}"
    page = page_request(state, scope, query, query.sort)
    wanted: dict[str, Any] = {"name": query.name, "role": query.role, "near_limit": query.near_limit}
    found = await state.reads.look(partial(store.all_page, page=page, **wanted))
    return tagged(
        request,
        {
            "items": [views.user(row) for row in found.items],
            "next_cursor": next_cursor(state, scope, query.sort, found.last),
        },
    )


@router.get("/me", dependencies=[needs(Permission.SELF_READ)], response_model=schemas.MeRead, summary="Who you are")
async def me(request: Request, state: CurrentState, viewer: CurrentViewer) -> Response:
    async with state.database.reading() as session:
        permissions = [permission for permission in Permission if viewer.may(permission)]
        return tagged(request, views.user(await users.load(session, viewer.user_id)) | {"permissions": permissions})


@router.get(
    "/me/quota",
    dependencies=[needs(Permission.SELF_READ)],
    response_model=schemas.QuotaRead,
    summary="What you may use, use, and have left",
)
async def my_quota(request: Request, state: CurrentState, asker: CurrentAsker) -> Response:
    key, shown = ("quota", asker["id"]), account_of(asker)
    answer = state.kept.find(key, shown) or state.kept.keep(key, shown, views.quota(asker))
    return sent(request, answer.body, answer.tag)


@router.post(
    "/me/token",
    dependencies=[needs(Permission.TOKENS_WRITE)],
    response_model=schemas.TokenRead,
    summary="Replace your token",
    description="All your earlier tokens stop working at once.",
)
async def rotate_mine(request: Request, state: CurrentState, viewer: CurrentViewer) -> Response:
    async def work(session: Session) -> Outcome:
        user = await users.load(session, viewer.user_id, lock=True)
        return _token(await users.rotate_token(session, viewer, user, request_id()))

    return (await write(request, state, viewer, work, status=200)).response


@router.get(
    "/{user}",
    dependencies=[needs(Permission.USERS_READ)],
    response_model=schemas.UserRead,
    summary="One user (administrators, operators)",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, user: Key) -> Response:
    async with state.database.reading() as session:
        return tagged(request, views.user(await users.load(session, key_of(user))))


@router.get(
    "/{user}/quota",
    dependencies=[needs(Permission.USERS_READ)],
    response_model=schemas.QuotaRead,
    summary="A user's quota (administrators, operators)",
)
async def quota(request: Request, state: CurrentState, viewer: CurrentViewer, user: Key) -> Response:
    async with state.database.reading() as session:
        return tagged(request, views.quota(vars(await users.load(session, key_of(user)))))


@router.patch(
    "/{user}",
    dependencies=[needs(Permission.USERS_WRITE)],
    response_model=schemas.UserRead,
    summary="Change a user's limits or role, disable or enable (administrators)",
    description="A limit below what is used blocks what is new and stops nothing that runs. Nor does disabling, unless "
    "`instances` says `stop`.",
)
async def change(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    user: Key,
    body: schemas.UserChange,
    if_match: IfMatch = None,
) -> Response:
    stop = body.instances == "stop"
    if stop:
        leaving.require(viewer, Permission.INSTANCES_OPERATE)
        if not body.disabled:
            raise Invalid("`instances` says what becomes of them when the user is disabled: say `disabled` too.")

    async def work(session: Session) -> Outcome:
        found = await users.load(session, key_of(user), lock=True)
        unchanged(if_match, lambda: views.user(found))
        wanted = body.model_dump(exclude={"instances"})
        changes: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        return Outcome(views.user(await users.change(session, viewer, found, changes, request_id())))

    written = await write(request, state, viewer, work, status=200)
    if stop and written.outcome is not None:
        stopped = await leaving.stop_all(state.database, viewer, written.outcome.body["id"], request_id())
        _seen_to(state, stopped)
    return written.response


@router.delete(
    "/{user}",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=204,
    response_class=Response,
    responses={202: {"model": schemas.UserLeaving, "description": "Their clusters are being deleted."}},
    summary="Delete a user (administrators)",
    description="Who still has clusters stays, unless `clusters` says what becomes of these. `transfer`: they are "
    "`to`'s at once, within that one's quota, all of them or none. `delete`: the user is disabled and each cluster is "
    "deleted; `wait` waits for that. 202 names what is still being deleted: then the same again deletes the user.",
)
async def delete(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    user: Key,
    query: Annotated[LeavingQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    if query.clusters == "delete":
        return await _end(request, state, viewer, user, query, if_match)
    to = query.to if query.clusters == "transfer" else None
    if (query.to is None) != (query.clusters is None):
        raise Invalid("`clusters=transfer` and `to` go together.")
    if to is not None:
        leaving.require(viewer, Permission.CLUSTERS_SHARE)

    async def work(session: Session) -> Outcome:
        moved = await leaving.give_all(session, viewer, key_of(user), key_of(to), request_id()) if to else []
        await _delete(session, viewer, user, if_match)
        return Outcome(None, nudge=moved)

    return (await write(request, state, viewer, work, status=204)).response


@router.post(
    "/{user}/token",
    dependencies=[needs(Permission.USERS_WRITE)],
    response_model=schemas.TokenRead,
    summary="Replace a user's token (administrators)",
    description="All earlier tokens of the user stop working at once.",
)
async def rotate(request: Request, state: CurrentState, viewer: CurrentViewer, user: Key) -> Response:
    async def work(session: Session) -> Outcome:
        found = await users.load(session, key_of(user), lock=True)
        return _token(await users.rotate_token(session, viewer, found, request_id()))

    return (await write(request, state, viewer, work, status=200)).response


async def _end(
    request: Request, state: State, viewer: Viewer, user: str, query: LeavingQuery, if_match: str | None
) -> Response:
    """Their clusters first; then the user, where nothing is left."""
    if query.to is not None:
        raise Invalid("`to` goes with `clusters=transfer`.")
    leaving.require(viewer, Permission.CLUSTERS_WRITE)

    async def begin(session: Session) -> Outcome:
        found = await users.load(session, key_of(user), lock=True)
        unchanged(if_match, lambda: views.user(found))
        deletions = await leaving.end_all(session, viewer, found, request_id())
        if not deletions:
            await users.delete(session, viewer, found, request_id())
        return Outcome([views.operation(one) for one in deletions], nudge=[one.cluster_id for one in deletions])

    begun = await state.database.run(begin)
    _seen_to(state, begun.nudge)
    if not begun.body:
        return Response(status_code=204)
    shown, until = begun.body, time.monotonic() + seconds_to_wait(request, state, query)
    if until > time.monotonic():
        ended = [
            await operations.wait(state.database, state.broadcaster, viewer, one["id"], until - time.monotonic())
            for one in shown
        ]
        if all(operation.status == OperationStatus.SUCCEEDED for operation in ended):
            await state.database.run(lambda session: _delete(session, viewer, user, None))
            return Response(status_code=204)
        shown = [views.operation(operation) for operation in ended]
    message = "The user is disabled and their clusters are being deleted. Send the same again when that is done."
    return Json({"message": message, "operations": shown}, 202)


async def _delete(session: Session, viewer: Viewer, user: str, if_match: str | None) -> None:
    found = await users.load(session, key_of(user), lock=True)
    unchanged(if_match, lambda: views.user(found))
    await users.delete(session, viewer, found, request_id())


def _seen_to(state: State, cluster_ids: list[uuid.UUID]) -> None:
    for id in cluster_ids:
        state.nudge(id)
    state.broadcaster.wake()


def default_quota(settings: Settings) -> Amounts:
    limits = {d: getattr(settings, f"default_quota_{d}") for d in DIMENSIONS}
    return Amounts(**limits | {"cpu": round(settings.default_quota_cpu * 1000)})


def _quota(state: State, body: schemas.UserCreate) -> Amounts:
    named = {d: limit for d in DIMENSIONS if (limit := getattr(body, f"quota_{d}")) is not None}
    return replace(default_quota(state.settings), **named)


def _token(token: str) -> Outcome:
    return Outcome({"token": token}, remembered={"token": None})
