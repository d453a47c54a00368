"""GET /api/v1/clusters: the hottest read there is, see docs/adr/0014"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app import auth, schemas
from app.database import Row
from app.errors import Invalid, NotFound
from app.models import ClusterPhase, InstanceType
from app.routers import queries, views
from app.routers.access import needs
from app.routers.deps import (
    PageQuery,
    State,
    next_cursor,
    noted,
    page_request,
    presented,
    state_of,
)
from app.routers.wire import BareRoute, sent
from app.rules.access import Access, Permission, Viewer
from app.rules.naming import LABEL_FILTER_PATTERN, SEARCH_PATTERN
from app.store import clusters as store
from app.store import users
from app.store.paging import Page

router = APIRouter(prefix="/clusters", tags=["clusters"])

LabelFilter = Annotated[str, Field(max_length=127, pattern=LABEL_FILTER_PATTERN)]


class ClusterQuery(PageQuery):
    sort: Literal["created_at", "-created_at", "name", "-name"] = "-created_at"
    name: str | None = Field(None, min_length=1, max_length=63, pattern=SEARCH_PATTERN, description="Part of the name.")
    phase: ClusterPhase | None = None
    instance_type: InstanceType | None = None
    label: list[LabelFilter] = Field(
        default_factory=list, max_length=8, description="key=value; all of them must match."
    )
    owner: str | None = Field(
        None,
        min_length=1,
        max_length=63,
        pattern=r"^(\*|[-._@A-Za-z0-9]+)$",
        description="A username, or * for everyone's: for administrators and operators.",
    )
    shared: bool = Field(False, description="What others share with you, instead of your own.")


async def list_clusters(request: Request) -> Response:
    state, query = state_of(request), queries.read(request, ClusterQuery)
    token_hash = await presented(request, state)
    wanted = await _filter(state, token_hash, query)
    scope = f"clusters {token_hash} {wanted}"
    page = page_request(state, scope, query, query.sort)

    async def read(*, whole: bool) -> tuple[Row, Page[Row]]:
        answer = await store.page_by_token(state.reads, token_hash, page, wanted, whole=whole)
        if answer.viewer is None:
            raise auth.not_known()
        return answer.viewer, answer.page

    key = (scope, query.limit, query.sort, query.cursor)
    asked_before = key in state.kept
    asker, rows = await read(whole=not asked_before)
    await noted(request, state, asker, "viewer_")
    auth.require(auth.viewer_of(asker, "viewer_"), Permission.CLUSTERS_READ)
    answer = state.kept.find(key, _versions(rows)) if asked_before else None
    if answer is None:
        _, rows = await read(whole=True) if asked_before else (asker, rows)
        items = [views.cluster_summary(row, row["owner"], _access(row)) for row in rows.items]
        content = {"items": items, "next_cursor": next_cursor(state, scope, query.sort, rows.last)}
        answer = state.kept.keep(key, _versions(rows), content)
    return sent(request, answer.body, answer.tag)


router.add_api_route(
    "/",
    list_clusters,
    dependencies=[needs(Permission.CLUSTERS_READ)],
    methods=["GET"],
    response_model=schemas.Listing[schemas.ClusterSummary],
    summary="List your clusters, newest first",
    openapi_extra=queries.described(ClusterQuery),
    route_class_override=BareRoute,  # the hottest read there is: see docs/adr/0014
)


def _versions(rows: Page[Row]) -> tuple[Any, ...]:
    """All that the answer is made of. `updated_at` too: a backup may bring a version back."""
    return rows.last, [
        (row["id"], row["version"], row["updated_at"], row["owner_id"], _access(row)) for row in rows.items
    ]


def _access(row: Mapping[str, Any]) -> Access:
    if "level" in row:
        return Access(row["level"])
    return Access.OWNER if row["owner_id"] == row["viewer_id"] else Access.ROLE


async def _filter(state: State, token_hash: str, query: ClusterQuery) -> store.ClusterFilter:
    owner_id = None
    if query.owner is not None:
        if query.shared:
            raise Invalid("Of owner and shared only one can be given.")
        viewer: Viewer = await auth.authenticate(state.database, token_hash)
        auth.require(viewer, Permission.EVERYONES)
        if query.owner != "*":
            async with state.database.reading() as session:
                owner = await users.all_get(session, query.owner)
            if owner is None:
                raise NotFound("There is no user of that name to list the clusters of.")
            owner_id = owner.id
    return store.ClusterFilter(
        name=query.name,
        phase=query.phase,
        instance_type=query.instance_type,
        labels=tuple(sorted((key, value) for key, _, value in (text.partition("=") for text in query.label))),
        owner_id=owner_id,
        everyones=query.owner is not None,
        shared=query.shared,
    )
