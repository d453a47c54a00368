"""What crosses from one tenant to another beside paths: references, names, headers, fields. Paths: isolation/."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.running import Api, Caller, wish

ROLES = "admin operator user viewer"


@dataclass(frozen=True)
class Owned:
    """What one user has that another must not learn of."""

    owner: Caller
    cluster: dict[str, Any]


@pytest.fixture(scope="module")
async def owned(api: Api) -> Owned:
    owner = await api.user()
    return Owned(owner, await owner.cluster("secret-plans", instance_count=2, labels={"secret": "label"}))


@pytest.fixture(scope="module")
async def stranger(api: Api) -> Caller:
    return await api.user()


def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Everything that the asker can see, apart from the request id."""
    request_id = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content.replace(request_id.encode(), b"-"), headers


@pytest.mark.parametrize(
    "path", ["/operations/?everyones=true", "/events/history?everyones=true", "/clusters/?owner=*"]
)
async def test_everybodys_is_for_those_who_look_after_it(api: Api, path: str) -> None:
    answers = {role: (await (await api.user(role=role)).get(path)).status_code for role in ROLES.split()}
    assert answers == {"admin": 200, "operator": 200, "user": 403, "viewer": 403}


async def test_a_role_that_is_taken_away_is_gone_with_the_next_request(api: Api) -> None:
    caller = await api.user(role="operator")
    assert (await caller.get("/users/")).status_code == 200
    await api.admin.patch(f"/users/{caller.name}", json={"role": "viewer"})
    assert (await caller.get("/users/")).status_code == 403
    assert (await caller.post("/clusters/", json={"not": "valid"})).status_code == 403


async def test_references_in_queries_and_bodies_are_looked_up_as_the_viewer(owned: Owned, stranger: Caller) -> None:
    cluster, member = owned.cluster, owned.cluster["instances"][0]
    for theirs, missing in ((cluster["id"], str(uuid.uuid4())), (cluster["name"], "no-such-thing")):
        answers = [seen(await stranger.get("/instances/", params={"cluster": key})) for key in (theirs, missing)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
        deleted = [await stranger.post("/clusters/delete", json={"ids": [key]}) for key in (theirs, missing)]
        assert [answer.json()["items"][0]["problem"]["code"] for answer in deleted] == ["not_found"] * 2
    for key in (member["id"], member["instance_name"]):
        operated = await stranger.post("/instances/operate", json={"operation": "stop", "ids": [key]})
        assert operated.json()["items"][0]["problem"]["code"] == "not_found"
    for path, query in (
        ("/operations/", {"cluster_id": cluster["id"]}),
        ("/operations/", {"instance_id": member["id"]}),
        ("/events/history", {"cluster_id": cluster["id"]}),
        ("/clusters/", {"label": "secret=label"}),
        ("/clusters/", {"name": "secret"}),
        ("/instances/", {"name": "secret"}),
    ):
        assert (await stranger.get(path, params=query)).json() == {"items": [], "next_cursor": None}
    assert (await owned.owner.get("/clusters/secret-plans")).json() == cluster


async def test_the_same_names_do_not_collide(api: Api, owned: Owned, stranger: Caller) -> None:
    mine = await stranger.cluster("secret-plans")
    assert mine["namespace"] != owned.cluster["namespace"]
    assert (await stranger.get("/instances/secret-plans-instance-1")).json()["id"] == mine["instances"][0]["id"]
    await stranger.delete("/clusters/secret-plans")
    assert (await owned.owner.get("/clusters/secret-plans")).json() == owned.cluster
    assert (await api.admin.get("/clusters/secret-plans")).status_code == 404, "a name is looked for among one's own"
    seen_by_role = (await api.admin.get(f"/clusters/{owned.cluster['id']}")).text
    assert json.loads(seen_by_role.replace('"access":"role"', '"access":"owner"')) == owned.cluster


@pytest.mark.parametrize(
    "name",
    ["X-User-Id", "X-Roles", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-Token", "Cookie", "X-Api-Key"],
)
async def test_no_other_header_makes_an_identity(api: Api, stranger: Caller, name: str) -> None:
    for value in (api.admin.id, "admin", api.admin.token, f"token={api.admin.token}"):
        assert (await api.nobody.get("/users/me", headers={name: value})).status_code == 401
        assert (await stranger.get("/users/", headers={name: value})).status_code == 403


@pytest.mark.parametrize("route", [("POST", "/clusters/"), ("POST", "/users/"), ("PATCH", "/users/admin")])
async def test_no_column_can_be_written_by_naming_it(api: Api, stranger: Caller, route: tuple[str, str]) -> None:
    caller = stranger if "clusters" in route[1] else api.admin
    body = {"POST /clusters/": wish(), "POST /users/": {"username": "assigned"}}.get(" ".join(route), {})
    before = (await caller.get("/users/me")).json()
    columns = "id owner_id owner namespace namespace_uid phase ready_instances version created_at due_at lease_token"
    columns += " used_cpu used_memory token token_hash disabled_at user_id account_id status"
    for column in columns.split():
        refused = await caller.request(*route, json=body | {column: before["id"]})
        assert refused.status_code == 422, column
    assert (await caller.get("/users/me")).json() == before
    assert json.loads((await api.admin.get("/users/?name=assigned")).content)["items"] == []
