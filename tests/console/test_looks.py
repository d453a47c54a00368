"""What every page must be: free of serious barriers in both themes, usable by keys alone, whole on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Person

Open = Callable[..., Page]
AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
PAGES = ["/", "/clusters", "/clusters/new", "/instances", "/operations", "/audit", "/account"]
BOSS = ["/users", "/users/admin", "/catalogue", "/platform"]


@pytest.fixture
def boss(person: Callable[..., Person], admin: httpx.Client) -> Person:
    """An administrator who has a cluster of each kind."""
    who = person()
    assert admin.patch(f"/users/{who.name}", json={"role": "admin"}).status_code == 200
    for kind in ("container", "vm"):
        wish = {"name": f"{kind}-{who.name}", "instance_type": kind, "image": "nginx:1.29", "cpu_per_instance": 0.5}
        made = who.api.post("/clusters/?wait=30", json=wish | {"memory_per_instance": 256})
        assert made.status_code == 201, made.text
    return who


def serious(page: Page) -> list[str]:
    """By axe-core; read through the browser's own evaluation, so that the page's policy stays as it is."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def settled(page: Page, path: str) -> None:
    page.goto(path)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_timeout(400)  # what it asks for is there and shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_barrier(boss: Person, open_page: Open, scheme: str) -> None:
    page = open_page(boss, color_scheme=scheme, reduced_motion="reduce")
    cluster = boss.api.get(f"/clusters/container-{boss.name}").json()
    one = cluster["instances"][0]["id"]
    below = [f"/clusters/{cluster['id']}{tab}" for tab in ("", "?tab=history", "?tab=settings", "?tab=sharing")]
    below += [f"/instances/{one}", f"/instances/{one}?tab=logs", f"/instances/{one}/terminal"]
    found = []
    for path in [*PAGES, *BOSS, *below]:
        settled(page, path)
        found += [f"{path}: {barrier}" for barrier in serious(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", [*PAGES, *BOSS])
def test_no_page_is_wider_than_a_phone(boss: Person, open_page: Open, path: str) -> None:
    page = open_page(boss, viewport={"width": 390, "height": 800})
    settled(page, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_cluster_is_made_and_deleted_by_keys_alone(person: Callable[..., Person], open_page: Open) -> None:
    ada = person()
    page = open_page(ada)
    name = f"keys-{ada.name}"
    page.keyboard.press("Alt+n")
    page.get_by_role("heading", name="Create a cluster").wait_for()
    reached(page, "Name").type(name)
    reached(page, "Reference").type("docker.io/library/nginx:1.29")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=name).wait_for()
    reached(page, "More", role="button").press("Enter")
    reached(page, "Delete…", role="menuitem", by="ArrowDown").press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/clusters")
    expect(page.get_by_text(f"{name} is being deleted.")).to_be_visible()


def test_the_palette_goes_anywhere(person: Callable[..., Person], open_page: Open) -> None:
    page = open_page(person())
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Go to, or do…").wait_for()
    page.keyboard.type("instances")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/instances")
    expect(page.get_by_placeholder("Go to, or do…")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


class reached:
    """The control of that label, by one key alone."""

    def __init__(self, page: Page, label: str, role: str = "textbox", by: str = "Tab") -> None:
        self._page = page
        target = page.get_by_role(role, name=label).first  # type: ignore[arg-type]
        target.wait_for()
        for _ in range(80):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press(by)
            page.wait_for_timeout(20)
        raise AssertionError(f"{label} is not reached by {by}")

    def type(self, text: str) -> None:
        self._page.keyboard.type(text)

    def press(self, key: str) -> None:
        self._page.keyboard.press(key)
