"""A cluster shared with somebody, and given away: who sees and does what, and whose quota it is."""

import asyncio
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Cluster
from app.schemas.fields import amounts
from tests.api.echo import EXEC, EchoReach, becomes, dial, refused
from tests.api.running import Api, Caller, wish
from tests.api.test_events import address, stream
from tests.api.test_quota import exact

assert address

LEVELS = ("view", "operate", "manage")


async def share(owner: Caller, cluster: dict[str, Any], to: Caller, level: str) -> None:
    answer = await owner.put(f"/clusters/{cluster['id']}/grants/{to.name}", json={"level": level})
    assert (answer.status_code, answer.json()["level"]) == (200, level), answer.text


@pytest.mark.parametrize("level", LEVELS)
async def test_what_each_level_lets_one_do_and_what_the_answers_say(api: Api, level: str) -> None:
    owner, guest = await api.user(), await api.user()
    cluster = await owner.cluster(instance_count=2)
    await share(owner, cluster, guest, level)
    path, member = f"/clusters/{cluster['id']}", cluster["instances"][0]["id"]
    shown = (await guest.get(path)).json()
    assert (shown["access"], shown["owner"]) == (level, owner.name)
    assert bool(shown["instances"][0]["allowed_operations"]) is (level != "view")
    operate, manage = level != "view", level == "manage"
    answers = {
        "stop": (await guest.post(f"/instances/{member}/operate", json={"operation": "stop"}), operate),
        "all": (await guest.post(f"{path}/operate", json={"operation": "start"}), True),
        "scale": (await guest.post(f"{path}/scale", json={"instance_count": 3}), manage),
        "change": (await guest.patch(path, json={"labels": {"a": "b"}}), manage),
        "remove": (await guest.delete(f"/instances/{member}"), manage),
        "delete": (await guest.delete(path), False),
        "share": (await guest.put(f"{path}/grants/{guest.name}", json={"level": "manage"}), False),
        "give": (await guest.post(f"{path}/transfer", json={"to": guest.name}), False),
    }
    assert {name: answer.status_code < 300 for name, (answer, _) in answers.items()} == {
        name: may for name, (_, may) in answers.items()
    }
    assert {answer.status_code for answer, may in answers.values() if not may} == {403}
    many = (await guest.post("/clusters/delete", json={"ids": [cluster["id"]]})).json()
    assert many["items"][0]["problem"]["code"] == "forbidden"
    await exact(api, owner)
    assert set((await exact(api, guest)).values()) == {0}, "quota is the owner's"


async def test_what_one_may_not_is_said_before_what_is_stale(api: Api) -> None:
    owner, guest = await api.user(), await api.user()
    cluster = await owner.cluster(instance_count=1)
    await share(owner, cluster, guest, "view")
    path, member = f"/clusters/{cluster['id']}", f"/instances/{cluster['instances'][0]['id']}"
    stale = {"If-Match": '"another"'}
    answers = [
        await guest.patch(path, json={"labels": {"a": "b"}}, headers=stale),
        await guest.delete(path, headers=stale),
        await guest.post(f"{path}/scale", json={"instance_count": 3}, headers=stale),
        await guest.delete(member, headers=stale),
        await guest.delete(member),
        await guest.post(f"{member}/operate", json={"operation": "stop"}, headers=stale),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert (await owner.delete(path, headers=stale)).status_code == 412


async def test_what_is_shared_is_listed_apart_and_found_by_id_and_by_name_at_owner(api: Api) -> None:
    owner, guest = await api.user(), await api.user()
    cluster, mine = await owner.cluster("web"), await guest.cluster("web")
    await share(owner, cluster, guest, "operate")
    listed = (await guest.get("/clusters/?shared=true")).json()["items"]
    assert [(row["id"], row["access"], row["owner"]) for row in listed] == [(cluster["id"], "operate", owner.name)]
    assert [row["id"] for row in (await guest.get("/clusters/")).json()["items"]] == [mine["id"]]
    assert (await guest.get("/clusters/web")).json()["id"] == mine["id"]
    assert (await guest.get(f"/clusters/web@{owner.name}")).json()["id"] == cluster["id"]
    assert (await guest.get(f"/instances/web-instance-1@{owner.name}")).json()["cluster_id"] == cluster["id"]
    inside = (await guest.get("/instances/", params={"cluster": f"web@{owner.name}"})).json()["items"]
    assert [row["access"] for row in inside] == ["operate"]
    assert (await guest.get("/clusters/?shared=true&owner=*")).status_code == 422
    assert (await owner.get(f"/clusters/web@{guest.name}")).status_code == 404


async def test_a_grant_gives_no_more_than_role_and_token_leave(api: Api) -> None:
    owner, looking, narrow = await api.user(), await api.user(role="viewer"), await api.user()
    cluster = await owner.cluster()
    made = (await narrow.post("/tokens/", json={"name": "reads", "scopes": ["read"]})).json()
    reading = api.caller(made["token"], narrow.name, narrow.id)
    for guest in (looking, narrow):
        await share(owner, cluster, guest, "manage")
    for guest in (looking, reading):
        shown = (await guest.get(f"/clusters/{cluster['id']}")).json()
        assert shown["access"] == "manage"
        assert shown["instances"][0]["allowed_operations"] == []
        scaled = await guest.post(f"/clusters/{cluster['id']}/scale", json={"instance_count": 2})
        assert scaled.status_code == 403


async def test_the_same_grant_again_is_told_once_and_who_has_it_may_leave(api: Api) -> None:
    owner, guest, other = await api.user(), await api.user(), await api.user()
    cluster = await owner.cluster()
    for _ in range(2):
        await share(owner, cluster, guest, "view")
    await share(owner, cluster, other, "view")
    for caller in (owner, guest):
        told = (await caller.get("/events/history", params={"cluster_id": cluster["id"]})).json()["items"]
        named = [event["message"] for event in told if event["kind"] == "cluster.shared"]
        assert len([words for words in named if guest.name in words]) == (1 if caller is owner else 2)
    grants = f"/clusters/{cluster['id']}/grants"
    assert len((await owner.get(f"{grants}/")).json()["items"]) == 2
    assert [row["username"] for row in (await guest.get(f"{grants}/")).json()["items"]] == [guest.name]
    assert (await guest.get(f"{grants}/{other.name}")).status_code == 404
    assert (await guest.delete(f"{grants}/{other.name}")).status_code == 403
    assert (await guest.delete(f"{grants}/{guest.name}")).status_code == 204
    assert (await guest.get(f"/clusters/{cluster['id']}")).status_code == 404
    for _ in range(2):
        assert (await owner.delete(f"{grants}/{other.name}")).status_code == 204
    assert (await owner.put(f"{grants}/nobody-there", json={"level": "view"})).status_code == 404
    assert (await owner.put(f"{grants}/{owner.name}", json={"level": "view"})).status_code == 422


async def test_operations_and_events_are_seen_as_long_as_it_is_shared(api: Api) -> None:
    owner, guest = await api.user(), await api.user()
    cluster = await owner.cluster()
    operation = f"/operations/{cluster['operation']['id']}"
    lists = [f"{path}?cluster_id={cluster['id']}" for path in ("/operations/", "/events/history")]
    await share(owner, cluster, guest, "view")
    assert (await guest.get(operation)).status_code == 200
    for path in lists:
        seen = [row["id"] for row in (await guest.get(path)).json()["items"]]
        assert {row["id"] for row in (await owner.get(path)).json()["items"]} <= set(seen)
    await owner.delete(f"/clusters/{cluster['id']}/grants/{guest.name}")
    assert (await guest.get(operation)).status_code == 404
    assert (await guest.get(lists[0])).json()["items"] == []
    left = (await guest.get(lists[1])).json()["items"]
    assert {event["kind"] for event in left} == {"cluster.shared", "cluster.unshared"}, "what was told to them"


async def test_an_open_stream_of_events_ends_with_the_grant(api: Api, address: str) -> None:
    owner, guest = await api.user(), await api.user()
    cluster = await owner.cluster("shown")
    await share(owner, cluster, guest, "view")
    async with stream(address, guest, cluster_id=cluster["id"]) as following:
        await owner.post("/instances/shown-instance-1/operate", json={"operation": "stop"})
        kinds = [(await following.next())[1]]
        while kinds[-1] != "operation.started":
            kinds.append((await following.next())[1])
        loop = asyncio.get_running_loop()
        await owner.delete(f"/clusters/{cluster['id']}/grants/{guest.name}")
        await owner.post("/instances/shown-instance-1/operate", json={"operation": "start"})
        began = loop.time()
        with pytest.raises(StopAsyncIteration):
            await following.next()
        assert loop.time() - began < 2, "at once, not when it is next asked"


class TestTransfer:
    async def offered(self, owner: Caller, cluster: dict[str, Any], to: Caller) -> dict[str, Any]:
        answer = await owner.post(f"/clusters/{cluster['id']}/transfer", json={"to": to.name})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def test_it_changes_hands_with_what_it_charges_when_it_is_accepted(self, api: Api) -> None:
        owner, to, guest = await api.user(), await api.user(), await api.user()
        cluster = await owner.cluster(instance_count=3)
        await share(owner, cluster, guest, "view")
        offer = await self.offered(owner, cluster, to)
        assert offer == await self.offered(owner, cluster, to)
        assert offer["needs"] == amounts(cpu=1.5, memory=1536, instances=3, clusters=1)
        assert (await to.get("/transfers/")).json()["items"] == [offer]
        assert (await to.get(f"/clusters/{cluster['id']}")).status_code == 404, "an offer shows nothing more"
        assert (await guest.get(f"/transfers/{offer['id']}")).status_code == 404
        assert (await owner.post(f"/transfers/{offer['id']}/accept")).status_code == 403
        taken = await to.post(f"/transfers/{offer['id']}/accept")
        assert (taken.status_code, taken.json()["access"], taken.json()["owner"]) == (200, "owner", to.name)
        for caller in (owner, guest):
            assert (await caller.get(f"/clusters/{cluster['id']}")).status_code == 404
        assert set((await exact(api, owner)).values()) == {0}
        assert (await exact(api, to))["cpu"] == 1500
        assert (await to.get(f"/operations/{cluster['operation']['id']}")).status_code == 200, (
            "it is open: it goes along"
        )
        assert (await to.post(f"/transfers/{offer['id']}/accept")).status_code == 404
        assert (await to.delete(f"/clusters/{cluster['id']}")).status_code == 202

    async def test_what_does_not_fit_is_refused_with_numbers_and_nothing_moves(self, api: Api) -> None:
        owner, small, named = await api.user(), await api.user(quota_cpu=1), await api.user()
        cluster = await owner.cluster("big", instance_count=3)
        await named.cluster("big")
        before = await exact(api, owner)
        for to, code in ((small, "quota_exceeded"), (named, "name_taken")):
            offer = await self.offered(owner, cluster, to)
            refused = await to.post(f"/transfers/{offer['id']}/accept")
            assert (refused.status_code, refused.json()["code"]) == (409, code)
            moved = await api.admin.put(f"/clusters/{cluster['id']}/transfer", json={"to": to.name})
            assert (moved.status_code, moved.json()["code"]) == (409, code)
            if code == "quota_exceeded":
                assert refused.json()["quota"]["cpu"] == {"requested": 1.5, "used": 0, "limit": 1, "remaining": 1}
        assert await exact(api, owner) == before
        assert set((await exact(api, small)).values()) == {0}

    async def test_who_is_disabled_gets_nothing_and_offers_can_be_taken_back_or_declined(self, api: Api) -> None:
        owner, to = await api.user(), await api.user()
        cluster = await owner.cluster()
        for caller in (owner, to):
            offer = await self.offered(owner, cluster, to)
            assert (await caller.delete(f"/transfers/{offer['id']}")).status_code == 204
            assert (await to.post(f"/transfers/{offer['id']}/accept")).status_code == 404
        await api.admin.patch(f"/users/{to.name}", json={"disabled": True})
        missing = await owner.post(f"/clusters/{cluster['id']}/transfer", json={"to": "nobody-there"})
        disabled = await owner.post(f"/clusters/{cluster['id']}/transfer", json={"to": to.name})
        assert (missing.status_code, missing.json()["detail"]) == (404, disabled.json()["detail"])
        await owner.delete(f"/clusters/{cluster['id']}")
        late = await api.admin.put(f"/clusters/{cluster['id']}/transfer", json={"to": "admin"})
        assert (late.status_code, late.json()["code"]) == (409, "wrong_state")

    async def test_transfers_scalings_deletions_and_claims_at_once_leave_the_counters_exact(
        self, api: Api, conflicts: list[BaseException]
    ) -> None:
        users = [await api.user(quota_cpu=30) for _ in range(3)]
        clusters = [await users[n % 3].cluster(instance_count=2) for n in range(9)]

        async def push(number: int) -> list[int]:
            answers = []
            for turn in range(4):
                id, to = clusters[(number + turn) % 9]["id"], users[(number + turn) % 3]
                moved = await api.admin.put(f"/clusters/{id}/transfer", json={"to": to.name})
                scaled = await api.admin.post(f"/clusters/{id}/scale", json={"instance_count": 1 + (number + turn) % 5})
                stopped = await api.admin.post(f"/clusters/{id}/operate", json={"operation": "start"})
                made = await to.post("/clusters/", json=wish())
                answers += [moved.status_code, scaled.status_code, stopped.status_code, made.status_code]
            if number >= 6:
                answers.append((await api.admin.delete(f"/clusters/{clusters[number]['id']}")).status_code)
            return answers

        answers = [code for some in await asyncio.gather(*(push(number) for number in range(9))) for code in some]
        assert set(answers) <= {200, 201, 202, 409, 422}
        assert 200 in answers
        for user in users:
            await exact(api, user)
        async with api.database.reading() as session:
            ids = [uuid.UUID(cluster["id"]) for cluster in clusters]
            owners = set((await session.execute(sa.select(Cluster.owner_id).where(Cluster.id.in_(ids)))).scalars())
        assert owners <= {uuid.UUID(user.id) for user in users}
        print(f"conflicts: {len(conflicts)}")


async def test_a_stream_into_an_instance_ends_with_the_grant(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    owner, guest = await api.user(), await api.user()
    cluster = await owner.cluster("entered")
    member = cluster["instances"][0]["id"]
    await becomes(api, "entered-instance-1", "running")
    assert (await refused(guest, member, EXEC)).status_code == 404
    await share(owner, cluster, guest, "view")
    assert (await refused(guest, member, EXEC)).status_code == 403
    shown = (await guest.get(f"/instances/{member}")).json()
    assert (shown["capabilities"]["exec"], shown["capabilities"]["logs"]) == (False, True)
    for level, code in (("view", 4004), (None, 4003)):
        await share(owner, cluster, guest, "operate")
        dialog = await dial(guest, member, EXEC)
        assert dialog.refusal is None
        if level is None:
            await owner.delete(f"/clusters/{cluster['id']}/grants/{guest.name}")
        else:
            await share(owner, cluster, guest, level)
        assert (await dialog.closed())[0] == code
