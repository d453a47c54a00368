"""What becomes of the clusters of somebody who is disabled or deleted."""

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.database import Session
from app.models import Cluster, Operation
from app.services import operations
from app.store import ledger
from tests.api.echo import becomes
from tests.api.running import Api, Caller
from tests.api.test_quota import exact


async def kinds(api: Api, cluster: dict[str, Any]) -> list[str]:
    found = await api.admin.get("/operations/", params={"cluster_id": cluster["id"], "everyones": True})
    return sorted(row["kind"] for row in found.json()["items"])


async def gone(api: Api, owner: Caller, cluster_id: uuid.UUID) -> None:
    """As the reconciler does when Kubernetes holds nothing of it any more."""

    async def work(session: Session) -> None:
        mine = uuid.UUID(owner.id)
        await ledger.release(session, mine, await ledger.all_in_cluster(session, cluster_id))
        ended = sa.update(Operation).where(Operation.cluster_id == cluster_id, Operation.status == "pending")
        await session.execute(ended.values(status="succeeded", finished_at=sa.func.current_timestamp()))
        await session.execute(sa.delete(Cluster).where(Cluster.id == cluster_id))

    await api.database.run(work)


async def test_disabling_stops_nothing_unless_asked_to_and_then_all_that_runs(api: Api) -> None:
    ada = await api.user()
    one, two = await ada.cluster(instance_count=2), await ada.cluster()
    for name in ("instance-1", "instance-2"):
        await becomes(api, f"{one['name']}-{name}", "running")
    await becomes(api, f"{two['name']}-instance-1", "stopped")
    path = f"/users/{ada.id}"
    assert (await api.admin.patch(path, json={"instances": "stop"})).status_code == 422
    assert (await api.admin.patch(path, json={"disabled": True})).json()["disabled"] is True
    assert await kinds(api, one) == ["cluster.create"]
    for _ in range(2):
        disabled = await api.admin.patch(path, json={"disabled": True, "instances": "stop"})
        assert (disabled.status_code, disabled.json()["disabled"]) == (200, True)
        assert await kinds(api, one) == ["cluster.create", "instance.stop", "instance.stop"]
        assert await kinds(api, two) == ["cluster.create"]
    shown = (await api.admin.get(f"/clusters/{one['id']}")).json()
    assert {member["status"] for member in shown["instances"]} == {"stopping"}
    assert (await ada.get("/users/me")).status_code == 401


async def test_a_token_that_may_not_operate_disables_nobody_and_stops_nothing(api: Api) -> None:
    ada = await api.user()
    cluster = await ada.cluster()
    made = (await api.admin.post("/tokens/", json={"name": "narrow", "scopes": ["admin"]})).json()
    narrow = api.caller(made["token"])
    for way in ("?clusters=delete", f"?clusters=transfer&to={(await api.user()).name}"):
        assert (await narrow.delete(f"/users/{ada.id}{way}")).status_code == 403
    refused = await narrow.patch(f"/users/{ada.id}", json={"disabled": True, "instances": "stop"})
    assert refused.status_code == 403
    assert (await ada.get(f"/clusters/{cluster['id']}")).json()["phase"] == "pending"


async def test_who_is_deleted_gives_all_or_nothing(api: Api) -> None:
    ada, grace, small = await api.user(), await api.user(), await api.user(quota_cpu=1)
    held = [await ada.cluster("web", instance_count=2), await ada.cluster("batch")]
    await ada.put("/clusters/web/grants/" + small.name, json={"level": "view"})
    path = f"/users/{ada.name}"
    before = await exact(api, ada)
    for bad in ("?clusters=transfer", f"?to={grace.name}", f"?clusters=delete&to={grace.name}", "?clusters=keep"):
        assert (await api.admin.delete(path + bad)).status_code == 422, bad
    assert (await api.admin.delete(f"{path}?clusters=transfer&to={ada.name}")).status_code == 422
    assert (await api.admin.delete(path)).status_code == 409
    refused = await api.admin.delete(f"{path}?clusters=transfer&to={small.name}")
    assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
    assert await exact(api, ada) == before
    assert set((await exact(api, small)).values()) == {0}
    assert (await api.admin.delete(f"{path}?clusters=transfer&to={grace.name}")).status_code == 204
    assert await exact(api, grace) == before
    assert {row["id"] for row in (await grace.get("/clusters/")).json()["items"]} == {one["id"] for one in held}
    assert (await small.get(f"/clusters/{held[0]['id']}")).status_code == 404, "grants ended"
    assert (await api.admin.get(path)).status_code == 404
    assert (await ada.get("/users/me")).status_code == 401


async def test_who_is_deleted_with_their_clusters_stays_disabled_until_these_are_gone(api: Api) -> None:
    ada = await api.user()
    held = [await ada.cluster(), await ada.cluster()]
    before = await exact(api, ada)
    path = f"/users/{ada.name}?clusters=delete"
    named = []
    for _ in range(2):
        answer = await api.admin.delete(path)
        assert answer.status_code == 202, answer.text
        found = answer.json()["operations"]
        assert [(row["kind"], row["cluster_id"]) for row in found] == [("cluster.delete", one["id"]) for one in held]
        named.append([row["id"] for row in found])
    assert named[0] == named[1]
    assert await exact(api, ada) == before, "quota is released when Kubernetes has let go"
    assert (await ada.get("/users/me")).status_code == 401
    await gone(api, ada, uuid.UUID(held[0]["id"]))
    assert (await api.admin.delete(path)).status_code == 202
    await gone(api, ada, uuid.UUID(held[1]["id"]))
    assert (await api.admin.delete(path)).status_code == 204
    assert (await api.admin.get(f"/users/{ada.name}")).status_code == 404


async def test_waiting_for_the_clusters_ends_with_the_user_gone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await api.user()
    cluster = await ada.cluster()
    wait = operations.wait

    async def meanwhile(*args: Any) -> Operation:
        await gone(api, ada, uuid.UUID(cluster["id"]))
        return await wait(*args)

    monkeypatch.setattr(operations, "wait", meanwhile)
    assert (await api.admin.delete(f"/users/{ada.name}?clusters=delete&wait=5")).status_code == 204
    assert (await api.admin.get(f"/users/{ada.name}")).status_code == 404


async def test_the_last_administrator_stays(api: Api) -> None:
    for way in ("", "?clusters=delete"):
        answer = await api.admin.delete(f"/users/admin{way}")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
