"""A tenant's day and an administrator's, with whichever hand."""

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.console.conftest import PASSWORD, Person
from tests.console.hands import Hand

Open = Callable[..., Page]
People = Callable[..., Person]
SECONDS = 1000


def create(page: Page, hand: Hand, name: str, count: int = 1, kind: str = "Containers") -> None:
    hand.go("/clusters/new")
    hand.type(page.get_by_label("Name", exact=False).first, name)
    hand.choose("radio", kind)
    hand.type(page.get_by_label("Reference"), "docker.io/library/nginx:1.29")
    hand.type(page.get_by_label("How many"), str(count))
    hand.press(page.get_by_role("button", name="Create", exact=True))


def create_watch_operate_and_delete(person: People, open_page: Open, by: type[Hand]) -> None:
    ada = person(quota_cpu=8, quota_memory="8Gi")
    page = open_page(ada, by=by)
    hand = by(page)
    expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
    web, lab = f"web-{ada.name}", f"lab-{ada.name}"
    create(page, hand, web, count=2)
    first = page.locator(f"[data-instance='{web}-instance-1']")
    expect(first.get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    create(page, hand, lab, kind="Virtual machines")
    expect(page.locator(f"[data-instance='{lab}-instance-1']").get_by_text("Running")).to_be_visible(
        timeout=60 * SECONDS
    )

    hand.go("/clusters")
    hand.press(page.get_by_role("link", name=web))
    hand.press(first.get_by_role("button", name=f"Stop {web}-instance-1"))
    expect(first.get_by_text("Stopped")).to_be_visible(timeout=60 * SECONDS)
    hand.press(first.get_by_role("button", name=f"Start {web}-instance-1"))
    expect(first.get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    hand.choose("tab", "History")
    expect(page.get_by_text("Operation finished").first).to_be_visible()

    hand.go("/clusters")
    hand.tick(page.get_by_label(f"Choose {web}"))
    hand.tick(page.get_by_label(f"Choose {lab}"))
    hand.press(page.get_by_role("toolbar").get_by_role("button", name="Delete"))
    hand.type(page.get_by_label("Type delete to go on"), "delete")
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Delete"))
    expect(page.get_by_text("2 clusters being deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="No clusters yet")).to_be_visible(timeout=90 * SECONDS)
    assert ada.api.get("/users/me/quota").json()["used"]["cpu"] == 0

    hand.go("/operations")
    hand.press(page.get_by_role("link", name=f"{web}-instance-1").first)
    expect(page.get_by_text("This cluster is gone.")).to_be_visible()
    expect(page.get_by_role("heading", name=web)).to_be_visible()


def share_exactly_that(person: People, open_page: Open, by: type[Hand]) -> None:
    ada, bob = person(), person()
    page = open_page(ada, by=by)
    hand = by(page)
    shared, other = f"shared-{ada.name}", f"other-{ada.name}"
    create(page, hand, other)
    page.get_by_role("heading", name=other).wait_for()
    create(page, hand, shared)
    page.get_by_role("heading", name=shared).wait_for()
    hand.choose("tab", "Sharing")
    hand.type(page.get_by_label("Share with"), bob.name)
    hand.press(page.get_by_role("button", name="Share", exact=True))
    expect(page.get_by_role("cell", name=bob.name, exact=True)).to_be_visible()

    his = open_page(bob, "/clusters", by=by)
    expect(his.get_by_role("heading", name="No clusters yet")).to_be_visible()
    by(his).choose("radio", "Shared with me")
    expect(his.locator("[data-cluster]")).to_have_count(1)
    by(his).press(his.get_by_role("link", name=shared))
    expect(his.locator(f"[data-instance='{shared}-instance-1']").get_by_text("Running")).to_be_visible(
        timeout=60 * SECONDS
    )
    expect(his.get_by_role("button", name=re.compile("Stop|Start|More"))).to_have_count(0)
    foreign = ada.api.get(f"/clusters/{other}").json()["id"]
    his.goto(f"/clusters/{foreign}")
    expect(his.get_by_role("alert")).to_contain_text("request", ignore_case=True)
    hand.press(page.get_by_role("button", name=f"Share with {bob.name} no longer"))
    expect(page.get_by_text("Shared with nobody.")).to_be_visible()
    for name in (shared, other):
        assert ada.api.delete(f"/clusters/{name}").status_code == 202


def quota_says_no_until_there_is_more(person: People, open_page: Open, admin: httpx.Client, by: type[Hand]) -> None:
    ada = person(quota_cpu=1, quota_memory="2Gi")
    page = open_page(ada, by=by)
    name = f"big-{ada.name}"
    create(page, by(page), name, count=4)
    expect(page.get_by_text("More than you have left")).to_be_visible()
    refusal = page.get_by_role("alert").filter(has_text=re.compile("quota", re.IGNORECASE))
    expect(refusal).to_be_visible()
    boss = admin.post("/users/", json={"username": f"boss-{ada.name}", "role": "admin"}).json()
    with httpx.Client(base_url=str(admin.base_url), headers={"Authorization": f"Bearer {boss['token']}"}) as client:
        assert client.put("/users/me/password", json={"password": PASSWORD}).status_code == 204
        hers = open_page(Person(boss["username"], client), "/users", by=by)
        hand = by(hers)
        hand.type(hers.get_by_label("Find by name"), ada.name)
        hand.press(hers.get_by_role("link", name=ada.name, exact=True))
        hand.press(hers.get_by_role("button", name="Change", exact=True))
        hand.type(hers.get_by_role("dialog").get_by_label("CPU (cores)"), "4")
        hand.press(hers.get_by_role("dialog").get_by_role("button", name="Save"))
        expect(hers.get_by_text("0 cores of 4 cores")).to_be_visible()
    by(page).press(page.get_by_role("button", name="Create", exact=True))
    expect(page.locator("[data-instance]")).to_have_count(4)
    assert ada.api.delete(f"/clusters/{name}").status_code == 202
