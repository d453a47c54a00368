"""The promise that stands above all others: what is used equals the ledger, and never more than fits is admitted."""

import asyncio
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app import auth
from app.models import LedgerEntry, User
from app.rules.quota import DIMENSIONS
from app.schemas.fields import amounts
from tests.api.running import Api, Caller, wish

KINDS = ("sqlite", "postgresql", "mariadb", "mariadb_snapshot_isolation", "mysql")


async def ledger_of(api: Api, account: str) -> tuple[dict[str, int], dict[str, int]]:
    """The counters of the account, and the sums of its ledger rows, in the database's units."""
    id = uuid.UUID(account)
    async with api.database.reading() as session:
        row = (await session.execute(sa.select(User).where(User.id == id))).scalar_one()
        sums = [sa.func.coalesce(sa.func.sum(getattr(LedgerEntry, d)), 0) for d in DIMENSIONS]
        held = (await session.execute(sa.select(*sums).where(LedgerEntry.account_id == id))).one()
    return {d: getattr(row, f"used_{d}") for d in DIMENSIONS}, dict(zip(DIMENSIONS, map(int, held), strict=True))


async def release(api: Api, caller: Caller, ids: list[uuid.UUID]) -> None:
    await api.database.run(lambda session: auth.release(session, uuid.UUID(caller.id), ids))


async def exact(api: Api, caller: Caller) -> dict[str, int]:
    used, ledger = await ledger_of(api, caller.id)
    assert used == ledger
    return used


@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "with idempotency keys"])
async def test_64_at_once_against_room_for_20_admit_exactly_20(
    api: Api, keyed: bool, conflicts: list[BaseException]
) -> None:
    user = await api.user(quota_cpu=10, quota_memory="10Gi", quota_instances=20, quota_clusters=20)

    async def ask(number: int) -> int:
        headers = {"Idempotency-Key": f"key-{number}"} if keyed else {}
        return (await user.post("/clusters/", json=wish(f"race-{number}"), headers=headers)).status_code

    answers = await asyncio.gather(*(ask(number) for number in range(64)))
    assert sorted(answers) == [201] * 20 + [409] * 44
    assert await exact(api, user) == amounts(cpu=10_000, memory=10_240, instances=20, clusters=20)
    assert not conflicts, "the order of the locks lets nobody deadlock"


@pytest.mark.parametrize(
    ("limit", "value", "dimension", "numbers"),
    [
        ("quota_cpu", 1.5, "cpu", {"requested": 1, "used": 1, "limit": 1.5, "remaining": 0.5}),
        ("quota_memory", 1500, "memory", {"requested": 1024, "used": 1024, "limit": 1500, "remaining": 476}),
        ("quota_instances", 3, "instances", {"requested": 2, "used": 2, "limit": 3, "remaining": 1}),
        ("quota_clusters", 1, "clusters", {"requested": 1, "used": 1, "limit": 1, "remaining": 0}),
    ],
)
async def test_each_dimension_refuses_by_itself_and_says_every_number(
    api: Api, limit: str, value: float, dimension: str, numbers: dict[str, float]
) -> None:
    user = await api.user(**{limit: value})
    await user.cluster(instance_count=2)
    before = await user.used()
    refused = await user.post("/clusters/", json=wish(instance_count=2))
    assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
    assert refused.json()["quota"] == {dimension: numbers}
    for number in numbers.values():
        assert str(number) in refused.json()["detail"]
    assert await user.used() == before
    await exact(api, user)


async def test_a_limit_below_usage_blocks_what_is_new_and_kills_nothing(api: Api) -> None:
    user = await api.user(quota_cpu=4)
    cluster = await user.cluster(instance_count=4)
    lowered = await api.admin.patch(f"/users/{user.name}", json={"quota_cpu": 1})
    assert (lowered.json()["quota_cpu"], lowered.json()["used_cpu"]) == (1, 2)
    quota = (await user.get("/users/me/quota")).json()
    assert (quota["used"]["cpu"], quota["total"]["cpu"], quota["available"]["cpu"]) == (2, 1, 0)
    assert (await user.post("/clusters/", json=wish())).status_code == 409
    shown = (await user.get(f"/clusters/{cluster['id']}")).json()
    assert {member["status"] for member in shown["instances"]} == {"pending"}
    await api.admin.patch(f"/users/{user.name}", json={"quota_cpu": 2.5})
    assert (await user.post("/clusters/", json=wish())).status_code == 201
    await exact(api, user)


async def test_a_quota_of_nothing_admits_nothing(api: Api) -> None:
    user = await api.user(**{f"quota_{d}": 0 for d in DIMENSIONS})
    disk = {"type": "persistent", "name": "data", "mount_path": "/data", "size": "1Gi"}
    refused = await user.post("/clusters/", json=wish(container={"volumes": [disk]}))
    assert set(refused.json()["quota"]) == set(DIMENSIONS)
    assert await exact(api, user) == dict.fromkeys(DIMENSIONS, 0)


async def test_releasing_twice_releases_once_also_when_both_at_once(api: Api) -> None:
    user = await api.user()
    kept = await user.cluster(instance_count=1)
    gone = await user.cluster(instance_count=3)
    ids = [uuid.UUID(gone["id"]), *(uuid.UUID(member["id"]) for member in gone["instances"])]

    await asyncio.gather(*(release(api, user, ids) for _ in range(8)))
    assert await exact(api, user) == amounts(cpu=500, memory=512, instances=1, clusters=1)
    assert kept["id"] != gone["id"]


async def test_creating_and_releasing_at_once_neither_refuses_what_fits_nor_drifts(api: Api) -> None:
    user = await api.user(quota_clusters=4)

    async def come_and_go(number: int) -> None:
        for turn in range(3):
            made = await user.post("/clusters/", json=wish(f"come-{number}-{turn}"))
            assert made.status_code == 201, made.text
            ids = [uuid.UUID(made.json()["id"]), uuid.UUID(made.json()["instances"][0]["id"])]
            await release(api, user, ids)

    await asyncio.gather(*(come_and_go(number) for number in range(4)))
    assert await exact(api, user) == dict.fromkeys(DIMENSIONS, 0)


async def test_recount_repairs_a_drift_and_says_how_much_it_was(api: Api) -> None:
    user = await api.user()
    await user.cluster(instance_count=2)
    account = uuid.UUID(user.id)
    assert await api.database.run(lambda session: auth.recount(session, account)) is None
    async with api.database.transaction() as session:
        await session.execute(sa.update(User).where(User.id == account).values(used_cpu=7, used_instances=5))
    drift = await api.database.run(lambda session: auth.recount(session, account))
    assert drift == {"cpu": 7 - 1000, "instances": 3}
    await exact(api, user)
    assert await api.database.run(lambda session: auth.recount(session, account)) is None


class TestRunning:
    """The strategy that charges compute only while an instance is not stopped."""

    async def stopped(self, api: Api, user: Caller, **fields: Any) -> dict[str, Any]:
        """A cluster whose instances were asked to stop and were seen to be stopped."""
        cluster = await user.cluster(**fields)
        ids = [member["id"] for member in cluster["instances"]]
        done = await user.post("/instances/operate", json={"operation": "stop", "ids": ids})
        assert done.json()["failed"] == 0
        for _ in range(2):  # seen twice, freed once
            await self.seen_stopped(api, user, ids)
        return cluster

    async def seen_stopped(self, api: Api, user: Caller, ids: list[str]) -> None:
        account, resources = uuid.UUID(user.id), [uuid.UUID(id) for id in ids]
        await api.database.run(lambda session: auth.seen_stopped(session, account, resources))

    async def test_a_stop_frees_compute_and_a_start_may_be_refused(self, api: Api) -> None:
        user = await api.user(quota_strategy="running", quota_cpu=2)
        first = await self.stopped(api, user, instance_count=4)
        assert await user.used() == amounts(instances=4, clusters=1)
        second = await user.cluster(instance_count=3)
        starts = [
            await user.post(f"/instances/{member['id']}/operate", json={"operation": "start"})
            for member in first["instances"]
        ]
        assert [answer.status_code for answer in starts] == [200, 409, 409, 409]
        assert starts[1].json()["quota"]["cpu"] == {"requested": 0.5, "used": 2, "limit": 2, "remaining": 0}
        assert await exact(api, user) == amounts(cpu=2000, memory=2048, instances=7, clusters=2)
        await self.stopped_again(api, user, second)
        again = await user.post(
            f"/instances/{first['instances'][1]['id']}/operate",
            json={"operation": "start"},
        )
        assert again.status_code == 200
        await exact(api, user)

    async def test_what_is_not_possible_is_said_before_what_does_not_fit(self, api: Api) -> None:
        user = await api.user(quota_strategy="running", quota_cpu=1)
        cluster = await self.stopped(api, user, instance_count=2)
        await user.cluster(instance_count=2)
        id = cluster["instances"][0]["id"]
        refused = await user.post(f"/instances/{id}/operate", json={"operation": "resume"})
        assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
        assert refused.json()["allowed_operations"] == ["start"]

    async def stopped_again(self, api: Api, user: Caller, cluster: dict[str, Any]) -> None:
        ids = [cluster["instances"][0]["id"]]
        await user.post("/instances/operate", json={"operation": "stop", "ids": ids})
        await self.seen_stopped(api, user, ids)

    async def test_starts_at_once_charge_exactly_what_was_admitted(self, api: Api) -> None:
        user = await api.user(quota_strategy="running", quota_cpu=6)
        cluster = await self.stopped(api, user, instance_count=12)
        await user.cluster(instance_count=5)  # leaves 3.5 cores, room for 7

        async def start(id: str) -> int:
            return (await user.post(f"/instances/{id}/operate", json={"operation": "start"})).status_code

        answers = await asyncio.gather(*(start(member["id"]) for member in cluster["instances"]))
        assert sorted(answers) == [200] * 7 + [409] * 5
        assert (await exact(api, user))["cpu"] == 6000

    async def test_a_change_of_strategy_lets_nothing_run_uncharged(self, api: Api) -> None:
        user = await api.user(quota_strategy="running", quota_cpu=1)
        cluster = await self.stopped(api, user, instance_count=2)
        await api.admin.patch(f"/users/{user.name}", json={"quota_strategy": "allocated"})
        await user.cluster()
        starts = [
            await user.post(f"/instances/{member['id']}/operate", json={"operation": "start"})
            for member in cluster["instances"]
        ]
        assert [answer.status_code for answer in starts] == [200, 409]
        assert (await exact(api, user))["cpu"] == 1000

    async def test_a_start_that_is_refused_among_many_charges_nothing(self, api: Api) -> None:
        user = await api.user(quota_strategy="running")
        cluster = await self.stopped(api, user, instance_count=3)
        await user.delete(f"/clusters/{cluster['name']}")
        ids = [member["id"] for member in cluster["instances"]]
        answer = (await user.post("/instances/operate", json={"operation": "start", "ids": ids})).json()
        assert (answer["succeeded"], answer["failed"]) == (0, 3)
        assert (await exact(api, user))["cpu"] == 0

    async def test_allocated_keeps_what_is_stopped_charged(self, api: Api) -> None:
        user = await api.user(quota_cpu=1)
        cluster = await self.stopped(api, user, instance_count=2)
        assert (await user.used())["cpu"] == 1
        answer = await user.post(f"/instances/{cluster['instances'][0]['id']}/operate", json={"operation": "start"})
        assert answer.status_code == 200
        assert (await exact(api, user))["cpu"] == 1000
