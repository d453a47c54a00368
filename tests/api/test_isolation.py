"""Every path × every kind of stranger: nobody learns, changes or counts what is not theirs.

The matrix is made from the app's own routes; a route it does not know fails the test, so that coverage cannot lag.
"""

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.routing import BaseRoute, WebSocketRoute

from tests.api.running import Api, Caller, checked, handshake, wish

_STOP = {"operation": "stop"}
_PASSWORD = {"password": "correct horse battery staple"}
_SUBJECT = {"issuer": "https://id.example.org", "subject": "nobody"}
ALL = "admin operator user viewer"
CHANGING = "admin operator user"
LOOKING_AFTER = "admin operator"


@dataclass(frozen=True)
class Owned:
    """What one user has that another must not learn of."""

    owner: Caller
    cluster: dict[str, Any]
    token: str = ""
    transfer: str = ""

    def key(self, noun: str, by: str) -> str:
        member = self.cluster["instances"][0]
        keys: dict[tuple[str, str], str] = {
            ("cluster", "id"): self.cluster["id"],
            ("cluster", "name"): self.cluster["name"],
            ("instance", "id"): member["id"],
            ("instance", "name"): member["instance_name"],
            ("operation", "id"): self.cluster["operation"]["id"],
            ("user", "id"): self.owner.id,
            ("user", "name"): self.owner.name,
            ("token", "id"): self.token,
            ("transfer", "id"): self.transfer,
            ("flavour", "name"): "hidden",
            ("image", "name"): "hidden",
        }
        return keys[noun, by]


@dataclass(frozen=True)
class Probe:
    """How to call a route. `noun`: what its path names. `may`: the roles; others read 403 whatever they name."""

    noun: str | None = None
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    may: str = ALL
    open: bool = False
    endless: bool = False
    grant: str = "view"
    """The least level of a grant that lets one do it with somebody else's; none where only the owner may."""

    @property
    def for_admins(self) -> bool:
        return "user" not in self.may.split()


WEBSOCKET = "WEBSOCKET"
ROUTES: dict[tuple[str, str], Probe] = {
    ("POST", "/api/v1/users/"): Probe(body={"username": "made-by-a-stranger"}, may="admin"),
    ("GET", "/api/v1/users/"): Probe(may=LOOKING_AFTER),
    ("GET", "/api/v1/users/me"): Probe(),
    ("GET", "/api/v1/users/me/quota"): Probe(),
    ("POST", "/api/v1/users/me/token"): Probe(),
    ("GET", "/api/v1/users/{user}"): Probe("user", may=LOOKING_AFTER),
    ("GET", "/api/v1/users/{user}/quota"): Probe("user", may=LOOKING_AFTER),
    ("PATCH", "/api/v1/users/{user}"): Probe("user", {"quota_cpu": 9}, may="admin"),
    ("DELETE", "/api/v1/users/{user}"): Probe("user", may="admin"),
    ("POST", "/api/v1/users/{user}/token"): Probe("user", may="admin"),
    ("GET", "/api/v1/tokens/"): Probe(),
    ("POST", "/api/v1/tokens/"): Probe(body={"name": "another"}),
    ("DELETE", "/api/v1/tokens/{token}"): Probe("token"),
    ("GET", "/api/v1/users/{user}/tokens/"): Probe("user", may=LOOKING_AFTER),
    ("POST", "/api/v1/users/{user}/tokens/"): Probe("user", {"name": "another"}, may="admin"),
    ("DELETE", "/api/v1/users/{user}/tokens/{token}"): Probe("user", may="admin"),
    ("PUT", "/api/v1/users/me/password"): Probe(body=_PASSWORD),
    ("PUT", "/api/v1/users/{user}/password"): Probe("user", _PASSWORD, may="admin"),
    ("DELETE", "/api/v1/users/{user}/password"): Probe("user", may="admin"),
    ("GET", "/api/v1/users/{user}/identities"): Probe("user", may=LOOKING_AFTER),
    ("POST", "/api/v1/users/{user}/identities"): Probe("user", _SUBJECT, may="admin"),
    ("DELETE", "/api/v1/users/{user}/identities/{identity}"): Probe("user", may="admin"),
    ("POST", "/api/v1/signing-keys/"): Probe(may="admin"),
    ("POST", "/api/v1/clusters/"): Probe(body=wish("made-by-a-stranger"), may=CHANGING),
    ("GET", "/api/v1/clusters/"): Probe(),
    ("GET", "/api/v1/clusters/{cluster}"): Probe("cluster"),
    ("DELETE", "/api/v1/clusters/{cluster}"): Probe("cluster", query={"wait": "0"}, may=CHANGING, grant=""),
    ("PATCH", "/api/v1/clusters/{cluster}"): Probe("cluster", {"image": "nginx:2"}, may=CHANGING, grant="manage"),
    ("POST", "/api/v1/clusters/delete"): Probe(body={"ids": ["nothing"]}, may=CHANGING),
    ("POST", "/api/v1/clusters/{cluster}/operate"): Probe("cluster", _STOP, may=CHANGING),
    ("POST", "/api/v1/clusters/{cluster}/scale"): Probe("cluster", {"instance_count": 2}, may=CHANGING, grant="manage"),
    ("GET", "/api/v1/instances/"): Probe(),
    ("GET", "/api/v1/instances/{instance}"): Probe("instance"),
    ("DELETE", "/api/v1/instances/{instance}"): Probe("instance", query={"wait": "0"}, may=CHANGING, grant="manage"),
    ("POST", "/api/v1/instances/{instance}/operate"): Probe("instance", _STOP, may=CHANGING, grant="operate"),
    ("GET", "/api/v1/instances/{instance}/logs"): Probe("instance"),
    ("GET", "/api/v1/instances/{instance}/usage"): Probe("instance"),
    ("GET", "/api/v1/instances/{instance}/screenshot"): Probe("instance", may=CHANGING, grant="operate"),
    ("GET", "/api/v1/clusters/{cluster}/grants/"): Probe("cluster"),
    ("GET", "/api/v1/clusters/{cluster}/grants/{user}"): Probe("cluster"),
    ("PUT", "/api/v1/clusters/{cluster}/grants/{user}"): Probe("cluster", {"level": "view"}, may=CHANGING, grant=""),
    ("DELETE", "/api/v1/clusters/{cluster}/grants/{user}"): Probe("cluster", may=CHANGING, grant=""),
    ("POST", "/api/v1/clusters/{cluster}/transfer"): Probe("cluster", {"to": "admin"}, may=CHANGING, grant=""),
    ("PUT", "/api/v1/clusters/{cluster}/transfer"): Probe("cluster", {"to": "admin"}, may="admin"),
    ("GET", "/api/v1/transfers/"): Probe(),
    ("GET", "/api/v1/transfers/{transfer}"): Probe("transfer"),
    ("POST", "/api/v1/transfers/{transfer}/accept"): Probe("transfer", may=CHANGING),
    ("DELETE", "/api/v1/transfers/{transfer}"): Probe("transfer", may=CHANGING),
    (WEBSOCKET, "/api/v1/instances/{instance}/exec"): Probe(
        "instance", query={"command": "sh"}, may=CHANGING, grant="operate"
    ),
    (WEBSOCKET, "/api/v1/instances/{instance}/port-forward/{port}"): Probe("instance", may=CHANGING, grant="operate"),
    (WEBSOCKET, "/api/v1/instances/{instance}/console"): Probe("instance", may=CHANGING, grant="operate"),
    (WEBSOCKET, "/api/v1/instances/{instance}/vnc"): Probe("instance", may=CHANGING, grant="operate"),
    ("POST", "/api/v1/instances/operate"): Probe(body=_STOP | {"ids": ["nothing"]}, may=CHANGING),
    ("GET", "/api/v1/operations/"): Probe(),
    ("GET", "/api/v1/operations/{operation}"): Probe("operation"),
    ("GET", "/api/v1/operations/{operation}/wait"): Probe("operation", query={"timeout": "0"}),
    ("GET", "/api/v1/events/"): Probe(endless=True),
    ("GET", "/api/v1/events/history"): Probe(),
    ("POST", "/api/v1/flavours/"): Probe(body={"name": "mine", "cpu": 1, "memory": 64}, may="admin"),
    ("GET", "/api/v1/flavours/"): Probe(),
    ("GET", "/api/v1/flavours/{flavour}"): Probe("flavour"),
    ("PATCH", "/api/v1/flavours/{flavour}"): Probe("flavour", {"enabled": True}, may="admin"),
    ("DELETE", "/api/v1/flavours/{flavour}"): Probe("flavour", may="admin"),
    ("POST", "/api/v1/images/"): Probe(
        body={"name": "mine", "instance_type": "vm", "reference": "mine:1"}, may="admin"
    ),
    ("GET", "/api/v1/images/"): Probe(),
    ("GET", "/api/v1/images/{image}"): Probe("image"),
    ("PATCH", "/api/v1/images/{image}"): Probe("image", {"enabled": True}, may="admin"),
    ("DELETE", "/api/v1/images/{image}"): Probe("image", may="admin"),
    ("GET", "/api/v1/policy/"): Probe(),
    ("PATCH", "/api/v1/policy/"): Probe(body={"custom_sizes": True}, may="admin"),
    ("POST", "/oauth/token"): Probe(open=True),
    ("POST", "/oauth/revoke"): Probe(open=True),
    ("POST", "/oauth/device_authorization"): Probe(open=True),
    ("GET", "/oauth/jwks.json"): Probe(open=True),
    ("GET", "/.well-known/oauth-authorization-server"): Probe(open=True),
    ("GET", "/health"): Probe(open=True),
    ("GET", "/livez"): Probe(open=True),
    ("GET", "/readyz"): Probe(open=True),
}
# By what a path names it, where that is not either.
FORMS = {"operation": ("id",), "transfer": ("id",), "token": ("id",), "flavour": ("name",), "image": ("name",)}
TENANTS = ("cluster", "instance", "operation")
NAMING = [route for route, probe in ROUTES.items() if probe.noun]
GUARDED = [route for route, probe in ROUTES.items() if not probe.open]


@pytest.fixture(scope="module")
async def owned(api: Api) -> Owned:
    owner = await api.user()
    hidden = {"name": "hidden", "enabled": False}
    flavour = await api.admin.post("/flavours/", json=hidden | {"cpu": 1, "memory": 64})
    image = await api.admin.post("/images/", json=hidden | {"instance_type": "vm", "reference": "hidden:1"})
    assert (flavour.status_code, image.status_code) == (201, 201)
    token = (await owner.get("/tokens/")).json()["items"][0]["id"]
    cluster = await owner.cluster("secret-plans", instance_count=2, labels={"secret": "label"})
    await owner.put("/clusters/secret-plans/grants/admin", json={"level": "view"})
    offer = await owner.post("/clusters/secret-plans/transfer", json={"to": "admin"})
    return Owned(owner, cluster, token, offer.json()["id"])


@pytest.fixture(scope="module")
async def stranger(api: Api) -> Caller:
    return await api.user()


@pytest.fixture(scope="module")
async def strangers(api: Api) -> dict[str, Caller]:
    disabled, rotated = await api.user(), await api.user()
    await api.admin.patch(f"/users/{disabled.name}", json={"disabled": True})
    await rotated.post("/users/me/token")
    return {
        "no token": api.nobody,
        "an unknown token": api.caller("cmp_pat_" + "A" * 43),
        "a mangled token": api.caller(api.admin.token[:-1]),
        "another scheme": with_header(api, f"Basic {api.admin.token}"),
        "a disabled user's": disabled,
        "a replaced token": rotated,
    }


def with_header(api: Api, authorization: str) -> Caller:
    caller = api.caller(None)
    caller.headers["Authorization"] = authorization
    return caller


async def call(caller: Caller, route: tuple[str, str], key: str = "anything", **headers: str) -> httpx.Response:
    method, path = route
    probe = ROUTES[route]
    path = (path.replace("{" + probe.noun + "}", key) if probe.noun else path).replace("{port}", "80")
    for other in ("{token}", "{identity}"):
        path = path.replace(other, str(uuid.UUID(int=1)))
    path = path.replace("{user}", "admin")
    if method == WEBSOCKET:
        return await upgrade(caller, path, urlencode(probe.query), headers)
    url = f"http://cmp{path}"
    return await caller.request(method, url, json=probe.body, params=probe.query, headers=headers)


async def upgrade(caller: Caller, path: str, query: str, headers: dict[str, str]) -> httpx.Response:
    """The answer to a handshake, which none of these has a claim to."""
    sent = {name: caller.headers[name] for name in caller.headers if name == "authorization"} | headers
    dialog = await handshake(caller.app, path, sent, query, ["v5.channel.k8s.io"])
    assert dialog.refusal is not None, f"{path} was opened"
    await checked(dialog.refusal)
    return dialog.refusal


def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Everything that the asker can see, apart from the request id."""
    request_id = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content.replace(request_id.encode(), b"-"), headers


def test_the_matrix_knows_every_route(api: Api) -> None:
    described = {(method.upper(), path) for path, methods in api.app.openapi()["paths"].items() for method in methods}
    assert described | {(WEBSOCKET, path) for path in websockets(api.app.routes)} == set(ROUTES)


def websockets(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """OpenAPI knows none; FastAPI keeps an included router as it is."""
    for route in routes:
        if isinstance(route, WebSocketRoute):
            yield prefix + route.path
        elif included := getattr(route, "original_router", None):
            yield from websockets(included.routes, prefix + route.include_context.prefix)  # type: ignore[attr-defined]


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: " ".join(route))
async def test_without_a_valid_token_every_path_reads_the_same(
    owned: Owned, strangers: dict[str, Caller], route: tuple[str, str]
) -> None:
    noun = ROUTES[route].noun
    keys = ["anything", *([owned.key(noun, FORMS.get(noun, ("id",))[0])] if noun else [])]
    answers = {(who, key): seen(await call(caller, route, key)) for who, caller in strangers.items() for key in keys}
    assert len({str(answer) for answer in answers.values()}) == 1, answers
    assert answers["no token", "anything"][0] == 401


@pytest.mark.parametrize("route", NAMING, ids=lambda route: " ".join(route))
async def test_what_is_anothers_reads_as_if_it_were_missing(
    owned: Owned, stranger: Caller, route: tuple[str, str]
) -> None:
    probe = ROUTES[route]
    assert probe.noun
    before = (await owned.owner.get("/clusters/secret-plans")).content
    missing = {"id": str(uuid.uuid4()), "name": "no-such-thing"}
    for by in FORMS.get(probe.noun, ("id", "name")):
        for headers in ({}, {"If-Match": '"x"', "If-None-Match": "*"}):
            theirs = seen(await call(stranger, route, owned.key(probe.noun, by), **headers))
            nothing = seen(await call(stranger, route, missing[by], **headers))
            assert theirs == nothing
            assert theirs[0] == (403 if probe.for_admins else 404)
    assert (await owned.owner.get("/clusters/secret-plans")).content == before


@pytest.mark.parametrize(
    "route", [route for route, probe in ROUTES.items() if probe.for_admins], ids=lambda route: " ".join(route)
)
async def test_only_administrators_administer(stranger: Caller, route: tuple[str, str]) -> None:
    for key in (stranger.name, stranger.id, "admin"):
        assert (await call(stranger, route, key)).status_code == 403


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: " ".join(route))
@pytest.mark.parametrize("role", ALL.split())
async def test_each_role_gets_what_is_its_own(api: Api, role: str, route: tuple[str, str]) -> None:
    """Refused by role: 403, whatever is named. Else 404 for what is missing, or another's and not for this role."""
    probe = ROUTES[route]
    asker, other = await api.user(), await api.user()
    mine, theirs = [Owned(caller, await caller.cluster()) for caller in (asker, other)]
    for one in (mine, theirs):
        await one.owner.put(f"/clusters/{one.cluster['id']}/grants/admin", json={"level": "view"})
    changed = await api.admin.patch(f"/users/{asker.name}", json={"role": role})
    assert changed.json()["role"] == role
    # If-Match keeps whoever may from changing what others are tested with.
    named = {"missing": str(uuid.uuid4()) if probe.noun in (*TENANTS, "token", "transfer") else "no-such-thing"}
    if probe.noun in TENANTS:
        named |= {"mine": mine.key(probe.noun, "id"), "theirs": theirs.key(probe.noun, "id")}
    answers = {}
    for whose, key in named.items():
        if not (probe.endless and role in probe.may.split()):
            answers[whose] = await call(asker, route, key, **{"If-Match": '"x"'})
    if role not in probe.may.split():
        assert {answer.status_code for answer in answers.values()} == {403}
        assert all(role in answer.json()["detail"] for answer in answers.values())
        return
    found = {whose: answer.status_code not in (401, 403, 404) for whose, answer in answers.items()}
    sees_all = role in LOOKING_AFTER.split()
    expected = {"missing": probe.noun is None, "mine": True, "theirs": sees_all}
    assert found == {whose: expected[whose] for whose in answers}, answers
    assert all(found[whose] or answer.status_code == 404 for whose, answer in answers.items())


@pytest.mark.parametrize(
    "path", ["/operations/?everyones=true", "/events/history?everyones=true", "/clusters/?owner=*"]
)
async def test_everybodys_is_for_those_who_look_after_it(api: Api, path: str) -> None:
    answers = {role: (await (await api.user(role=role)).get(path)).status_code for role in ALL.split()}
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
