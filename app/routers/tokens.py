"""/api/v1/tokens, and /api/v1/users/{user}/tokens for administrators"""

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from app import schemas
from app.database import Session
from app.models import ApiToken, CredentialKind
from app.routers.access import needs
from app.routers.deps import (
    CurrentState,
    CurrentViewer,
    Outcome,
    PageQuery,
    State,
    key_of,
    next_cursor,
    page_request,
    request_id,
    write,
)
from app.routers.wire import StrictRoute, tagged
from app.rules.access import Permission, Viewer
from app.services import tokens, users
from app.services.tokens import TokenWish
from app.store import tokens as store

router = APIRouter(prefix="/tokens", tags=["users"], route_class=StrictRoute)
of_users = APIRouter(prefix="/users/{user}/tokens", tags=["users"], route_class=StrictRoute)
Key = Annotated[str, Path(min_length=1, max_length=100, description="An id or a username.", examples=["ada"])]
_Created, _Listing = schemas.ApiTokenCreated, schemas.Listing[schemas.ApiTokenRead]
_ONCE = "The token is in this answer only. It has no more scopes and no longer life than the one that is used."


class TokenQuery(PageQuery):
    sort: Literal["created_at", "-created_at"] = "created_at"
    kind: CredentialKind | None = None


Wanted = Annotated[TokenQuery, Query()]


@router.get(
    "/", dependencies=[needs(Permission.SELF_READ)], response_model=_Listing, summary="Your tokens and sign-ins"
)
async def list_mine(request: Request, state: CurrentState, viewer: CurrentViewer, query: Wanted) -> Response:
    return await _listed(request, state, viewer, viewer.user_id, query)


@router.post(
    "/",
    dependencies=[needs(Permission.TOKENS_WRITE)],
    status_code=201,
    response_model=_Created,
    summary="Make a token for yourself",
    description=_ONCE,
)
async def create(request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.TokenCreate) -> Response:
    return await _created(request, state, viewer, viewer.user_id, body)


@router.delete(
    "/{token}",
    dependencies=[needs(Permission.TOKENS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Revoke one of your tokens, or end a sign-in",
)
async def revoke(request: Request, state: CurrentState, viewer: CurrentViewer, token: uuid.UUID) -> Response:
    return await _revoked(request, state, viewer, viewer.user_id, token)


@of_users.get(
    "/",
    dependencies=[needs(Permission.USERS_READ)],
    response_model=_Listing,
    summary="A user's tokens (administrators, operators)",
)
async def list_theirs(
    request: Request, state: CurrentState, viewer: CurrentViewer, user: Key, query: Wanted
) -> Response:
    async with state.database.reading() as session:
        found = await users.load(session, key_of(user))
    return await _listed(request, state, viewer, found.id, query)


@of_users.post(
    "/",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=201,
    response_model=_Created,
    summary="Make a token for a user (administrators)",
    description=_ONCE,
)
async def create_theirs(
    request: Request, state: CurrentState, viewer: CurrentViewer, user: Key, body: schemas.TokenCreate
) -> Response:
    return await _created(request, state, viewer, key_of(user), body)


@of_users.delete(
    "/{token}",
    dependencies=[needs(Permission.USERS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Revoke a user's token (administrators)",
)
async def revoke_theirs(
    request: Request, state: CurrentState, viewer: CurrentViewer, user: Key, token: uuid.UUID
) -> Response:
    return await _revoked(request, state, viewer, key_of(user), token)


async def _listed(request: Request, state: State, viewer: Viewer, user_id: uuid.UUID, query: TokenQuery) -> Response:
    scope = f"tokens {viewer.user_id} {user_id} {query.kind}"
    page = page_request(state, scope, query, query.sort)
    async with state.database.reading() as session:
        found = await store.page_of_user(session, user_id, page, query.kind)
    following = next_cursor(state, scope, query.sort, found.last)
    return tagged(request, {"items": [_shown(token) for token in found.items], "next_cursor": following})


async def _created(
    request: Request, state: State, viewer: Viewer, user: uuid.UUID | str, body: schemas.TokenCreate
) -> Response:
    wish = TokenWish(
        body.name, CredentialKind(body.kind), None if body.scopes is None else frozenset(body.scopes), body.expires_at
    )

    async def work(session: Session) -> Outcome:
        found = await users.load(session, user, lock=True)
        token, secret = await tokens.create(session, viewer, found, wish, request_id())
        return Outcome(_shown(token) | _secret(token, secret), remembered=_shown(token) | _secret(token, None))

    return (await write(request, state, viewer, work, status=201)).response


async def _revoked(request: Request, state: State, viewer: Viewer, user: uuid.UUID | str, id: uuid.UUID) -> Response:
    async def work(session: Session) -> Outcome:
        found = await users.load(session, user, lock=True)
        await tokens.revoke(session, viewer, found.id, id, request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response


def _secret(token: ApiToken, secret: str | None) -> dict[str, Any]:
    if token.kind == CredentialKind.CLIENT:
        return {"token": None, "client_id": token.id, "client_secret": secret}
    return {"token": secret, "client_id": None, "client_secret": None}


def _shown(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "kind": token.kind,
        "hint": token.hint,
        "scopes": None if token.scopes is None else token.scopes.split(),
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "created_at": token.created_at,
    }
