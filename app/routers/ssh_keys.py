"""/api/v1/ssh-keys: public keys that are saved under a name, for VMs to be given."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from app import schemas
from app.database import Session
from app.models import SshKey
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
from app.services import ssh_keys
from app.store import ssh_keys as store

router = APIRouter(prefix="/ssh-keys", tags=["users"], route_class=StrictRoute)
Key = Annotated[str, Path(min_length=1, max_length=100, description="Its id or its name.", examples=["laptop"])]


class SshKeyQuery(PageQuery):
    sort: Literal["created_at", "-created_at", "name", "-name"] = "created_at"


@router.get(
    "/",
    dependencies=[needs(Permission.SELF_READ)],
    response_model=schemas.Listing[schemas.SshKeyRead],
    summary="Your saved SSH keys",
)
async def list_ssh_keys(
    request: Request, state: CurrentState, viewer: CurrentViewer, query: Annotated[SshKeyQuery, Query()]
) -> Response:
    scope = f"ssh-keys {viewer.user_id}"
    page = page_request(state, scope, query, query.sort)
    async with state.database.reading() as session:
        found = await store.page_for(session, viewer, page)
    following = next_cursor(state, scope, query.sort, found.last)
    return tagged(request, {"items": [_shown(row) for row in found.items], "next_cursor": following})


@router.post(
    "/",
    dependencies=[needs(Permission.TOKENS_WRITE)],
    status_code=201,
    response_model=schemas.SshKeyRead,
    summary="Save a public SSH key under a name",
    description="`vm.ssh_keys` of a cluster takes that name for the key.",
)
async def create(request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.SshKeyCreate) -> Response:
    async def work(session: Session) -> Outcome:
        return Outcome(_shown(await ssh_keys.create(session, viewer, body.name, body.public_key, request_id())))

    return (await write(request, state, viewer, work, status=201)).response


@router.get(
    "/{ssh_key}",
    dependencies=[needs(Permission.SELF_READ)],
    response_model=schemas.SshKeyRead,
    summary="One of your SSH keys",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, ssh_key: Key) -> Response:
    async with state.database.reading() as session:
        return tagged(request, _shown(await ssh_keys.load(session, viewer, key_of(ssh_key))))


@router.delete(
    "/{ssh_key}",
    dependencies=[needs(Permission.TOKENS_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Delete one of your SSH keys",
    description="VMs that were made or changed with it keep it.",
)
async def delete(request: Request, state: CurrentState, viewer: CurrentViewer, ssh_key: Key) -> Response:
    async def work(session: Session) -> Outcome:
        await ssh_keys.delete(session, viewer, key_of(ssh_key), request_id())
        return Outcome(None)

    return (await write(request, state, viewer, work, status=204)).response


def _shown(key: SshKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "public_key": key.public_key,
        "fingerprint": key.fingerprint,
        "created_at": key.created_at,
    }
