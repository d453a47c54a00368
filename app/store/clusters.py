"""Clusters: lists, look-ups and the write that makes one."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.database import Database, Reads, Row, Session, utc_now, violates
from app.models import (
    Cluster,
    ClusterGrant,
    ClusterPhase,
    Instance,
    InstanceStatus,
    LedgerEntry,
    Operation,
    User,
    Wanted,
)
from app.rules.access import Viewer
from app.store import sharing, tokens
from app.store.paging import Page, PageRequest, beyond, contains, decoded, key_value, ordered

SORTS: dict[str, Any] = {"created_at": Cluster.id, "name": Cluster.name}
COLUMNS: tuple[Any, ...] = (
    Cluster.id,
    Cluster.name,
    Cluster.namespace,
    Cluster.instance_type,
    Cluster.cpu_per_inst,
    Cluster.memory_per_inst,
    Cluster.instance_count,
    Cluster.image,
    Cluster.image_name,
    Cluster.flavour,
    Cluster.labels,
    Cluster.max_unavailable,
    Cluster.owner_id,
    Cluster.phase,
    Cluster.reason,
    Cluster.message,
    Cluster.ready_instances,
    Cluster.created_at,
    Cluster.updated_at,
    Cluster.version,
)
_BRIEF: tuple[Any, ...] = (Cluster.id, Cluster.name, Cluster.owner_id, Cluster.updated_at, Cluster.version)


_VIEWER = ("id", "username", "role", *(column.name for column in tokens.COLUMNS))


class NameInUse(Exception):
    """The owner has a cluster of that name."""


class NamespaceInUse(Exception):
    """Another cluster has that namespace."""


@dataclass(frozen=True, slots=True)
class ClusterFilter:
    """`name` is a part of it; `labels` must all be there; `owner` is for those who may see everyone's.

    `shared`: those of others that are shared with the viewer, and none of their own.
    """

    name: str | None = None
    phase: str | None = None
    instance_type: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    owner_id: uuid.UUID | None = None
    everyones: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """`viewer` is None when the token is not valid; `page` rows have COLUMNS, `owner` and, where shared, `level`."""

    viewer: Row | None
    page: Page[Row] = field(default_factory=lambda: Page([], None))


async def page_by_token(
    database: Database | Reads, token_hash: str, page: PageRequest, wanted: ClusterFilter, *, whole: bool
) -> ListAnswer:
    """The viewer and a page of what they own, in one statement: the console's and every script's hottest read.

    Where not `whole`, rows have no more than says which version of which cluster it is, and whose.
    """
    statement = _list_statement(_shape(page, wanted), database.dialect, whole)
    parameters: dict[str, Any] = {"token_hash": token_hash, "now": datetime.now(UTC), "limit": page.limit + 1}
    parameters |= {"name": wanted.name, "phase": wanted.phase, "instance_type": wanted.instance_type}
    parameters |= {"owner_id": wanted.owner_id}
    if page.after is not None:
        parameters["after"], parameters["after_id"] = decoded(page, SORTS[page.sort], Cluster.id)
    for position, (_, value) in enumerate(wanted.labels):
        parameters[f"label{position}"] = value
    used = {name: value for name, value in parameters.items() if name in _names(statement)}
    rows = await database.fetch(statement, used)
    if not rows:
        return ListAnswer(viewer=None)
    found = [row for row in rows if row["id"] is not None]
    more = len(found) > page.limit
    found = found[: page.limit]
    last = [key_value(found[-1][SORTS[page.sort].key]), str(found[-1]["id"])] if more else None
    return ListAnswer(viewer=rows[0], page=Page(found, last))


async def get(session: Session, viewer: Viewer, key: uuid.UUID | str, *, lock: bool = False) -> Cluster | None:
    """By id, by its name among the viewer's own, or by `name@owner`."""
    statement = sa.select(Cluster).where(_visible(viewer, key))
    statement = statement.with_for_update().execution_options(populate_existing=True) if lock else statement
    return (await session.execute(statement)).scalar_one_or_none()


async def all_get(session: Session, id: uuid.UUID, *, lock: bool) -> Cluster | None:
    statement = sa.select(Cluster).where(Cluster.id == id).execution_options(populate_existing=True)
    return (await session.execute(statement.with_for_update() if lock else statement)).scalar_one_or_none()


async def owner_of(session: Session, viewer: Viewer, key: uuid.UUID | str) -> uuid.UUID | None:
    """Loads no row, so that one that is locked afterwards is read as it is by then."""
    owner: uuid.UUID | None = await session.scalar(sa.select(Cluster.owner_id).where(_visible(viewer, key)))
    return owner


async def lock_many(session: Session, viewer: Viewer, keys: Sequence[uuid.UUID | str]) -> None:
    """All of them that the viewer may see, in the order of their ids: whoever locks many does it in that order."""
    wanted = sharing.visible(viewer, keys, Cluster.id, Cluster.name)
    found = (await session.execute(sa.select(Cluster.id).where(wanted))).scalars().all()
    await session.execute(sa.select(Cluster.id).where(Cluster.id.in_(found)).order_by(Cluster.id).with_for_update())


async def all_ids_of_owner(session: Session, owner_id: uuid.UUID) -> list[uuid.UUID]:
    """In order, as whoever locks many of them does it."""
    statement = sa.select(Cluster.id).where(Cluster.owner_id == owner_id).order_by(Cluster.id)
    return list((await session.execute(statement)).scalars())


async def owner_name(session: Session, cluster: Cluster) -> str:
    return (await session.execute(sa.select(User.username).where(User.id == cluster.owner_id))).scalar_one()


async def namespace_taken(session: Session, namespace: str) -> bool:
    return (await session.execute(sa.select(Cluster.id).where(Cluster.namespace == namespace))).first() is not None


async def create(
    session: Session, cluster: Cluster, instances: list[Instance], ledger: list[dict[str, Any]], operation: Operation
) -> None:
    """All rows of a new cluster, its quota being claimed already. Raises NameInUse, NamespaceInUse."""
    try:
        await session.execute(sa.insert(Cluster).values(_columns(cluster) | {"due_at": utc_now()}))
    except IntegrityError as error:
        if violates(error, "uq_clusters_owner_id_name"):
            raise NameInUse from error
        if violates(error, "uq_clusters_namespace"):
            raise NamespaceInUse from error
        raise
    await session.execute(sa.insert(Instance), [_columns(instance) for instance in instances])
    await session.execute(sa.insert(LedgerEntry), ledger)
    await session.execute(sa.insert(Operation), [_columns(operation)])


async def wish_away(session: Session, cluster_id: uuid.UUID, now: datetime) -> None:
    """Everything of it is to go: the cluster reads deleting, and so does each instance."""
    await session.execute(
        sa.update(Cluster)
        .where(Cluster.id == cluster_id)
        .values(
            phase=ClusterPhase.DELETING,
            reason=None,
            message=None,
            attempts=0,
            due_at=utc_now(),
            updated_at=now,
            version=Cluster.version + 1,
        )
    )
    await session.execute(
        sa.update(Instance)
        .where(Instance.cluster_id == cluster_id)
        .values(
            wanted=Wanted.ABSENT,
            status=InstanceStatus.DELETING,
            reason=None,
            message=None,
            waiting_since=None,
            updated_at=now,
            version=Instance.version + 1,
        )
    )


async def due_now(session: Session, cluster_id: uuid.UUID) -> None:
    """A worker visits it next, whatever it thought before."""
    await session.execute(
        sa.update(Cluster)
        .where(Cluster.id == cluster_id)
        .values(due_at=utc_now(), attempts=0, version=Cluster.version + 1)
    )


def _visible(viewer: Viewer, key: uuid.UUID | str) -> sa.ColumnElement[bool]:
    return sharing.visible(viewer, [key], Cluster.id, Cluster.name)


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns if column.key in row.__dict__}


def _shape(page: PageRequest, wanted: ClusterFilter) -> tuple[Any, ...]:
    return (
        page.sort,
        page.descending,
        page.after is not None,
        wanted.name is not None,
        wanted.phase is not None,
        wanted.instance_type is not None,
        tuple(key for key, _ in wanted.labels),
        wanted.owner_id is not None,
        wanted.everyones,
        wanted.shared,
    )


@lru_cache(maxsize=512)
def _list_statement(shape: tuple[Any, ...], dialect: str, whole: bool) -> sa.Select[Any]:
    sort, descending, after, name, phase, instance_type, labels, owner_id, everyones, shared = shape
    page = PageRequest(limit=0, sort=sort, descending=descending, after=[] if after else None)
    column = SORTS[sort]
    owner = sa.orm.aliased(User, name="owner")
    viewer = sa.select(*User.__table__.columns, *tokens.COLUMNS).where(tokens.valid_token()).cte("viewer")
    inner: sa.Select[Any] = sa.select(*_BRIEF)
    if whole:
        inner = sa.select(*COLUMNS, owner.username.label("owner")).join(owner, owner.id == Cluster.owner_id)
    if shared:
        mine = ClusterGrant.user_id == sa.select(viewer.c.id).scalar_subquery()
        inner = inner.join(ClusterGrant, sa.and_(ClusterGrant.cluster_id == Cluster.id, mine))
        inner = inner.add_columns(ClusterGrant.level)
    elif not everyones:
        inner = inner.where(Cluster.owner_id == sa.select(viewer.c.id).scalar_subquery())
    if owner_id:
        inner = inner.where(Cluster.owner_id == _bind("owner_id", Cluster.owner_id))
    if name:
        inner = inner.where(contains(Cluster.name, sa.bindparam("name", type_=sa.String())))
    if phase:
        inner = inner.where(Cluster.phase == _bind("phase", Cluster.phase))
    if instance_type:
        inner = inner.where(Cluster.instance_type == _bind("instance_type", Cluster.instance_type))
    for position, key in enumerate(labels):
        inner = inner.where(_label(key, dialect) == sa.bindparam(f"label{position}", type_=sa.String()))
    if after:
        inner = inner.where(beyond(page, column, Cluster.id, _bind("after", column), _bind("after_id", Cluster.id)))
    rows = ordered(inner, page, column, Cluster.id).limit(sa.bindparam("limit", type_=sa.BigInteger())).subquery("page")
    listed = sa.select(*(viewer.c[name].label(f"viewer_{name}") for name in _VIEWER), *rows.c).select_from(
        viewer.outerjoin(rows, sa.true())
    )
    sorted_column = rows.c[column.key]
    direction = sa.desc if descending else sa.asc
    return listed.order_by(direction(sorted_column), direction(rows.c.id))


@lru_cache(maxsize=512)
def _names(statement: sa.Select[Any]) -> frozenset[str]:
    return frozenset(str(name) for name in statement.compile().params)


def _bind(name: str, column: Any) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=column.type)


def _label(key: str, dialect: str) -> Any:
    """The value of one label; the key comes from a checked alphabet, see rules.naming."""
    path = f'$."{key}"'
    if dialect == "postgresql":
        return sa.cast(Cluster.labels, sa.dialects.postgresql.JSONB).op("->>")(sa.literal_column(f"'{key}'"))
    extracted = sa.func.json_extract(Cluster.labels, sa.literal_column(f"'{path}'"))
    return extracted if dialect == "sqlite" else sa.func.json_unquote(extracted)
