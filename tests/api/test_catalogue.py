"""The catalogue: what administrators offer, what users choose from it, and what the policy keeps them from."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.schemas.fields import amounts
from tests.api.running import Api, Caller, wish
from tests.api.test_lists import pages

DIGEST = "sha256:" + "0" * 64
OPEN = {"custom_sizes": True, "allowed_images": ["*"]}


@pytest.fixture(autouse=True)
async def an_empty_catalogue(api: Api) -> AsyncIterator[None]:
    yield
    assert (await api.admin.patch("/policy/", json=OPEN)).status_code == 200
    for noun in ("flavours", "images"):
        for entry in await pages(api.admin, f"/{noun}/"):
            assert (await api.admin.delete(f"/{noun}/{entry['name']}")).status_code == 204


@pytest.fixture
async def user(api: Api) -> Caller:
    return await api.user()


async def flavour(api: Api, name: str, **fields: Any) -> dict[str, Any]:
    return await offered(api, "flavours", {"name": name, "cpu": 1, "memory": "1Gi"} | fields)


async def image(api: Api, name: str, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "instance_type": "container", "reference": f"registry.example/base/{name}:1"}
    return await offered(api, "images", body | fields)


async def offered(api: Api, noun: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.admin.post(f"/{noun}/", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def policy(api: Api, **fields: Any) -> None:
    assert (await api.admin.patch("/policy/", json=fields)).status_code == 200


def chosen(**fields: Any) -> dict[str, Any]:
    """A wish without a size, unless the fields have one."""
    body = wish()
    del body["cpu_per_instance"], body["memory_per_instance"]
    return body | fields


async def made(caller: Caller, **fields: Any) -> dict[str, Any]:
    answer = await caller.post("/clusters/", json=chosen(**fields))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def sized(cluster: dict[str, Any]) -> tuple[Any, ...]:
    return cluster["flavour"], cluster["cpu_per_instance"], cluster["memory_per_instance"]


async def test_what_is_offered_is_shown_to_everybody(api: Api, user: Caller) -> None:
    small = await flavour(api, "small", description="To begin with.", cpu="500m", memory=768)
    assert (small["cpu"], small["memory"], small["instance_type"]) == (0.5, 768, None)
    machine = await flavour(api, "machine", instance_type="vm", instancetype="u1", preference="linux")
    debian = await image(api, "debian-13", default=True)
    for caller in (user, api.admin):
        assert await pages(caller, "/flavours/", 1) == [machine, small]
        assert await pages(caller, "/flavours/", sort="created_at") == [small, machine]
        assert await pages(caller, "/flavours/", instance_type="container") == [small]
        assert await pages(caller, "/flavours/", instance_type="vm") == [machine, small]
        assert (await caller.get("/flavours/small")).json() == small
        assert await pages(caller, "/images/") == [debian]
        assert await pages(caller, "/images/", instance_type="vm") == []
        assert (await caller.get("/images/debian-13")).json() == debian
        assert (await caller.get("/policy")).json() == OPEN
    for path in ("/flavours/none", "/images/small", "/flavours/debian-13"):
        assert (await user.get(path)).status_code == 404


async def test_what_is_not_enabled_is_the_administrators_alone(api: Api, user: Caller) -> None:
    await flavour(api, "later", enabled=False, default=True)
    await image(api, "later", enabled=False, default=True)
    for noun in ("flavours", "images"):
        assert await pages(user, f"/{noun}/") == []
        assert (await user.get(f"/{noun}/later")).status_code == 404
        assert len(await pages(api.admin, f"/{noun}/")) == 1
    assert (await user.post("/clusters/", json=chosen(flavour="later"))).status_code == 404
    assert (await user.post("/clusters/", json=chosen())).status_code == 409, "no default that can be chosen"
    assert (await user.post("/clusters/", json=wish(image="later"))).status_code == 404
    assert (await user.cluster())["image"] == "nginx:latest"
    await api.admin.patch("/flavours/later", json={"enabled": True})
    assert sized(await made(user)) == ("later", 1, 1024)


async def test_a_flavour_is_a_size(api: Api, user: Caller) -> None:
    await flavour(api, "small")
    cluster = await made(user, flavour="small", instance_count=2)
    assert sized(cluster) == ("small", 1, 1024)
    assert [(member["cpu"], member["memory"]) for member in cluster["instances"]] == [(1, 1024)] * 2
    assert (await user.used())["cpu"] == 2
    own = await user.cluster()
    assert sized(own) == (None, 0.5, 512)
    listed = {row["name"]: row for row in await pages(user, "/clusters/")}
    assert [sized(listed[row["name"]]) for row in (cluster, own)] == [sized(cluster), sized(own)]


@pytest.mark.parametrize(
    "size",
    [
        {"flavour": "small", "cpu_per_instance": 1},
        {"flavour": "small", "memory_per_instance": 512},
        {"flavour": "small", "cpu_per_instance": 1, "memory_per_instance": 512},
        {"cpu_per_instance": 1},
        {"memory_per_inst": 512},
        {"flavour": ""},
        {"flavour": "Small"},
    ],
)
async def test_a_size_is_given_in_one_way(api: Api, user: Caller, size: dict[str, Any]) -> None:
    await flavour(api, "small", default=True)
    assert (await user.post("/clusters/", json=chosen(**size))).status_code == 422
    assert (await user.used())["clusters"] == 0


async def test_defaults_are_of_a_type_or_of_every_type(api: Api, user: Caller) -> None:
    assert (await user.post("/clusters/", json=chosen())).json()["code"] == "unsupported"
    await flavour(api, "any", default=True)
    await flavour(api, "machine", instance_type="vm", memory=2048, default=True)
    await image(api, "debian", default=True)
    await image(api, "disk", instance_type="vm", default=True)
    container, machine = await made(user), await made(user, instance_type="vm")
    assert (sized(container), sized(machine)) == (("any", 1, 1024), ("machine", 1, 2048))
    assert (container["image"], container["image_name"]) == ("registry.example/base/debian:1", "debian")
    assert (machine["image"], machine["image_name"]) == ("registry.example/base/disk:1", "disk")
    assert sized(await user.cluster()) == (None, 0.5, 512), "a size of one's own goes before the default"


async def test_one_default_at_a_time(api: Api) -> None:
    for name in ("a", "b", "c"):
        await flavour(api, name, default=True)
        await image(api, name, default=True)
        await image(api, f"vm-{name}", instance_type="vm", default=True)
    answers = await asyncio.gather(
        *(
            api.admin.patch(f"/{noun}/{name}", json={"default": True})
            for noun in ("flavours", "images")
            for name in "abc"
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    assert [row["name"] for row in await pages(api.admin, "/flavours/") if row["default"]] != []
    queries: list[dict[str, Any]] = [{}, {"instance_type": "vm"}, {"instance_type": "container"}]
    for query in queries:
        for noun in ("flavours", "images"):
            found = [row["instance_type"] for row in await pages(api.admin, f"/{noun}/", **query) if row["default"]]
            assert len(found) == len(set(found))


async def test_a_name_of_the_catalogue_goes_before_a_reference(api: Api, user: Caller) -> None:
    await image(api, "nginx", reference=f"registry.example/base/web@{DIGEST}")
    await image(api, "disk", instance_type="vm")
    expected = {
        "nginx": (f"registry.example/base/web@{DIGEST}", "nginx"),
        "nginx:latest": ("nginx:latest", None),
        "library/nginx": ("library/nginx", None),
        "httpd": ("httpd", None),
    }
    for asked, what in expected.items():
        cluster = await user.cluster(image=asked)
        assert (cluster["image"], cluster["image_name"]) == what
        shown = (await user.get(f"/clusters/{cluster['name']}")).json()
        assert (shown["image"], shown["image_name"]) == what
    refused = await user.post("/clusters/", json=wish(image="disk"))
    assert refused.status_code == 404, "a disk's name is no reference to somebody's image of that name"
    assert refused.json()["images"] == ["nginx"]


async def test_what_is_deprecated_can_be_chosen_with_a_warning(api: Api, user: Caller) -> None:
    await flavour(api, "tiny", deprecated='Take "small" – soon.')
    await image(api, "debian-12", deprecated="Take debian-13.")
    await flavour(api, "small")
    for wait in (0, 1):
        answer = await user.post(f"/clusters/?wait={wait}", json=chosen(flavour="tiny", image="debian-12"))
        assert sized(answer.json()) == ("tiny", 1, 1024)
        assert answer.headers["warning"] == (
            r'299 - "The flavour tiny is deprecated: Take \"small\" \u2013 soon.", '
            '299 - "The image debian-12 is deprecated: Take debian-13."'
        )
    assert [row["name"] for row in await pages(user, "/flavours/", deprecated="true")] == ["tiny"]
    assert [row["name"] for row in await pages(user, "/flavours/", deprecated="false")] == ["small"]
    kept = await api.admin.patch("/flavours/tiny", json={"description": "Least."})
    assert kept.json()["deprecated"] == 'Take "small" – soon.'
    taken_back = await api.admin.patch("/flavours/tiny", json={"deprecated": None})
    assert taken_back.json()["deprecated"] is None
    assert "warning" not in (await user.post("/clusters/", json=chosen(flavour="tiny"))).headers


async def test_clusters_keep_what_they_were_made_of(api: Api, user: Caller) -> None:
    await flavour(api, "small")
    await image(api, "web")
    cluster = await made(user, flavour="small", image="web")
    await api.admin.patch("/images/web", json={"reference": "registry.example/base/web:2"})
    assert (await made(user, flavour="small", image="web"))["image"] == "registry.example/base/web:2"
    await api.admin.delete("/images/web")
    await api.admin.delete("/flavours/small")
    shown = (await user.get(f"/clusters/{cluster['name']}")).json()
    assert (sized(shown), shown["image"], shown["image_name"]) == (sized(cluster), cluster["image"], "web")
    assert (await user.post("/clusters/", json=chosen(flavour="small"))).status_code == 404


async def test_where_sizes_of_ones_own_are_not_allowed(api: Api, user: Caller) -> None:
    await flavour(api, "small")
    await flavour(api, "old", deprecated="Take small.")
    await flavour(api, "machine", instance_type="vm")
    await policy(api, custom_sizes=False)
    refused = await user.post("/clusters/", json=wish())
    assert refused.status_code == 403
    assert refused.json()["flavours"] == ["small"], "what can be chosen, without what is on its way out"
    assert sized(await made(user, flavour="small")) == ("small", 1, 1024)
    assert (await api.admin.post("/clusters/", json=wish())).status_code == 403, "for everybody"


async def test_only_images_that_are_allowed(api: Api, user: Caller) -> None:
    await image(api, "web")
    await image(api, "disk", instance_type="vm")
    await policy(api, allowed_images=["registry.example/team/*", "busybox"])
    for fits in ("registry.example/team/app", "busybox:1.37", "docker.io/library/busybox", "web"):
        assert (await user.post("/clusters/", json=wish(image=fits))).status_code == 201, fits
    offered = await user.cluster(image="registry.example/base/web:1")
    assert offered["image_name"] is None, "what is offered by name can be named by reference"
    secret = "registry.example.evil.com/team/app"
    for does_not in (secret, "registry.example/teams/app", "nginx", "registry.example/base/web:2"):
        refused = await user.post("/clusters/", json=wish(image=does_not))
        assert refused.status_code == 403, does_not
        assert refused.json()["allowed_images"] == ["registry.example/team/*", "busybox"]
        assert refused.json()["images"] == ["web"]
        assert does_not not in refused.text.replace("registry.example/team/*", "")
    kernel = {"kernel_boot": {"image": secret, "kernel_path": "/vmlinuz"}}
    assert (await user.post("/clusters/", json=wish(instance_type="vm", image="disk"))).status_code == 201
    refused = await user.post("/clusters/", json=wish(instance_type="vm", image="disk", vm=kernel))
    assert refused.status_code == 403
    assert (await user.cluster())["image"] == "nginx:latest", "the platform's own default is the operator's choice"


async def test_only_the_catalogue(api: Api, user: Caller) -> None:
    await image(api, "web")
    await policy(api, allowed_images=[])
    assert (await user.post("/clusters/", json=wish(image="web"))).status_code == 201
    assert (await user.post("/clusters/", json=wish(image="nginx:latest"))).status_code == 403
    assert (await user.get("/policy/")).json() == {"custom_sizes": True, "allowed_images": []}


async def test_an_answer_that_is_repeated_does_not_depend_on_todays_offers(api: Api, user: Caller) -> None:
    await flavour(api, "small")
    body, key = chosen(flavour="small"), {"Idempotency-Key": "once"}
    first = await user.post("/clusters/", json=body, headers=key)
    await api.admin.delete("/flavours/small")
    again = await user.post("/clusters/", json=body, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_flavour_brings_kubevirts_names(api: Api, user: Caller) -> None:
    await flavour(api, "machine", instance_type="vm", instancetype="u1", preference="linux")
    plain = await made(user, instance_type="vm", flavour="machine")
    assert (plain["vm"]["instancetype"], plain["vm"]["preference"]) == ("u1", "linux")
    own = await made(user, instance_type="vm", flavour="machine", vm={"preference": "windows"})
    assert (own["vm"]["instancetype"], own["vm"]["preference"]) == ("u1", "windows")
    both = await user.post("/clusters/", json=chosen(instance_type="vm", flavour="machine", vm={"instancetype": "u2"}))
    assert both.status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 7}),
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 64, "instancetype": "u1"}),
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 64, "instance_type": "vm", "runtime_class": "gvisor"}),
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 64, "runtime_class": "gvisor"}),
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 64, "instance_type": "container", "preference": "linux"}),
        ("/flavours/", {"name": "x:1", "cpu": 1, "memory": 64}),
        ("/flavours/", {"name": "x", "memory": 64}),
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 64, "description": "a\u0000b"}),
        ("/flavours/", {"name": "x", "cpu": 1, "memory": 64, "deprecated": ""}),
        ("/images/", {"name": "x", "instance_type": "vm"}),
        ("/images/", {"name": "x", "instance_type": "vm", "reference": "a b"}),
        ("/images/", {"name": "team/x", "instance_type": "vm", "reference": "a"}),
        ("/images/", {"name": "x", "reference": "a"}),
    ],
)
async def test_what_is_no_offer(api: Api, path: str, body: dict[str, Any]) -> None:
    assert (await api.admin.post(path, json=body)).status_code == 422


async def test_what_is_no_policy(api: Api) -> None:
    for pattern in ("registry.example*", "**", "", "registry.example/*/app", "a b", 1, None):
        refused = await api.admin.patch("/policy/", json={"allowed_images": [pattern]})
        assert refused.status_code == 422, pattern
    too_many = await api.admin.patch("/policy/", json={"allowed_images": ["a"] * 201})
    assert too_many.status_code == 422
    assert (await api.admin.get("/policy/")).json() == OPEN


@pytest.mark.parametrize("noun", ["flavours", "images"])
async def test_changes_are_conditional_repeatable_and_noted(api: Api, noun: str) -> None:
    create = flavour if noun == "flavours" else image
    entry = await create(api, "small")
    body = {key: entry[key] for key in entry if key not in ("created_at", "updated_at")}
    assert (await api.admin.post(f"/{noun}/", json=body)).json()["code"] == "name_taken"
    path = f"/{noun}/small"
    tag = (await api.admin.get(path)).headers["etag"]
    assert (await api.admin.get(path, headers={"If-None-Match": tag})).status_code == 304
    for method in ("PATCH", "DELETE"):
        more: dict[str, Any] = {"json": {"description": "No."}} if method == "PATCH" else {}
        stale = await api.admin.request(method, path, headers={"If-Match": '"stale"'}, **more)
        assert stale.status_code == 412
    changed = await api.admin.patch(path, json={"description": "Yes."}, headers={"If-Match": tag})
    assert changed.json()["description"] == "Yes."
    assert (await api.admin.get(path)).json() == changed.json()
    for change in ({"cpu": 2}, {"name": "x"}, {"instance_type": "vm"}):
        assert (await api.admin.patch(path, json=change)).status_code == 422
    assert (await api.admin.delete(path)).status_code == 204
    assert (await api.admin.delete(path)).status_code == 404
    key = {"Idempotency-Key": f"offer-{noun}"}
    again = wanted(noun)
    answers = [await api.admin.post(f"/{noun}/", json=again, headers=key) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert [await last_event(api)] == [(f"catalogue.{noun[:-1]}_created", "admin", "again")]


def wanted(noun: str) -> dict[str, Any]:
    own = {"cpu": 1, "memory": 64} if noun == "flavours" else {"instance_type": "vm", "reference": "a:1"}
    return {"name": "again"} | own


async def last_event(api: Api) -> tuple[str, str, str]:
    newest = (await api.admin.get("/events/history", params={"everyones": "true", "limit": 1})).json()["items"][0]
    return newest["kind"], newest["actor"], newest["message"]


async def test_every_change_is_an_event_of_the_platform(api: Api, user: Caller) -> None:
    await flavour(api, "small")
    assert await last_event(api) == ("catalogue.flavour_created", "admin", "small")
    await api.admin.patch("/flavours/small", json={"enabled": False})
    assert await last_event(api) == ("catalogue.flavour_changed", "admin", "small")
    await api.admin.delete("/flavours/small")
    assert await last_event(api) == ("catalogue.flavour_deleted", "admin", "small")
    tag = (await api.admin.get("/policy/")).headers["etag"]
    for expected in (200, 412):
        changed = await api.admin.patch("/policy/", json={"custom_sizes": False}, headers={"If-Match": tag})
        assert changed.status_code == expected
    assert await last_event(api) == ("catalogue.policy_changed", "admin", "custom_sizes")
    kinds = [event["kind"] for event in (await user.get("/events/history")).json()["items"]]
    assert not [kind for kind in kinds if kind.startswith("catalogue.")]


async def test_a_refused_wish_leaves_nothing(api: Api, user: Caller) -> None:
    await policy(api, custom_sizes=False, allowed_images=[])
    answers: list[httpx.Response] = [
        await user.post("/clusters/", json=body)
        for body in (wish(), wish(image="a:1"), chosen(flavour="none"), chosen())
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 404, 409]
    assert await user.used() == amounts()


async def test_a_flavour_says_what_runs_its_containers(api: Api, user: Caller) -> None:
    await flavour(api, "walled", instance_type="container", runtime_class="gvisor")
    cluster = await made(user, flavour="walled", container={"command": ["a"]})
    assert cluster["container"]["runtime_class"] == "gvisor"
    path = f"/clusters/{cluster['id']}"
    changed = await user.patch(path, json={"container": {"command": ["b"]}})
    assert (changed.status_code, changed.json()["container"]["runtime_class"]) == (200, "gvisor")
    plain = await user.patch(path, json={"cpu_per_instance": 1, "memory_per_instance": 64})
    assert plain.json()["container"]["runtime_class"] is None
    refused = await user.patch(path, json={"container": {"runtime_class": "runc"}})
    assert refused.status_code == 422
