"""/api/v1/users/…/password and …/identities: how a person may sign in"""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from app import schemas
from app.database import Session
from app.models import ProviderIdentity
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, Outcome, State, address_of, key_of, request_id, write
from app.routers.wire import StrictRoute, tagged
from app.rules.access import Permission, Viewer
from app.services import sign_ins, users
from app.store import sign_ins as store

router = APIRouter(prefix="/users", tags=["users"], route_class=StrictRoute)
Key = Annotated[str, Path(min_length=1, max_length=100, description="An id or a username.", examples=["ada"])]
_ENDS = "All sign-ins end, but the one that is used; API tokens stay."


@router.put(
    "/me/password",
    dependencies=[needs(Permission.TOKENS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Set your password",
    description=f"Where you have one, it is needed as `current_password`. {_ENDS}",
)
async def set_mine(
    request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.PasswordChange
) -> Response:
    return await _set(request, state, viewer, viewer.user_id, body)


@router.put(
    "/{user}/password",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Set a user's password (administrators)",
    description=_ENDS,
)
async def set_theirs(
    request: Request, state: CurrentState, viewer: CurrentViewer, user: Key, body: schemas.PasswordChange
) -> Response:
    return await _set(request, state, viewer, await _id_of(state, user), body)


@router.delete(
    "/{user}/password",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Take a user's password away (administrators)",
    description="Single sign-on and API tokens stay; all sign-ins end.",
)
async def remove(request: Request, state: CurrentState, viewer: CurrentViewer, user: Key) -> Response:
    async def work(session: Session) -> Outcome:
        found = await users.load(session, key_of(user), lock=True)
        await sign_ins.remove_password(session, viewer.username, found, request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response


@router.get(
    "/{user}/identities",
    dependencies=[needs(Permission.USERS_READ)],
    response_model=schemas.Listing[schemas.IdentityRead],
    summary="Whom single sign-on takes for this user (administrators, operators)",
)
async def list_theirs(request: Request, state: CurrentState, user: Key) -> Response:
    async with state.database.reading() as session:
        found = await store.identities_of(session, (await users.load(session, key_of(user))).id)
    return tagged(request, {"items": [_shown(identity) for identity in found], "next_cursor": None})


@router.post(
    "/{user}/identities",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=201,
    response_model=schemas.IdentityRead,
    summary="Link a provider's subject to a user (administrators)",
    description="People link their own by signing in with the provider while they are signed in here.",
)
async def link(
    request: Request, state: CurrentState, viewer: CurrentViewer, user: Key, body: schemas.IdentityCreate
) -> Response:
    async def work(session: Session) -> Outcome:
        found = await users.load(session, key_of(user), lock=True)
        made = await sign_ins.link(session, viewer.username, found, body.issuer, body.subject, request_id())
        return Outcome(_shown(made))

    return (await write(request, state, viewer, work, status=201)).response


@router.delete(
    "/{user}/identities/{identity}",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Unlink a provider's subject (administrators)",
    description="All sign-ins of the user end.",
)
async def unlink(
    request: Request, state: CurrentState, viewer: CurrentViewer, user: Key, identity: uuid.UUID
) -> Response:
    async def work(session: Session) -> Outcome:
        found = await users.load(session, key_of(user), lock=True)
        await sign_ins.unlink(session, viewer.username, found, identity, request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response


async def _set(
    request: Request, state: State, viewer: Viewer, user_id: uuid.UUID, body: schemas.PasswordChange
) -> Response:
    address = address_of(request)
    await state.gate.set_password(viewer, user_id, body.password, body.current_password, address, request_id())
    return Response(status_code=204)


async def _id_of(state: State, user: str) -> uuid.UUID:
    async with state.database.reading() as session:
        return (await users.load(session, key_of(user))).id


def _shown(identity: ProviderIdentity) -> dict[str, Any]:
    return {
        "id": identity.id,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "created_at": identity.created_at,
    }
