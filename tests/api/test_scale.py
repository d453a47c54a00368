"""Scaling through the API: exact under concurrency, refused with reasons, nothing half done."""

import asyncio
import uuid
from typing import Any

import pytest

from app.database import Session
from app.rules.quota import DIMENSIONS, Account
from app.store import ledger
from tests.api.running import Api, wish
from tests.api.test_quota import exact


async def test_scaled_at_once_from_many_sides_never_exceeds_the_quota(api: Api) -> None:
    user = await api.user(quota_cpu=4, quota_memory=4096, quota_instances=8)
    for number in range(4):
        assert (await user.post("/clusters/", json=wish(f"c{number}"))).status_code == 201
    answers = await asyncio.gather(
        *(user.post(f"/clusters/c{number % 4}/scale", json={"instance_count": 3}) for number in range(16))
    )
    taken = {answer.json()["name"] for answer in answers if answer.status_code == 200}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert len(taken) == 2, "four more instances fit, which is two clusters"
    assert refused
    assert all(answer.json()["code"] == "quota_exceeded" for answer in refused)
    assert (await exact(api, user))["instances"] == 8


async def test_what_is_asked_for_is_what_is_shown(api: Api) -> None:
    user = await api.user()
    await user.post("/clusters/", json=wish("web", instance_count=2))
    grown = (await user.post("/clusters/web/scale", json={"instance_count": 4})).json()
    assert (grown["instance_count"], len(grown["instances"])) == (4, 4)
    assert (grown["operation"]["kind"], grown["operation"]["total"]) == ("cluster.scale", 2)
    shrunk = (await user.post("/clusters/web/scale", json={"remove": ["web-instance-2"]})).json()
    assert shrunk["instance_count"] == 3
    leaving = {i["instance_name"] for i in shrunk["instances"] if i["status"] == "deleting"}
    assert leaving == {"web-instance-2"}
    assert (await exact(api, user))["instances"] == 4, "released only when Kubernetes has let go"


async def test_what_makes_no_sense_is_refused_and_changes_nothing(api: Api) -> None:
    user = await api.user(quota_instances=3)
    other = await api.user()
    await user.post("/clusters/", json=wish("web", instance_count=2))
    senseless: tuple[dict[str, Any], ...] = (
        {},
        {"instance_count": 0},
        {"instance_count": "3"},
        {"instance_count": 2, "remove": ["web-instance-1"]},
        {"remove": ["web-instance-9"]},
        {"remove": ["web-instance-1", "web-instance-2"]},
        {"remove": []},
    )
    for body in senseless:
        assert (await user.post("/clusters/web/scale", json=body)).status_code == 422, body
    assert (await user.post("/clusters/web/scale", json={"instance_count": 4})).status_code == 409
    assert (await other.post("/clusters/web/scale", json={"instance_count": 1})).status_code == 404
    stale = await user.post("/clusters/web/scale", json={"instance_count": 1}, headers={"If-Match": '"old"'})
    assert stale.status_code == 412
    shown = (await user.get("/clusters/web")).json()
    assert [i["status"] for i in shown["instances"]] == ["pending", "pending"]
    await user.delete("/clusters/web")
    assert (await user.post("/clusters/web/scale", json={"instance_count": 1})).status_code == 409
    assert set(await exact(api, user)) == set(DIMENSIONS)


async def test_a_stop_under_way_can_be_hurried(api: Api) -> None:
    user = await api.user()
    await user.post("/clusters/", json=wish("web"))
    path = "/instances/web-instance-1/operate"
    assert (await user.post(path, json={"operation": "stop"})).status_code == 200
    assert (await user.post(path, json={"operation": "stop"})).status_code == 409
    hurried = await user.post(path, json={"operation": "stop", "grace_seconds": 0})
    assert hurried.status_code == 200
    assert (await user.post(path, json={"operation": "stop", "grace_seconds": -1})).status_code == 422


async def test_what_another_one_changed_while_it_waited_is_what_it_starts_from(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    if api.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: nobody overtakes a transaction that has begun")
    user = await api.user()
    await user.post("/clusters/", json=wish("web", instance_count=3))
    locked = ledger.lock_account

    async def overtaken(session: Session, account_id: uuid.UUID) -> Account | None:
        monkeypatch.setattr(ledger, "lock_account", locked)
        other = await user.post("/clusters/web/scale", json={"remove": ["web-instance-3"]})
        assert other.status_code == 200, other.text
        return await locked(session, account_id)

    monkeypatch.setattr(ledger, "lock_account", overtaken)
    scaled = (await user.post("/clusters/web/scale", json={"instance_count": 3})).json()
    assert scaled["instance_count"] == 3
    names = {i["instance_name"]: i["status"] for i in scaled["instances"]}
    assert names == {
        "web-instance-1": "pending",
        "web-instance-2": "pending",
        "web-instance-3": "deleting",
        "web-instance-4": "pending",
    }
    assert (await exact(api, user))["instances"] == 4
