"""One corpus, every database: the same names are equal, the same rows are found, and in the same order."""

import contextlib
import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.database import Database
from app.errors import NameTaken
from app.models import Cluster, ClusterPhase, Event, Instance, InstanceType, Role, User
from app.rules.access import Viewer
from app.rules.quota import Amounts
from app.services import clusters as service
from app.services.clusters import ClusterWish
from app.store import clusters, instances, users
from app.store.paging import PageRequest

KINDS = ("sqlite", "postgresql", "mariadb", "mysql")
# Near each other in every way in which a collation could take two names for one, or order them otherwise.
NAMES = sorted(
    {"".join(letters).strip("-") for n in (1, 2, 3) for letters in itertools.product("az-09", repeat=n)} - {""}
)
NAMES = [name for name in NAMES if name[0].isalpha()]
PARTS = ["a", "z", "-", "0", "a-", "-a", "a-z", "00", "az0", "A", "_", "."]
VALUES = ["", "a", "A", "aa", "a.b", "a_b", "a-b", "0", "00", "1", "true", "null"]


@pytest.fixture(scope="module")
async def viewer(database: Database) -> Viewer:
    viewer = Viewer(uuid.uuid4(), "collator", Role.USER)
    now = datetime.now(UTC)
    limits = Amounts(10**9, 10**9, 10**6, 10**6).as_dict()
    async with database.transaction() as session:
        session.add(
            User(
                id=viewer.user_id,
                username=viewer.username,
                token="",
                role="user",
                quota_strategy="allocated",
                created_at=now,
                updated_at=now,
                **{f"quota_{dimension}": limit for dimension, limit in limits.items()},
            )
        )

    async def make(session: Any) -> None:
        for number, name in enumerate(NAMES):
            labels = {"key": VALUES[number % len(VALUES)], "k.e-y_": "x"}
            wish = ClusterWish(name, list(InstanceType)[number % 2], 1000, 1024, 1 + number % 2, "demo:1", labels)
            await service.create(session, viewer, wish, "same")

    await database.run(make)
    return viewer


async def listed(database: Database, viewer: Viewer, sort: str, limit: int, **wanted: Any) -> list[str]:
    """All pages, in the order they come."""
    found: list[str] = []
    after = None
    column, descending = sort.strip("-"), sort.startswith("-")
    while True:
        page = PageRequest(limit, column, descending, after)
        everything = clusters.ClusterFilter(owner_id=viewer.user_id, everyones=True, **wanted)
        answer = await clusters.page_by_token(database, "0" * 64, page, everything, whole=limit == 7)
        assert answer.viewer is None, "the list and the token are one statement"
        async with database.reading() as session:
            rows = await instances.page_for(session, viewer, page, name=wanted.get("name"))
        found += [row.instance_name for row in rows.items]
        if rows.last is None:
            return found
        after = rows.last


@pytest.mark.parametrize("limit", [1, 7, 500])
async def test_names_are_ordered_by_their_bytes(database: Database, viewer: Viewer, limit: int) -> None:
    if limit == 1 and len(NAMES) > 60:
        limit = 3
    expected = sorted(f"{name}-instance-{n}" for number, name in enumerate(NAMES) for n in range(1, 2 + number % 2))
    assert await listed(database, viewer, "name", limit) == expected
    assert await listed(database, viewer, "-name", limit) == expected[::-1]


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_of_a_name_is_found_to_the_letter(database: Database, viewer: Viewer, part: str) -> None:
    async with database.reading() as session:
        page = PageRequest(500, "name", False, None)
        found = await instances.page_for(session, viewer, page, name=f"{part}-instance-1")
        everybody = await users.all_page(session, PageRequest(500, "username", False, None), name=part, role=None)
    expected = [f"{name}-instance-1" for name in NAMES if f"{part}-instance-1" in f"{name}-instance-1"]
    assert [row.instance_name for row in found.items] == sorted(expected)
    assert [row.username for row in everybody.items] == [name for name in ("collator",) if part in name]


@pytest.mark.parametrize("key", ["Az", " a", "%", "_", "a%", "a-z-", "aZ", "\\", ""])
async def test_what_is_nearly_a_name_is_none(database: Database, viewer: Viewer, key: str) -> None:
    async with database.reading() as session:
        assert await clusters.get(session, viewer, key) is None
        assert await users.all_get(session, key) is None


async def test_every_name_is_found_and_is_one(database: Database, viewer: Viewer) -> None:
    async with database.reading() as session:
        for name in NAMES:
            found = await clusters.get(session, viewer, name)
            assert found is not None
            assert found.name == name
    for name in NAMES[::9]:
        wish = ClusterWish(name, InstanceType.VM, 1, 1, 1, "x", {})
        with pytest.raises(NameTaken):
            async with database.transaction() as session:
                await service.create(session, viewer, wish, "again")


async def test_values_come_back_as_they_went(database: Database, viewer: Viewer) -> None:
    moment = datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC)
    text = "grüße 🚀 \\ ' \" % _ \n"
    async with database.transaction() as session:
        for number in range(3):
            at = moment + timedelta(microseconds=number)
            session.add(Event(kind="test", actor="me", owner_id=viewer.user_id, message=text, created_at=at))
    async with database.reading() as session:
        rows = (
            await session.execute(sa.select(Event).where(Event.kind == "test").order_by(Event.created_at))
        ).scalars()
        assert [(row.created_at - moment, row.message) for row in rows] == [
            (timedelta(microseconds=number), text) for number in range(3)
        ]
        later = sa.select(sa.func.count()).select_from(Event).where(Event.kind == "test", Event.created_at > moment)
        assert await session.scalar(later) == 2
        kept = await session.scalar(sa.select(Cluster.labels).where(Cluster.name == NAMES[1]))
        assert kept == {"key": VALUES[1], "k.e-y_": "x"}


EVERYWHERE = {"sqlite", "postgresql", "mysql"}


@pytest.mark.parametrize(
    ("column", "value", "refusing"),
    [
        ("used_cpu", -1, EVERYWHERE),
        ("quota_cpu", -1, EVERYWHERE),
        ("username", None, EVERYWHERE),
        ("quota_instances", 2**63, EVERYWHERE),
        ("username", "x" * 64, EVERYWHERE - {"sqlite"}),
        ("username", "é", {"mysql"}),
    ],
)
async def test_the_database_is_the_second_wall(
    database: Database, viewer: Viewer, column: str, value: object, refusing: set[str]
) -> None:
    """SQLite knows no lengths, and only MySQL and MariaDB have a character set for each column."""
    refused = False
    with contextlib.suppress(sa.exc.DBAPIError, OverflowError, Undone):
        async with database.transaction() as session:
            refused = True
            await session.execute(sa.update(User).where(User.id == viewer.user_id).values({column: value}))
            refused = False
            raise Undone
    assert refused == (database.dialect in refusing)


class Undone(Exception):
    pass


async def test_rows_of_a_cluster_go_with_it_and_an_owner_stays_with_its_clusters(
    database: Database, viewer: Viewer
) -> None:
    async with database.reading() as session:
        cluster = await clusters.get(session, viewer, NAMES[0])
        assert cluster is not None
    with pytest.raises(sa.exc.IntegrityError):
        async with database.transaction() as session:
            await session.execute(sa.delete(User).where(User.id == viewer.user_id))
    async with database.transaction() as session:
        await session.execute(sa.delete(Cluster).where(Cluster.id == cluster.id))
        left = sa.select(sa.func.count()).select_from(Instance).where(Instance.cluster_id == cluster.id)
        assert await session.scalar(left) == 0
        assert cluster.phase == ClusterPhase.PENDING
