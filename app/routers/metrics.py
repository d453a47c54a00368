"""/metrics: the numbers of this process, for those who may. CMP_METRICS_PORT serves the same without asking who."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.routers.access import needs
from app.rules.access import Permission
from app.telemetry import metrics

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    dependencies=[needs(Permission.METRICS_READ)],
    summary="The metrics of this process",
    description="For Prometheus, as text or OpenMetrics. docs/metrics.md says what each of them is.",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics."}},
)
async def read(request: Request) -> Response:
    text, media_type = await run_in_threadpool(metrics.exposed, request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": media_type})
