"""A tenant's day and an administrator's in the console, on the simulator and on the real API server."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import PASSWORD, Person
from tests.e2e.kube_eyes import KubeEyes, on_control_plane, on_simulator
from tests.e2e.platform import simulator

Open = Callable[..., Page]
SECONDS = 1000


@pytest.fixture(scope="module", params=["simulator", pytest.param("control-plane", marks=pytest.mark.kubernetes)])
def eyes(request: pytest.FixtureRequest) -> Iterator[KubeEyes]:
    if request.param == "simulator":
        with simulator() as url:
            yield on_simulator(url)
        return
    yield on_control_plane(request.getfixturevalue("control_plane"))


def create(page: Page, name: str, count: int = 1, kind: str = "Containers") -> None:
    page.goto("/clusters/new")
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_text(kind, exact=True).click()
    page.get_by_label("Reference").fill("docker.io/library/nginx:1.29")
    page.get_by_label("How many").fill(str(count))
    page.get_by_role("button", name="Create").click()


def test_both_kinds_are_created_watched_operated_and_deleted_together(
    person: Callable[..., Person], open_page: Open
) -> None:
    ada = person(quota_cpu=8, quota_memory="8Gi")
    page = open_page(ada)
    expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
    web, lab = f"web-{ada.name}", f"lab-{ada.name}"
    create(page, web, count=2)
    first = page.locator(f"[data-instance='{web}-instance-1']")
    expect(first.get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    create(page, lab, kind="Virtual machines")
    expect(page.locator(f"[data-instance='{lab}-instance-1']").get_by_text("Running")).to_be_visible(
        timeout=60 * SECONDS
    )

    page.goto("/clusters")
    page.get_by_role("link", name=web).click()
    first.get_by_role("button", name=f"Stop {web}-instance-1").click()
    expect(first.get_by_text("Stopped")).to_be_visible(timeout=60 * SECONDS)
    first.get_by_role("button", name=f"Start {web}-instance-1").click()
    expect(first.get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text("Operation finished").first).to_be_visible()

    page.goto("/clusters")
    page.get_by_label(f"Choose {web}").check()
    page.get_by_label(f"Choose {lab}").check()
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    page.get_by_label("Type delete to go on").fill("delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("2 clusters being deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="No clusters yet")).to_be_visible(timeout=90 * SECONDS)
    assert ada.api.get("/users/me/quota").json()["used"]["cpu"] == 0


def test_whoever_it_is_shared_with_sees_exactly_that(person: Callable[..., Person], open_page: Open) -> None:
    ada, bob = person(), person()
    page = open_page(ada)
    shared, other = f"shared-{ada.name}", f"other-{ada.name}"
    create(page, other)
    page.get_by_role("heading", name=other).wait_for()
    create(page, shared)
    page.get_by_role("heading", name=shared).wait_for()
    page.get_by_role("tab", name="Sharing").click()
    page.get_by_label("Share with").fill(bob.name)
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("cell", name=bob.name, exact=True)).to_be_visible()

    his = open_page(bob, "/clusters")
    expect(his.get_by_role("heading", name="No clusters yet")).to_be_visible()
    his.get_by_text("Shared with me").click()
    expect(his.locator("[data-cluster]")).to_have_count(1)
    his.get_by_role("link", name=shared).click()
    expect(his.locator(f"[data-instance='{shared}-instance-1']").get_by_text("Running")).to_be_visible(
        timeout=60 * SECONDS
    )
    expect(his.get_by_role("button", name=re.compile("Stop|Start|More"))).to_have_count(0)
    foreign = ada.api.get(f"/clusters/{other}").json()["id"]
    his.goto(f"/clusters/{foreign}")
    expect(his.get_by_role("alert")).to_contain_text("request", ignore_case=True)
    page.get_by_role("button", name=f"Share with {bob.name} no longer").click()
    expect(page.get_by_text("Shared with nobody.")).to_be_visible()
    for name in (shared, other):
        assert ada.api.delete(f"/clusters/{name}").status_code == 202


def test_the_quota_says_no_and_the_administrator_gives_more(
    person: Callable[..., Person], open_page: Open, admin: httpx.Client
) -> None:
    ada = person(quota_cpu=1, quota_memory="2Gi")
    page = open_page(ada)
    name = f"big-{ada.name}"
    create(page, name, count=4)
    expect(page.get_by_text("More than you have left")).to_be_visible()
    refusal = page.get_by_role("alert").filter(has_text=re.compile("quota", re.IGNORECASE))
    expect(refusal).to_be_visible()
    boss = admin.post("/users/", json={"username": f"boss-{ada.name}", "role": "admin"}).json()
    with httpx.Client(base_url=str(admin.base_url), headers={"Authorization": f"Bearer {boss['token']}"}) as client:
        assert client.put("/users/me/password", json={"password": PASSWORD}).status_code == 204
        hers = open_page(Person(boss["username"], client), f"/users/{ada.name}")
        hers.get_by_role("button", name="Change", exact=True).click()
        hers.get_by_role("dialog").get_by_label("CPU (cores)").fill("4")
        hers.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(hers.get_by_text("0 cores of 4 cores")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(page.locator("[data-instance]")).to_have_count(4)
    assert ada.api.delete(f"/clusters/{name}").status_code == 202


def test_an_ended_session_loses_nothing_of_a_form(person: Callable[..., Person], open_page: Open) -> None:
    ada = person()
    page = open_page(ada, "/clusters/new")
    name = f"kept-{ada.name}"
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_label("Reference").fill("docker.io/library/nginx:1.29")
    for session in ada.api.get("/tokens/?kind=browser").json()["items"]:
        assert ada.api.delete(f"/tokens/{session['id']}").status_code == 204
    page.get_by_role("button", name="Create").click()
    page.get_by_label(f"Password of {ada.name}").fill("wrong")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("do not belong together")).to_be_visible()
    page.get_by_label(f"Password of {ada.name}").fill(PASSWORD)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert ada.api.delete(f"/clusters/{name}").status_code == 202


def test_what_others_do_is_seen_without_reloading(person: Callable[..., Person], open_page: Open) -> None:
    ada = person()
    page = open_page(ada, "/clusters")
    expect(page.get_by_role("heading", name="No clusters yet")).to_be_visible()
    name = f"seen-{ada.name}"
    wish = {"name": name, "instance_type": "container", "image": "nginx:1.29", "cpu_per_instance": 0.5}
    assert ada.api.post("/clusters/", json=wish | {"memory_per_instance": 256}).status_code == 201
    expect(page.locator(f"[data-cluster='{name}']").get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    assert ada.api.delete(f"/clusters/{name}").status_code == 202
    expect(page.get_by_role("heading", name="No clusters yet")).to_be_visible(timeout=60 * SECONDS)
