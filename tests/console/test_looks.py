"""What every page must be: free of serious barriers in both themes, whole on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page

from tests.console.conftest import PASSWORD, Person
from tests.console.dialogs import DIALOGS

Open = Callable[..., Page]
AXE = Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js"
PAGES = [
    "/",
    "/clusters",
    "/clusters/new",
    "/instances",
    "/operations",
    "/audit",
    "/account",
    "/notifications",
    "/help",
    "/help/reach-an-instance",
]
BOSS = ["/users", "/users/admin", "/catalogue", "/platform"]


@pytest.fixture
def boss(person: Callable[..., Person], admin: httpx.Client) -> Person:
    """An administrator who has a cluster of each kind, and is told by mail."""
    who = person()
    assert admin.patch(f"/users/{who.name}", json={"role": "admin"}).status_code == 200
    for kind in ("container", "vm"):
        wish = {"name": f"{kind}-{who.name}", "instance_type": kind, "image": "nginx:1.29", "cpu_per_instance": 0.5}
        made = who.api.post("/clusters/?wait=30", json=wish | {"memory_per_instance": 256})
        assert made.status_code == 201, made.text
    asked = who.api.post("/notifications/", json={"channel": "email", "target": "ops@example.org"})
    assert asked.status_code == 201, asked.text
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_dialog_has_a_serious_barrier(boss: Person, open_page: Open, scheme: str) -> None:
    page = open_page(boss, color_scheme=scheme, reduced_motion="reduce")
    ids = {"cluster": boss.api.get(f"/clusters/container-{boss.name}").json()["id"], "me": boss.name}
    other = boss.api.post("/users/", json={"username": f"other-{boss.name}"}).json()["username"]
    assert boss.api.put(f"/users/{other}/password", json={"password": PASSWORD}).status_code == 204
    found = []
    for dialog in DIALOGS:
        dialog.open(page, user=other, **ids)
        found += [f"{dialog.name}: {barrier}" for barrier in serious(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", [*PAGES, *BOSS])
def test_no_page_is_wider_than_a_phone(boss: Person, open_page: Open, path: str) -> None:
    page = open_page(boss, viewport={"width": 390, "height": 800})
    settled(page, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
