"""Lists: each row once and in order while rows come in, filters that mean the same everywhere, sealed cursors."""

import asyncio
import itertools
import uuid
from typing import Any

import pytest

from app.database import Session
from app.models import InstanceType, Role
from app.rules.access import Viewer
from app.services import clusters
from app.services.clusters import ClusterWish
from tests.api.running import Api, Caller, wish

_CLUSTERS = 300


async def pages(caller: Caller, path: str, limit: int = 50, **query: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await caller.get(path, params={**query, "limit": limit, **cursor})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert len(body["items"]) <= limit
        items += body["items"]
        if body["next_cursor"] is None:
            return items
        assert len(body["items"]) == limit
        cursor = {"cursor": body["next_cursor"]}


@pytest.fixture(scope="module")
async def crowd(api: Api) -> tuple[Caller, list[dict[str, Any]]]:
    """Somebody with many clusters, of every kind there is, in the order they were made."""
    caller = await api.user()
    viewer = Viewer(uuid.UUID(caller.id), caller.name, Role.USER)

    async def make(session: Session) -> None:
        for number in range(_CLUSTERS):
            name = f"p{number * 7919 % 1000:03}-{number}"
            kind = InstanceType.VM if number % 5 == 0 else InstanceType.CONTAINER
            labels = {"tier": ("web", "db", "Web")[number % 3], "n": str(number % 10), "empty": ""}
            await clusters.create(session, viewer, ClusterWish(name, kind, 500, 512, 1, "demo:1", labels), "made")

    await api.database.run(make)
    made = [
        dict((await caller.get(f"/clusters/{row['id']}")).json())
        for row in await pages(caller, "/clusters/", 500, sort="created_at")
    ]
    gone = await caller.post("/clusters/delete", json={"ids": [row["id"] for row in made[::10]]})
    assert gone.json()["failed"] == 0
    return caller, made


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
@pytest.mark.parametrize("limit", [7, 100])
async def test_each_cluster_comes_once_and_in_order_while_others_come_in(
    api: Api, crowd: tuple[Caller, list[dict[str, Any]]], sort: str, limit: int
) -> None:
    caller, made = crowd
    stop = asyncio.Event()

    async def intrude() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            cluster = await caller.cluster(
                f"{'azp'[number % 3]}-in-{sort.strip('-')[0]}{sort[0]}-{limit}-{number}"[:40]
            )
            await asyncio.sleep(0.01)
            assert cluster["phase"] == "pending"

    intruder = asyncio.create_task(intrude())
    try:
        seen = await pages(caller, "/clusters/", limit, sort=sort)
    finally:
        stop.set()
        await intruder
    mine = {row["id"] for row in made}
    seen = [row for row in seen if row["id"] in mine]
    expected = sorted(made, key=lambda row: row[sort.strip("-")] if sort.strip("-") == "name" else row["id"])
    if sort.startswith("-"):
        expected.reverse()
    assert [row["name"] for row in seen] == [row["name"] for row in expected]


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({"name": "p1"}, lambda row: "p1" in row["name"]),
        ({"name": "P1"}, lambda row: False),
        ({"name": "_"}, lambda row: False),
        ({"name": "9-1"}, lambda row: "9-1" in row["name"]),
        ({"instance_type": "vm"}, lambda row: row["instance_type"] == "vm"),
        ({"label": ["tier=web"]}, lambda row: row["labels"]["tier"] == "web"),
        ({"label": ["tier=Web", "n=2"]}, lambda row: row["labels"] == {"tier": "Web", "n": "2", "empty": ""}),
        ({"label": ["empty="]}, lambda row: True),
        ({"label": ["missing=x"]}, lambda row: False),
        ({"label": ["tier="]}, lambda row: False),
        ({"name": "p", "instance_type": "container", "label": ["n=3"]}, lambda row: row["labels"]["n"] == "3"),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
async def test_filters_find_what_they_say(
    crowd: tuple[Caller, list[dict[str, Any]]], query: dict[str, Any], fits: Any
) -> None:
    caller, made = crowd
    found = {row["name"] for row in await pages(caller, "/clusters/", 40, **query, sort="name")}
    mine = {row["name"] for row in made}
    assert found & mine == {row["name"] for row in made if fits(row)}


async def test_a_filter_by_phase_finds_what_is_being_deleted(crowd: tuple[Caller, list[dict[str, Any]]]) -> None:
    caller, made = crowd
    found = await pages(caller, "/clusters/", 9, phase="deleting", sort="-name")
    assert [row["name"] for row in found] == sorted((row["name"] for row in made[::10]), reverse=True)


async def test_instances_operations_users_and_events_page_alike(
    api: Api, crowd: tuple[Caller, list[dict[str, Any]]]
) -> None:
    caller, made = crowd
    names = {member["instance_name"] for row in made for member in row["instances"]}
    for sort in ("created_at", "-created_at", "name", "-name"):
        seen = [row["instance_name"] for row in await pages(caller, "/instances/", 61, sort=sort, name="-instance-")]
        assert len(seen) == len(set(seen))
        assert names <= set(seen)
        if "name" in sort:
            assert seen == sorted(seen, reverse=sort.startswith("-"))
    for sort in ("created_at", "-created_at"):
        operations = [row["id"] for row in await pages(caller, "/operations/", 101, sort=sort)]
        assert operations == sorted(set(operations), reverse=sort.startswith("-"))
        events = [row["id"] for row in await pages(caller, "/events/history", 113, sort=sort)]
        assert events == sorted(set(events), reverse=sort.startswith("-"))
        assert len(operations) >= _CLUSTERS * 1.1
        assert len(events) > len(operations)
    deleting = await pages(caller, "/operations/", 11, kind="cluster.delete", status="pending")
    assert {row["cluster_name"] for row in deleting} == {row["name"] for row in made[::10]}
    for sort in ("username", "-username"):
        users = [row["username"] for row in await pages(api.admin, "/users/", 1, sort=sort)]
        assert users == sorted(set(users), reverse=sort.startswith("-"))
        assert {"admin", caller.name} <= set(users)
    assert [row["username"] for row in await pages(api.admin, "/users/", role="admin", name="dmi")] == ["admin"]
    assert await pages(api.admin, "/users/", name="ADMIN") == []


async def test_a_cursor_belongs_to_one_viewer_and_one_list(
    api: Api, crowd: tuple[Caller, list[dict[str, Any]]]
) -> None:
    caller, _ = crowd
    other = await api.user()
    await other.cluster()
    lists: list[tuple[str, dict[str, str]]] = [
        ("/clusters/", {}),
        ("/clusters/", {"sort": "name"}),
        ("/clusters/", {"instance_type": "container"}),
        ("/clusters/", {"label": "n=1"}),
        ("/instances/", {}),
        ("/instances/", {"sort": "name"}),
        ("/operations/", {}),
        ("/events/history", {}),
        ("/events/history", {"sort": "created_at"}),
    ]
    cursors = []
    for path, query in lists:
        answer = await caller.get(path, params={**query, "limit": 2})
        cursors.append(answer.json()["next_cursor"])
    assert all(cursors)
    for (made_at, cursor), (used_at, (path, query)) in itertools.product(enumerate(cursors), enumerate(lists)):
        mine = await caller.get(path, params={**query, "limit": 3, "cursor": cursor})
        assert mine.status_code == (200 if made_at == used_at else 422), (lists[made_at], lists[used_at])
        foreign = await other.get(path, params={**query, "limit": 3, "cursor": cursor})
        assert foreign.status_code == 422
    good = cursors[0]
    for forged in (
        good[:-2],
        good + "AAAA",
        ("B" if good[0] == "A" else "A") + good[1:],
        good[::-1],
        "",
        "é",
        "=",
        "x" * 500,
    ):
        answer = await caller.get("/clusters/", params={"cursor": forged})
        assert answer.status_code == 422, forged


@pytest.mark.parametrize(
    "path", ["/clusters/", "/instances/", "/operations/", "/events/history", "/users/", "/flavours/", "/images/"]
)
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=-1", "limit=x", "limit=1e9", "sort=owner", "sort=", "sorted=name", "offset=3"],
)
async def test_a_query_that_is_not_understood_is_refused(api: Api, path: str, query: str) -> None:
    assert (await api.admin.get(f"{path}?{query}")).status_code == 422


async def test_an_administrator_lists_one_users_clusters_or_everybodys(api: Api) -> None:
    one, two = await api.user(), await api.user()
    mine = [(await caller.cluster())["name"] for caller in (one, two)]
    everyones = {row["name"] for row in await pages(api.admin, "/clusters/", owner="*", sort="name")}
    assert set(mine) <= everyones
    assert [row["name"] for row in await pages(api.admin, "/clusters/", owner=one.name)] == mine[:1]
    assert await pages(api.admin, "/clusters/") == []
    for path in ("/clusters/?owner=*", f"/clusters/?owner={two.name}", "/events/history?everyones=true"):
        assert (await one.get(path)).status_code == 403
    assert (await one.get("/operations/?everyones=true")).status_code == 403
    assert (await api.admin.get("/clusters/?owner=nobody-of-that-name")).status_code == 404
    assert (await one.post("/clusters/", json=wish(mine[1]))).status_code == 201, "names are each user's own"
