"""Names and ids in paths, aliases in bodies, conditional requests, waiting, and many at once."""

import asyncio
import re
from typing import Any

import pytest

from tests.api.running import Api, Caller, wish


async def test_a_cluster_is_found_by_id_and_by_name_everywhere(api: Api) -> None:
    user = await api.user()
    made = await user.cluster("named", instance_count=2)
    for key in ("named", made["id"], made["id"].upper()):
        assert (await user.get(f"/clusters/{key}")).json() == made
    for key in ("named", made["id"]):
        listed = (await user.get("/instances/", params={"cluster": key})).json()["items"]
        assert [row["id"] for row in listed] == [row["id"] for row in made["instances"]]
        stopped = await user.post(f"/clusters/{key}/operate", json={"operation": "stop"})
        assert stopped.json()["succeeded"] + stopped.json()["failed"] == 2
    for key in ("named-instance-1", made["instances"][0]["id"]):
        shown = (await user.get(f"/instances/{key}")).json()
        assert shown["id"] == made["instances"][0]["id"]
        operated = await user.post(f"/instances/{key}/operate", json={"operation": "start"})
        assert operated.status_code in (200, 409)
    assert (await user.delete("/clusters/named")).status_code == 202
    assert (await user.delete(f"/clusters/{made['id']}")).status_code == 202
    for key in (user.name, user.id):
        assert (await api.admin.get(f"/users/{key}")).json()["username"] == user.name
        assert (await api.admin.get(f"/users/{key}/quota")).status_code == 200


async def test_32_hexadecimal_digits_are_a_name_and_a_uuid_is_not(api: Api) -> None:
    user = await api.user()
    made = await user.cluster("abcdefabcdefabcdefabcdefabcdefab")
    assert (await user.get(f"/clusters/{made['name']}")).json()["id"] == made["id"]
    for name in ("abcdefab-abcd-abcd-abcd-abcdefabcdef",):
        assert (await user.post("/clusters/", json=wish(name))).status_code == 422
        assert (await api.admin.post("/users/", json={"username": name})).status_code == 422
    assert (await api.admin.post("/users/", json={"username": "me"})).status_code == 422


@pytest.mark.parametrize("fields", [("cpu_per_inst", "memory_per_inst"), ("cpu_per_instance", "memory_per_instance")])
async def test_the_columns_names_are_taken_too(api: Api, fields: tuple[str, str]) -> None:
    user = await api.user()
    body = {"name": "alias", "instance_type": "container", fields[0]: "250m", fields[1]: "1Gi"}
    made = await user.post("/clusters/", json=body)
    assert made.status_code == 201
    assert (made.json()["cpu_per_instance"], made.json()["memory_per_instance"]) == (0.25, 1024)
    both = await user.post("/clusters/", json=wish(cpu_per_inst=1))
    assert both.status_code == 422


async def test_what_was_answered_is_what_is_read(api: Api) -> None:
    user = await api.user()
    made = await user.cluster(instance_count=3, labels={"a": "b"})
    assert (await user.get(f"/clusters/{made['name']}")).json() == made
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made["id"])
    assert made["namespace"].endswith("-ns")
    assert made["phase"] == "pending"
    assert [member["instance_name"] for member in made["instances"]] == [
        f"{made['name']}-instance-{n}" for n in (1, 2, 3)
    ]
    assert {member["k8s_resource"].split("/")[0] for member in made["instances"]} == {"pods"}
    assert made["operation"]["kind"] == "cluster.create"
    operation = (await user.get(f"/operations/{made['operation']['id']}")).json()
    assert operation == made["operation"]


async def test_equal_names_of_two_users_have_namespaces_of_their_own(api: Api) -> None:
    one, two, three = await api.user(), await api.user(), await api.user()
    made = await asyncio.gather(*(caller.cluster("same") for caller in (one, two, three)))
    namespaces = {cluster["namespace"] for cluster in made}
    assert len(namespaces) == 3
    assert "same-ns" in namespaces
    assert all(re.fullmatch(r"same(-[a-z0-9]{5})?-ns", namespace) for namespace in namespaces)
    assert (await one.post("/clusters/", json=wish("same"))).json()["code"] == "name_taken"


@pytest.mark.parametrize("path", ["/clusters", "/instances", "/operations", "/users", "/events/history"])
async def test_a_collection_is_found_with_and_without_its_last_slash(api: Api, path: str) -> None:
    collection = path.count("/") == 1
    plain = await api.admin.get(path)
    slashed = await api.admin.get(path + "/")
    assert plain.status_code == 200
    assert slashed.status_code == (200 if collection else 404)
    if collection:
        assert plain.json() == slashed.json()
        assert (await api.admin.put(path)).status_code == 405


async def test_etags(api: Api) -> None:
    user = await api.user()
    await user.cluster("tagged")
    first = await user.get("/clusters/tagged")
    tag = first.headers["etag"]
    for asked in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        same = await user.get("/clusters/tagged", headers={"If-None-Match": asked})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (await user.get("/clusters/tagged", headers={"If-None-Match": '"other"'})).status_code == 200
    await user.post("/instances/tagged-instance-1/operate", json={"operation": "stop"})
    changed = await user.get("/clusters/tagged", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    stale = await user.delete("/clusters/tagged", headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    member = await user.get("/instances/tagged-instance-1")
    stale = await user.post(
        "/instances/tagged-instance-1/operate", json={"operation": "start"}, headers={"If-Match": '"x"'}
    )
    assert stale.status_code == 412
    fresh = await user.post(
        "/instances/tagged-instance-1/operate",
        json={"operation": "start"},
        headers={"If-Match": member.headers["etag"]},
    )
    assert fresh.status_code == 200
    now = (await user.get("/clusters/tagged")).headers["etag"]
    assert (await user.delete("/clusters/tagged", headers={"If-Match": now})).status_code == 202
    listed = await user.get("/clusters/")
    again = await user.get("/clusters/", headers={"If-None-Match": listed.headers["etag"]})
    assert again.status_code == 304


async def test_of_two_who_change_a_user_with_one_etag_one_wins(api: Api) -> None:
    user = await api.user()
    tag = (await api.admin.get(f"/users/{user.name}")).headers["etag"]
    answers = await asyncio.gather(
        *(
            api.admin.patch(f"/users/{user.name}", json={"quota_instances": n}, headers={"If-Match": tag})
            for n in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?wait=1", {}), ("", {"Prefer": "wait=1"}), ("", {"Prefer": "respond-async, wait=1"})],
)
async def test_waiting_answers_with_what_is_there_when_the_time_is_up(
    api: Api, query: str, headers: dict[str, str]
) -> None:
    user = await api.user()
    answer = await user.post(f"/clusters/{query}", json=wish(), headers=headers)
    assert (answer.status_code, answer.json()["operation"]["status"]) == (201, "pending")
    gone = await user.delete(f"/clusters/{answer.json()['name']}?wait=0")
    assert gone.json()["message"].endswith("is being deleted.")


@pytest.mark.parametrize("query", ["wait=-1", "wait=3601", "wait=x", "wait=1.5", "weight=1"])
async def test_a_wait_that_is_none_is_refused(api: Api, query: str) -> None:
    user = await api.user()
    assert (await user.post(f"/clusters/?{query}", json=wish())).status_code == 422
    assert (await user.get("/clusters/")).json()["items"] == []


async def test_bulk_answers_for_each_in_order(api: Api) -> None:
    user, other = await api.user(), await api.user()
    made = await user.cluster("bulk", instance_count=3)
    foreign = await other.cluster("foreign")
    ids = [
        "bulk-instance-2",
        "no-such-instance",
        made["instances"][0]["id"],
        foreign["instances"][0]["id"],
        "bulk-instance-2",
        "\u0000",
        "é",
    ]
    answer = (await user.post("/instances/operate", json={"operation": "stop", "ids": ids})).json()
    assert [item["id"] for item in answer["items"]] == ids
    codes = [item["problem"]["code"] if item["problem"] else item["operation"]["status"] for item in answer["items"]]
    assert codes == ["pending", "not_found", "pending", "not_found", "wrong_state", "not_found", "not_found"]
    assert (answer["succeeded"], answer["failed"]) == (2, 5)
    missing, hidden = (dict(answer["items"][n]["problem"]) for n in (1, 3))
    assert missing == hidden
    wrong = answer["items"][4]["problem"]
    assert wrong["allowed_operations"] == ["start"]
    untouched = (await other.get("/instances/foreign-instance-1")).json()
    assert untouched["status"] == "pending"
    gone = (await user.post("/clusters/delete", json={"ids": ["bulk", "foreign", foreign["id"]]})).json()
    assert (gone["succeeded"], gone["failed"]) == (1, 2)
    assert (await other.get("/clusters/foreign")).json()["phase"] == "pending"


async def test_bulks_that_cross_each_other_wait_and_do_not_deadlock(api: Api, conflicts: list[BaseException]) -> None:
    user = await api.user()
    ids = [(await user.cluster(f"cross-{n}"))["instances"][0]["id"] for n in range(8)]

    async def stop(order: list[str]) -> dict[str, Any]:
        return dict((await user.post("/instances/operate", json={"operation": "stop", "ids": order})).json())

    answers = await asyncio.gather(*(stop(ids if n % 2 else ids[::-1]) for n in range(8)))
    assert sum(answer["succeeded"] for answer in answers) == 8
    assert not conflicts
    assert {item["problem"]["code"] for answer in answers for item in answer["items"] if item["problem"]} == {
        "wrong_state"
    }


async def test_operating_in_the_wrong_state_names_what_is_possible(api: Api) -> None:
    user = await api.user()
    await user.cluster("state")
    for operation in ("start", "resume", "suspend", "restart"):
        refused = await user.post("/instances/state-instance-1/operate", json={"operation": operation})
        assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
        assert refused.json()["allowed_operations"] == ["stop", "replace"]
        assert "stop" in refused.json()["detail"]
    await user.delete("/clusters/state")
    refused = await user.post("/instances/state-instance-1/operate", json={"operation": "stop"})
    assert refused.json()["allowed_operations"] == []


async def test_deleting_twice_is_one_deletion(api: Api) -> None:
    user = await api.user()
    await user.cluster("twice")
    answers = await asyncio.gather(*(user.delete("/clusters/twice") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["operation"]["id"] for answer in answers}) == 1
    assert (await user.get("/operations/", params={"kind": "cluster.create"})).json()["items"][0][
        "status"
    ] == "cancelled"


@pytest.mark.parametrize("given", ["abc-123", "a" * 128, "A.b_c:d-9"])
async def test_a_request_id_is_honoured(api: Api, given: str) -> None:
    user = await api.user()
    answer = await user.post("/clusters/", json=wish(), headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["operation"]["request_id"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "<script>", "a\tb", "é", "a;b", "../x"])
async def test_a_hostile_request_id_is_replaced(api: Api, given: str) -> None:
    answer = await api.nobody.get("/users/me", headers={b"X-Request-ID": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_an_administrator_changes_users(api: Api) -> None:
    user: Caller = await api.user()
    changed = await api.admin.patch(
        f"/users/{user.name}", json={"quota_cpu": "1500m", "quota_memory": "2Gi", "role": "admin"}
    )
    shown = changed.json()
    assert (shown["quota_cpu"], shown["quota_memory"], shown["role"]) == (1.5, 2048, "admin")
    assert (await user.get("/users/")).status_code == 200
    await api.admin.patch(f"/users/{user.name}", json={"disabled": True})
    assert (await user.get("/users/me")).status_code == 401
    await api.admin.patch(f"/users/{user.name}", json={"disabled": False, "role": "user"})
    assert (await user.get("/users/")).status_code == 403
    rotated = (await api.admin.post(f"/users/{user.name}/token")).json()["token"]
    assert (await user.get("/users/me")).status_code == 401
    fresh = api.caller(rotated)
    assert (await fresh.get("/users/me")).json()["username"] == user.name
    own = (await fresh.post("/users/me/token")).json()["token"]
    assert [(await api.caller(token).get("/users/me")).status_code for token in (rotated, own)] == [401, 200]
    await api.caller(own).cluster("keeps")
    refused = await api.admin.delete(f"/users/{user.name}")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    empty = await api.user()
    assert (await api.admin.delete(f"/users/{empty.name}")).status_code == 204
    assert (await empty.get("/users/me")).status_code == 401
    assert (await api.admin.get(f"/users/{empty.name}")).status_code == 404


async def test_the_last_administrator_stays_also_when_two_unmake_each_other(api: Api) -> None:
    for change in ({"role": "user"}, {"disabled": True}):
        assert (await api.admin.patch("/users/admin", json=change)).status_code == 409
    assert (await api.admin.delete("/users/admin")).status_code == 409
    pair = [await api.user(role="admin") for _ in range(2)]
    answers = await asyncio.gather(
        pair[0].patch(f"/users/{pair[1].name}", json={"role": "user"}),
        pair[1].patch(f"/users/{pair[0].name}", json={"role": "user"}),
        pair[0].patch("/users/admin", json={"role": "user"}),
        pair[1].patch("/users/admin", json={"role": "user"}),
    )
    assert {answer.status_code for answer in answers} <= {200, 403, 409}
    everybody = [*pair, api.admin]
    roles = [(await caller.get("/users/me")).json()["role"] for caller in everybody]
    assert "admin" in roles
    left = everybody[roles.index("admin")]
    assert (await left.patch("/users/admin", json={"role": "admin"})).status_code == 200


async def test_a_deadlock_in_the_middle_of_many_starts_them_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the common order the database breaks the tie, also where that takes the savepoint away."""

    async def holds_nothing(*_: object) -> None: ...

    monkeypatch.setattr("app.services.instances.hold", holds_nothing)
    user = await api.user()
    ids = [(await user.cluster(f"tie-{n}"))["instances"][0]["id"] for n in range(6)]

    async def stop(order: list[str]) -> int:
        answer = await user.post("/instances/operate", json={"operation": "stop", "ids": order})
        return int(answer.json()["succeeded"])

    assert sum(await asyncio.gather(stop(ids), stop(ids[::-1]))) == 6
