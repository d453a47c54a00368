"""/health, /livez, /readyz: for people, for supervisors, for load balancers. No token needed, nothing secret told."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app import schemas, telemetry
from app.errors import CmpError
from app.routers.access import PUBLIC
from app.routers.deps import CurrentState, State
from app.routers.wire import Json
from app.store import workers

router = APIRouter(tags=["health"])


@router.get("/health", dependencies=[PUBLIC], response_model=schemas.Health, summary="Every part and how it is")
async def health(state: CurrentState) -> Response:
    parts = {"database": await _database(state)}
    if parts["database"]["ok"]:
        parts |= await _workers(state)
    well = all(part["ok"] for part in parts.values())
    return Json({"status": "ok" if well else "degraded", "version": telemetry.VERSION, "parts": parts})


@router.get("/livez", dependencies=[PUBLIC], response_class=PlainTextResponse, summary="Whether the process is alive")
async def livez() -> str:
    return "ok"


@router.get(
    "/readyz",
    dependencies=[PUBLIC],
    response_class=PlainTextResponse,
    summary="Whether this process can serve requests",
    description="Kubernetes being away does not matter here: wishes are taken and fulfilled later. 503 also for "
    "CMP_DRAIN_SECONDS before the process ends: send it no new requests.",
    responses={503: {"description": "Not now.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def readyz(state: CurrentState) -> Response:
    if state.draining:
        return PlainTextResponse("about to end", 503)
    database = await _database(state)
    if not database["ok"]:
        return PlainTextResponse(str(database["detail"]), 503)
    return PlainTextResponse("ok")


async def _database(state: State) -> dict[str, object]:
    try:
        await state.database.ping()
    except CmpError as error:
        return {"ok": False, "detail": error.message}
    return {"ok": True, "detail": state.database.dialect}


async def _workers(state: State) -> dict[str, dict[str, object]]:
    async with state.database.reading() as session:
        seen = await workers.all_seen_since(session, datetime.now(UTC) - workers.SILENT_AFTER)
    if not seen:
        silent = {"ok": False, "detail": "No worker is at work: wishes are taken, but nothing is made of them yet."}
        return {"worker": silent, "kubernetes": {"ok": False, "detail": "unknown: only workers speak to it"}}
    failing = [worker.kubernetes_error for worker in seen if worker.kubernetes_error]
    kubernetes = failing[0] if failing else (seen[0].kubernetes or "connecting")
    return {
        "worker": {"ok": True, "detail": f"{len(seen)} at work"},
        "kubernetes": {"ok": not failing, "detail": kubernetes},
    }
