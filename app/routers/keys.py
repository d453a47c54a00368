"""/api/v1/signing-keys and /api/v1/secrets: what administrators do about keys"""

from dataclasses import asdict

from fastapi import APIRouter, Response

from app import schemas
from app.routers.access import needs
from app.routers.deps import CurrentState
from app.routers.wire import Json
from app.rules.access import Permission
from app.services import secrets

router = APIRouter(prefix="/signing-keys", tags=["keys"])
of_secrets = APIRouter(prefix="/secrets", tags=["keys"])


@router.post(
    "/",
    dependencies=[needs(Permission.PLATFORM_WRITE)],
    status_code=204,
    response_class=Response,
    summary="Sign access tokens with a new key (administrators)",
    description="Nobody is signed out: earlier keys verify until what they signed has ended. With `withdraw`, for a "
    "key that was stolen, access tokens that they signed end within a minute; refresh tokens get new ones.",
)
async def rotate(state: CurrentState, withdraw: bool = False) -> Response:
    await state.access_tokens.rotate(withdraw=withdraw)
    return Response(status_code=204)


@of_secrets.post(
    "/reseal",
    dependencies=[needs(Permission.PLATFORM_WRITE)],
    response_model=schemas.Resealed,
    summary="Seal secrets with the newest key (administrators)",
    description="After a new key was put in front of the others in CMP_SECRET_KEY of every process. When nothing is "
    "unreadable, only the audit trail still needs the earlier keys.",
)
async def reseal(state: CurrentState) -> Response:
    return Json(asdict(await secrets.reseal(state.database, state.sealer)))
