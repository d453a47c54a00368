"""PATCH of a cluster and DELETE of an instance: what is merged, what is refused, and the quota under concurrency."""

import asyncio
import uuid
from typing import Any

import pytest

from app.models import Cluster
from app.rules.sealing import Sealer
from tests.api.running import Api, wish
from tests.api.test_quota import exact

WEB = {
    "command": ["httpd", "-f"],
    "env": {"COLOUR": "red", "SIZE": "s"},
    "secret_env": {"PASSWORD": "first", "TOKEN": "second"},
    "ports": [{"port": 8080}],
}


@pytest.fixture(autouse=True)
def key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.state, "sealer", Sealer([bytes(32)]))


async def test_only_what_is_named_is_different(api: Api) -> None:
    user = await api.user()
    made = (await user.post("/clusters/", json=wish("web", container=WEB, labels={"team": "shop", "tier": "1"}))).json()
    patch = {"container": {"env": {"COLOUR": "blue", "SIZE": None}, "secret_env": {"TOKEN": None, "KEY": "third"}}}
    changed = (await user.patch("/clusters/web", json=patch | {"labels": {"tier": None, "new": "yes"}})).json()
    container = changed["container"]
    assert container == made["container"] | {"env": {"COLOUR": "blue"}, "secret_env": ["KEY", "PASSWORD"]}
    assert changed["labels"] == {"team": "shop", "new": "yes"}
    assert changed["operation"]["kind"] == "cluster.update"
    cluster = await _row(api, changed["id"])
    assert api.state.sealer.open(cluster.secrets, changed["id"]) == {"env": {"PASSWORD": "first", "KEY": "third"}}
    assert cluster.revision == 2


async def test_what_leaves_the_instances_as_they_are_is_no_operation(api: Api) -> None:
    user = await api.user()
    made = (await user.post("/clusters/", json=wish("web", container=WEB))).json()
    same: tuple[dict[str, Any], ...] = (
        {"labels": {"a": "b"}},
        {"max_unavailable": 3},
        {"image": made["image"]},
        {"cpu_per_instance": 0.5},
        {"container": {"env": {"COLOUR": "red"}, "secret_env": {"PASSWORD": "first"}}},
        {"container": {}},
    )
    for body in same:
        answer = await user.patch("/clusters/web", json=body, params={"wait": 5})
        assert answer.status_code == 200, answer.text
        assert answer.json()["operation"]["kind"] == "cluster.create", body
    assert (await user.get("/clusters/web")).json()["max_unavailable"] == 3
    assert (await _row(api, made["id"])).revision == 1


async def test_what_makes_no_sense_is_refused_and_changes_nothing(api: Api) -> None:
    user = await api.user(quota_cpu=2)
    volume = {"type": "persistent", "name": "data", "mount_path": "/data", "size": 64}
    await user.post("/clusters/", json=wish("web", container=WEB | {"volumes": [volume]}))
    before = (await user.get("/clusters/web")).json()
    refused: tuple[tuple[dict[str, Any], int], ...] = (
        ({}, 422),
        ({"image": None}, 422),
        ({"name": "other"}, 422),
        ({"instance_count": 3}, 422),
        ({"flavour": "small", "cpu_per_instance": 1}, 422),
        ({"flavour": "nothing"}, 404),
        ({"image": "NOT AN IMAGE"}, 422),
        ({"max_unavailable": 0}, 422),
        ({"vm": {"ssh_keys": []}}, 422),
        ({"container": {"port": 1}}, 422),
        ({"container": {"env": {"1": "x"}}}, 422),
        ({"container": {"env": {"PASSWORD": "in both"}}}, 422),
        ({"container": {"volumes": []}}, 409),
        ({"container": {"volumes": [volume | {"size": 65}]}}, 409),
        ({"cpu_per_instance": 3}, 409),
    )
    for body, status in refused:
        answer = await user.patch("/clusters/web", json=body)
        assert answer.status_code == status, (body, answer.text)
    located = (await user.patch("/clusters/web", json={"container": {"port": 1}})).json()
    assert located["errors"][0]["loc"] == ["body", "container"]
    stale = await user.patch("/clusters/web", json={"image": "nginx:2"}, headers={"If-Match": '"old"'})
    assert stale.status_code == 412
    assert (await user.get("/clusters/web")).json() == before
    await user.delete("/clusters/web")
    assert (await user.patch("/clusters/web", json={"image": "nginx:2"})).status_code == 409


async def test_sizes_changed_from_many_sides_never_exceed_the_quota(api: Api, conflicts: list[BaseException]) -> None:
    user = await api.user(quota_cpu=6, quota_memory=100_000)
    for number in range(4):
        await user.post("/clusters/", json=wish(f"c{number}", cpu_per_instance=1))
    answers = await asyncio.gather(
        *(user.patch(f"/clusters/c{number % 4}", json={"cpu_per_instance": 2}) for number in range(16))
    )
    larger = {answer.json()["name"] for answer in answers if answer.status_code == 200}
    assert len(larger) == 2, "two cores were left"
    assert {answer.json()["code"] for answer in answers if answer.status_code != 200} == {"quota_exceeded"}
    assert (await exact(api, user))["cpu"] == 6000
    assert not conflicts, "the order of the locks lets nobody deadlock"
    assert (await user.patch(f"/clusters/{min(larger)}", json={"cpu_per_instance": 1})).status_code == 200
    assert (await exact(api, user))["cpu"] == 6000, "released only when it was seen to be given up"


async def test_one_instance_goes(api: Api) -> None:
    user = await api.user()
    await user.post("/clusters/", json=wish("web", instance_count=2))
    gone = await user.delete("/instances/web-instance-1")
    assert gone.status_code == 202, gone.text
    assert gone.json()["operation"]["kind"] == "cluster.scale"
    assert (await user.get("/clusters/web")).json()["instance_count"] == 1
    assert (await user.delete("/instances/web-instance-1")).status_code == 409
    last = await user.delete("/instances/web-instance-2")
    assert (last.status_code, last.json()["code"]) == (409, "wrong_state")
    assert (await user.delete("/instances/nothing")).status_code == 404


async def test_a_policy_holds_for_what_is_changed_too(api: Api) -> None:
    user = await api.user()
    await user.post("/clusters/", json=wish("web"))
    assert (await api.admin.patch("/policy", json={"allowed_images": [], "custom_sizes": False})).is_success
    try:
        assert (await user.patch("/clusters/web", json={"image": "nginx:2"})).status_code == 403
        assert (await user.patch("/clusters/web", json={"cpu_per_instance": 1})).status_code == 403
        assert (await user.patch("/clusters/web", json={"labels": {"a": "b"}})).status_code == 200
    finally:
        await api.admin.patch("/policy", json={"allowed_images": ["*"], "custom_sizes": True})


@pytest.mark.parametrize("root", ["persistent", "blank"])
async def test_what_a_root_disk_holds_is_not_changed_under_it(api: Api, root: str) -> None:
    user = await api.user()
    vm = {"root_disk": {"type": root, "size": "1Gi"}}
    made = await user.post("/clusters/", json=wish("lab", instance_type="vm", vm=vm))
    assert made.status_code == 201, made.text
    image = await user.patch("/clusters/lab", json={"image": "disks/other:1"})
    assert image.status_code == (409 if root == "persistent" else 200), image.text
    other = await user.patch("/clusters/lab", json={"vm": {"root_disk": {"size": "2Gi"}}})
    assert (other.status_code, other.json()["code"]) == (409, "unsupported")


async def _row(api: Api, id: str) -> Any:
    async with api.database.reading() as session:
        return await session.get(Cluster, uuid.UUID(id))
