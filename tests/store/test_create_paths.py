"""A cluster is made by one statement on PostgreSQL and by several elsewhere: both must leave the same behind."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import uuid_utils.compat as uuids

from app import errors
from app.database import Database, Session
from app.models import Cluster, Event, Instance, LedgerEntry, Operation, Role, User
from app.rules.access import Viewer
from app.services import clusters
from app.services.clusters import ClusterView, ClusterWish

KINDS = ("postgresql",)
TABLES: tuple[Any, ...] = (Cluster, Instance, LedgerEntry, Operation, Event)
# Ids and moments differ between any two clusters; what they refer to is compared through the names beside them.
DIFFERENT = {"id", "resource_id", "account_id", "cluster_id", "operation_id", "owner_id", "actor_id"}
DIFFERENT |= {"created_at", "updated_at", "due_at"}


def wish(name: str = "web", count: int = 3, cpu: int = 500) -> ClusterWish:
    return ClusterWish(name, "container", cpu, 512, count, "nginx:latest", {"team": "blue", "quote": 'a"b\\c', "é": ""})


async def tenant(database: Database, **changes: Any) -> Viewer:
    now = datetime.now(UTC)
    user = User(
        id=uuids.uuid7(),
        username=f"ada-{uuid.uuid4().hex[:8]}",
        token="cmp_pat_...",
        role=Role.USER,
        quota_strategy="allocated",
        **({"quota_cpu": 10_000, "quota_memory": 65536, "quota_instances": 20, "quota_clusters": 3} | changes),
        created_at=now,
        updated_at=now,
    )
    async with database.transaction() as session:
        session.add(user)
    return Viewer(user.id, user.username, Role.USER)


async def the_long_way(database: Database, viewer: Viewer, wished: ClusterWish) -> ClusterView:
    async def work(session: Session) -> ClusterView:
        return await clusters.create(session, viewer, wished, "request-1")

    return await database.run(work)


async def the_short_way(database: Database, viewer: Viewer, wished: ClusterWish) -> ClusterView | None:
    return await clusters.create_at_once(database, viewer, wished, "request-1")


async def forget(database: Database, *viewers: Viewer) -> None:
    """The names are free again for the next test."""
    async with database.transaction() as session:
        await session.execute(sa.delete(Cluster).where(Cluster.owner_id.in_([viewer.account_id for viewer in viewers])))


async def rows(database: Database, viewer: Viewer) -> dict[str, list[dict[str, Any]]]:
    """All that the account has, by table, without what differs between any two."""
    found = {}
    async with database.reading() as session:
        ours = sa.select(Cluster.id).where(Cluster.owner_id == viewer.account_id)
        for table in TABLES:
            column = table.id if table is Cluster else table.cluster_id
            selected = (
                sa.select(*table.__table__.columns).where(column.in_(ours)).order_by(*table.__mapper__.primary_key)
            )
            found[table.__tablename__] = [
                {
                    name: str(value).replace(viewer.username, "ada")
                    for name, value in row.items()
                    if name not in DIFFERENT or value is None
                }
                for row in (await session.execute(selected)).mappings()
            ]
        account = (await session.execute(sa.select(User).where(User.id == viewer.account_id))).scalar_one()
        found["account"] = [{k: v for k, v in vars(account).items() if k.startswith("used_") or k == "version"}]
    return found


@pytest.mark.parametrize("count", [1, 3, 20])
async def test_both_ways_leave_equal_rows(database: Database, count: int) -> None:
    left, right = await tenant(database), await tenant(database)
    # The plain namespace goes to whoever comes first, so each has its own name, of the same length.
    long = await the_long_way(database, left, wish("left", count))
    short = await the_short_way(database, right, wish("same", count))
    assert short is not None
    expected, actual = await rows(database, left), await rows(database, right)
    assert str(expected).replace("left", "same") == str(actual)
    assert len(actual["instances"]) == count
    assert len(actual["quota_ledger"]) == count + 1
    assert vars(short.cluster).keys() == vars(long.cluster).keys()
    await forget(database, left, right)


async def test_what_is_answered_is_what_is_stored(database: Database) -> None:
    viewer = await tenant(database)
    made = await the_short_way(database, viewer, wish())
    assert made is not None
    async with database.reading() as session:
        stored = await clusters.load(session, viewer, made.cluster.id)
    for answered, row in zip(
        [made.cluster, made.operation, *made.instances],
        [stored.cluster, stored.operation, *stored.instances],
        strict=True,
    ):
        shown = {name: value for name, value in vars(answered).items() if name != "_sa_instance_state"}
        assert shown == {name: getattr(row, name) for name in shown}
    await forget(database, viewer)


@pytest.mark.parametrize(
    ("changes", "wished", "raised"),
    [
        ({"quota_cpu": 1499}, wish(), errors.QuotaExceeded),
        ({"quota_memory": 1535}, wish(), errors.QuotaExceeded),
        ({"quota_instances": 2}, wish(), errors.QuotaExceeded),
        ({"quota_clusters": 0}, wish(), errors.QuotaExceeded),
        ({"disabled_at": datetime.now(UTC)}, wish(), errors.Forbidden),
    ],
    ids=["cpu", "memory", "instances", "clusters", "disabled"],
)
async def test_what_does_not_fit_leaves_nothing(
    database: Database, changes: dict[str, Any], wished: ClusterWish, raised: type[errors.CmpError]
) -> None:
    viewer = await tenant(database, **changes)
    before = await rows(database, viewer)
    assert await the_short_way(database, viewer, wished) is None
    assert await rows(database, viewer) == before
    with pytest.raises(raised):
        await the_long_way(database, viewer, wished)


async def test_exactly_the_quota_fits(database: Database) -> None:
    viewer = await tenant(database, quota_cpu=1500, quota_memory=1536, quota_instances=3, quota_clusters=1)
    assert await the_short_way(database, viewer, wish()) is not None
    assert await the_short_way(database, viewer, wish("more", 1)) is None
    await forget(database, viewer)


async def test_a_name_in_use_leaves_the_account_as_it_was(database: Database) -> None:
    viewer = await tenant(database)
    assert await the_short_way(database, viewer, wish()) is not None
    before = await rows(database, viewer)
    assert await the_short_way(database, viewer, wish()) is None
    assert await rows(database, viewer) == before
    with pytest.raises(errors.NameTaken):
        await the_long_way(database, viewer, wish())
    await forget(database, viewer)


async def test_anothers_namespace_is_left_to_the_long_way(database: Database) -> None:
    first, second = await tenant(database), await tenant(database)
    assert await the_short_way(database, first, wish()) is not None
    assert await the_short_way(database, second, wish()) is None
    made = await the_long_way(database, second, wish())
    assert made.cluster.namespace.startswith("web-")
    assert made.cluster.namespace != "web-ns"
    await forget(database, first, second)


async def test_many_at_once_never_exceed_the_quota(database: Database) -> None:
    viewer = await tenant(database, quota_clusters=5, quota_instances=100)
    asked = [the_short_way(database, viewer, wish(f"web-{number}", 1)) for number in range(20)]
    made = [view for view in await asyncio.gather(*asked) if view is not None]
    async with database.reading() as session:
        used = (await session.execute(sa.select(User.used_clusters).where(User.id == viewer.account_id))).scalar_one()
    assert (len(made), used) == (5, 5)
    await forget(database, viewer)


async def test_elsewhere_there_is_no_short_way(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = await tenant(database)
    monkeypatch.setattr(database, "postgres", None)
    assert await the_short_way(database, viewer, wish()) is None
    assert not (await rows(database, viewer))["clusters"]
