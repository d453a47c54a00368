"""/api/v1/clusters"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from app import schemas
from app.database import Session
from app.errors import Invalid
from app.models import Cluster, InstanceType, Operation, OperationStatus
from app.routers import bulk, views
from app.routers.access import needs
from app.routers.deps import (
    CurrentState,
    CurrentViewer,
    IfMatch,
    Outcome,
    State,
    WaitQuery,
    Written,
    key_of,
    opened,
    request_id,
    sealing_of,
    seconds_to_wait,
    unchanged,
    warned,
    write,
)
from app.routers.wire import Json, StrictRoute, tagged
from app.rules.access import Permission, Viewer
from app.services import catalogue, changing, clusters, instances, operations, scaling
from app.services.catalogue import Offers, Size
from app.services.changing import Change
from app.services.clusters import ClusterView, ClusterWish
from app.settings import Settings
from app.store import clusters as store

router = APIRouter(prefix="/clusters", tags=["clusters"], route_class=StrictRoute)

Key = Annotated[
    str, Path(min_length=1, max_length=120, description="Its id, its name, or name@owner.", examples=["web"])
]


@router.post(
    "/",
    dependencies=[needs(Permission.CLUSTERS_WRITE)],
    status_code=201,
    response_model=schemas.ClusterRead,
    summary="Create a cluster",
    description="Answers at once, with the operation that makes it so; `wait` waits for that to finish. The size is a "
    "flavour of the catalogue, or CPU and memory where the policy allows that; likewise the image. What was chosen "
    "though it is deprecated is named in the header `Warning`.",
)
async def create(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    body: schemas.ClusterCreate,
    waiting: Annotated[WaitQuery, Query()],
) -> Response:
    offers = await state.catalogue.offers()

    # Chosen only when it comes to that: an answer that an Idempotency-Key repeats does not depend on today's offers.
    async def work(session: Session) -> Outcome:
        wish, warnings = _wish(state, offers, body)
        made = await clusters.create(session, viewer, wish, request_id())
        return _made(made, warnings, waits_for=made.operation)

    async def short_way() -> Outcome | None:
        wish, warnings = _wish(state, offers, body)
        made = await clusters.create_at_once(state.database, viewer, wish, request_id())
        return _made(made, warnings, waits_for=made.operation) if made is not None else None

    written = await write(request, state, viewer, work, status=201, short_way=short_way)
    return await _answered(request, state, viewer, waiting, written)


@router.get(
    "/{cluster}",
    dependencies=[needs(Permission.CLUSTERS_READ)],
    response_model=schemas.ClusterRead,
    summary="One cluster, with its instances",
)
async def get(request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key) -> Response:
    async with state.database.reading() as session:
        view = await clusters.load(session, viewer, key_of(cluster))
    return tagged(request, views.cluster(view))


@router.patch(
    "/{cluster}",
    dependencies=[needs(Permission.CLUSTERS_WRITE)],
    response_model=schemas.ClusterRead,
    summary="Change a cluster: size, image, settings, labels",
    description="Containers are resized where they run, and made again for another image or other settings: at most "
    "`max_unavailable` are down at a time, the lowest numbers go first, and the first that fails ends it. VMs take "
    "everything up at their next start; `restart_required` says which wait for one. While a change goes round the "
    "larger size is charged.",
)
async def change(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    cluster: Key,
    body: schemas.ClusterChange,
    waiting: Annotated[WaitQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    offers = await state.catalogue.offers()

    async def work(session: Session) -> Outcome:
        view = await scaling.hold(session, viewer, key_of(cluster))
        unchanged(if_match, lambda: views.cluster(view))
        wish, warnings = _change(state, offers, view.cluster, body)
        operation = await changing.change(session, viewer, view, wish, request_id())
        changed = await clusters.load(session, viewer, view.cluster.id)
        return _made(changed, warnings, waits_for=operation)

    return await _answered(request, state, viewer, waiting, await write(request, state, viewer, work, status=200))


@router.delete(
    "/{cluster}",
    dependencies=[needs(Permission.CLUSTERS_WRITE)],
    status_code=202,
    response_model=schemas.Accepted,
    summary="Delete a cluster",
    description="Its quota is released when Kubernetes has let go of all of it; `wait` waits for that.",
)
async def delete(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    cluster: Key,
    waiting: Annotated[WaitQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    async def work(session: Session) -> Outcome:
        view = await clusters.hold(session, viewer, key_of(cluster))
        unchanged(if_match, lambda: views.cluster(view))
        operation = await clusters.delete(session, viewer, view, request_id())
        message = f"Cluster {view.cluster.name} is being deleted."
        return Outcome({"message": message, "operation": views.operation(operation)}, nudge=[view.cluster.id])

    written = await write(request, state, viewer, work, status=202)
    seconds = seconds_to_wait(request, state, waiting)
    if written.outcome is None or seconds == 0:
        return written.response
    body = written.outcome.body
    operation = await operations.wait(state.database, state.broadcaster, viewer, body["operation"]["id"], seconds)
    gone = operation.status == OperationStatus.SUCCEEDED
    message = body["message"].replace("is being", "is") if gone else body["message"]
    return Json({"message": message, "operation": views.operation(operation)}, 202)


@router.post(
    "/delete",
    dependencies=[needs(Permission.CLUSTERS_WRITE)],
    response_model=schemas.BulkResult,
    summary="Delete many clusters",
)
async def delete_many(
    request: Request, state: CurrentState, viewer: CurrentViewer, body: schemas.BulkDelete
) -> Response:
    async def one(session: Session, id: str) -> bulk.Done:
        view = await clusters.hold(session, viewer, key_of(id))
        operation = await clusters.delete(session, viewer, view, request_id())
        return bulk.Done(operation, view.cluster.id)

    async def hold(session: Session, ids: list[str]) -> None:
        await store.lock_many(session, viewer, [key_of(id) for id in ids])

    return await bulk.answer(request, state, viewer, body.ids, one, hold=hold)


@router.post(
    "/{cluster}/operate",
    dependencies=[needs(Permission.INSTANCES_OPERATE)],
    response_model=schemas.BulkResult,
    summary="Operate on all instances of a cluster",
)
async def operate(
    request: Request, state: CurrentState, viewer: CurrentViewer, cluster: Key, body: schemas.Operate
) -> Response:
    async with state.database.reading() as session:
        view = await clusters.load(session, viewer, key_of(cluster))

    async def one(session: Session, id: str) -> bulk.Done:
        instance, operation = await instances.operate(
            session, viewer, key_of(id), body.operation, request_id(), body.grace_seconds
        )
        return bulk.Done(operation, instance.cluster_id)

    async def hold(session: Session, ids: list[str]) -> None:
        await instances.hold(session, viewer, [key_of(id) for id in ids], body.operation)

    return await bulk.answer(request, state, viewer, [str(member.id) for member in view.instances], one, hold=hold)


@router.post(
    "/{cluster}/scale",
    dependencies=[needs(Permission.CLUSTERS_WRITE)],
    response_model=schemas.ClusterRead,
    summary="Give a cluster more instances, or fewer",
    description="New instances take the lowest free numbers. The highest numbers go, unless `remove` names others. "
    "Quota of what goes is released when Kubernetes has let go of it; `wait` waits for that.",
)
async def scale(
    request: Request,
    state: CurrentState,
    viewer: CurrentViewer,
    cluster: Key,
    body: schemas.ClusterScale,
    waiting: Annotated[WaitQuery, Query()],
    if_match: IfMatch = None,
) -> Response:
    if (body.instance_count or 0) > state.settings.max_instances:
        raise Invalid(f"A cluster may have at most {state.settings.max_instances} instances here.")
    remove = [key_of(id) for id in body.remove or ()]

    async def work(session: Session) -> Outcome:
        view = await scaling.hold(session, viewer, key_of(cluster))
        unchanged(if_match, lambda: views.cluster(view))
        operation = await scaling.scale(session, viewer, view, body.instance_count, remove, request_id())
        return _made(await clusters.load(session, viewer, view.cluster.id), [], waits_for=operation)

    return await _answered(request, state, viewer, waiting, await write(request, state, viewer, work, status=200))


def _made(view: ClusterView, warnings: list[str], waits_for: Operation | None) -> Outcome:
    id = waits_for.id if waits_for is not None else None
    return Outcome(views.cluster(view), nudge=[view.cluster.id], headers=warned(warnings), operation=id)


async def _answered(request: Request, state: State, viewer: Viewer, waiting: WaitQuery, written: Written) -> Response:
    """What was written, or the cluster as it is when the operation is finished, where somebody waits for that."""
    seconds = seconds_to_wait(request, state, waiting)
    done = written.outcome
    if done is None or done.operation is None or seconds == 0:
        return written.response
    await operations.wait(state.database, state.broadcaster, viewer, done.operation, seconds)
    async with state.database.reading() as session:
        view = await clusters.load(session, viewer, done.body["id"])
    return Json(views.cluster(view), written.response.status_code, headers=done.headers)


def _wish(state: State, offers: Offers, body: schemas.ClusterCreate) -> tuple[ClusterWish, list[str]]:
    """What is asked for with its names looked up, and warnings."""
    settings = state.settings
    if body.instance_count > settings.max_instances:
        raise Invalid(f"A cluster may have at most {settings.max_instances} instances here.")
    size = catalogue.size(
        offers, body.instance_type, flavour=body.flavour, cpu=body.cpu_per_instance, memory=body.memory_per_instance
    )
    image = catalogue.image(
        offers, body.instance_type, body.image, otherwise=_default_images(settings)[body.instance_type]
    )
    own = body.settings()
    catalogue.require_allowed(offers, body.instance_type, own.images() if own is not None else [])
    wish = ClusterWish(
        name=body.name,
        instance_type=body.instance_type,
        cpu=size.cpu,
        memory=size.memory,
        count=body.instance_count,
        image=image.reference,
        labels=body.labels,
        image_name=image.name,
        flavour=size.flavour,
        max_unavailable=body.max_unavailable,
        spec=catalogue.sized(size, own.stored() if own is not None else {}),
        seal=sealing_of(state, own.secrets() if own is not None else {}),
    )
    return wish, [*size.warnings, *image.warnings]


def _change(state: State, offers: Offers, cluster: Cluster, body: schemas.ClusterChange) -> tuple[Change, list[str]]:
    """What is asked for with its names looked up, and warnings. Where the settings do not fit: as FastAPI says it."""
    kind = InstanceType(cluster.instance_type)
    size = image = None
    if body.flavour is not None:
        size = catalogue.size(offers, kind, flavour=body.flavour, cpu=None, memory=None)
    elif (body.cpu_per_instance, body.memory_per_instance) != (None, None):
        cpu, memory = body.cpu_per_instance or cluster.cpu_per_inst, body.memory_per_instance or cluster.memory_per_inst
        size = catalogue.size(offers, kind, flavour=None, cpu=cpu, memory=memory)
    if body.image is not None:
        image = catalogue.image(offers, kind, body.image, otherwise=body.image)
    secrets = opened(state, cluster)
    try:
        own = body.settings(kind, cluster.spec, secrets)
    except ValidationError as error:
        found = [{**item, "loc": ("body", schemas.SETTINGS[kind], *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from error
    except ValueError as error:
        raise Invalid(f"{error}.".capitalize()) from error
    catalogue.require_allowed(offers, kind, own.images() if own is not None else [])
    wish = Change(
        size=size,
        image=image,
        spec=_spec(cluster, size, own),
        seal=sealing_of(state, own.secrets()) if own is not None and own.secrets() != secrets else None,
        labels=schemas.merged(cluster.labels, body.labels) if body.labels is not None else None,
        max_unavailable=body.max_unavailable,
    )
    return wish, [*(size.warnings if size else ()), *(image.warnings if image else ())]


def _spec(cluster: Cluster, size: Size | None, own: schemas.Settings | None) -> dict[str, Any] | None:
    """None where it stays. Which instancetype or RuntimeClass it is belongs to the size."""
    if size is None and own is None:
        return None
    spec = {**cluster.spec, **(own.stored() if own is not None else {})}
    for name in {"instancetype", "runtime_class"} & spec.keys():
        spec[name] = cluster.spec.get(name) if size is None else None
    return catalogue.sized(size, spec) if size is not None else spec


def _default_images(settings: Settings) -> dict[InstanceType, str]:
    """Where the catalogue has no default."""
    return {
        InstanceType.CONTAINER: settings.default_container_image,
        InstanceType.VM: settings.default_vm_image,
    }
