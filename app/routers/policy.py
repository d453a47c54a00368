"""/api/v1/policy: what may be chosen beside the catalogue"""

from fastapi import APIRouter, Request, Response

from app import schemas
from app.database import Session
from app.routers import entries, views
from app.routers.access import needs
from app.routers.deps import CurrentState, CurrentViewer, IfMatch, Outcome, request_id, unchanged
from app.routers.wire import StrictRoute, tagged
from app.rules.access import Permission
from app.services import catalogue

router = APIRouter(prefix="/policy", tags=["catalogue"], route_class=StrictRoute)


@router.get(
    "/",
    dependencies=[needs(Permission.CATALOGUE_READ)],
    response_model=schemas.PolicyRead,
    summary="What you may choose beside the catalogue",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer) -> Response:
    async with state.database.reading() as session:
        return tagged(request, views.policy(await catalogue.policy(session, viewer)))


@router.patch(
    "/",
    dependencies=[needs(Permission.CATALOGUE_WRITE)],
    response_model=schemas.PolicyRead,
    summary="Change what users may choose beside the catalogue (administrators)",
    description="For what is made or changed from now on, in every process within five seconds; what runs goes on.",
)
async def change(
    request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.PolicyChange, if_match: IfMatch = None
) -> Response:
    async def work(session: Session) -> Outcome:
        held = await catalogue.hold(session, viewer)
        unchanged(if_match, lambda: views.policy(held))
        await catalogue.change_policy(session, viewer, held, body.changes(), request_id())
        return Outcome(views.policy(held))

    return await entries.write(request, state, viewer, work, status=200)
