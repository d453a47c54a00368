"""/api/v1/platform: how CMP itself is, for whoever looks after it"""

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Response

from app import schemas
from app.routers import views
from app.routers.access import needs
from app.routers.deps import CurrentState
from app.routers.wire import Json
from app.rules.access import Permission
from app.store import platform as store
from app.store import workers

router = APIRouter(prefix="/platform", tags=["platform"])

_LATE_SECONDS = 60.0
_REPAIRS = ("quota.drift", "orphan.found", "orphan.deleted")


@router.get(
    "/",
    dependencies=[needs(Permission.USERS_READ)],
    response_model=schemas.PlatformRead,
    summary="Workers, leases, and whether what must be so is so (administrators, operators)",
    description="Looked at now, and nothing is repaired by looking: workers do that every few minutes.",
)
async def get(state: CurrentState) -> Response:
    async with state.database.reading() as session:
        leases, held = await store.all_leases(session, store.NAMED)
        invariants = {
            "Counters of quotas are what the ledger adds up to": await store.all_off_their_ledger(session),
            "Each instance is charged for": await store.all_uncharged(session),
            "No worker died while it was at a cluster": await store.all_lost_leases(session),
            "Each cluster is looked at in time": await store.all_late(session, _LATE_SECONDS),
        }
        repairs = await store.all_told(session, _REPAIRS, store.NAMED)
        seen = await workers.all_seen_since(session, datetime.now(UTC) - workers.SILENT_AFTER)
    return Json(
        {
            "workers": [views.worker(row) for row in seen],
            "leases_held": held,
            "leases": [asdict(lease) for lease in leases],
            "invariants": [{"name": name, "holds": not found, "found": found} for name, found in invariants.items()],
            "repairs": [{"kind": row.kind, "message": row.message, "created_at": row.created_at} for row in repairs],
        }
    )
