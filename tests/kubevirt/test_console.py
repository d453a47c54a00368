"""The console in a real browser, at the screen and the serial console of a virtual machine that really boots."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from testbed.kubevirt import guest, images
from tests.console.hands import Mouse
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import Platform, running

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]

PASSWORD = "a long enough password"
VM = "seen-instance-1"
SIZE = {"instance_type": "vm", "instance_count": 1, "cpu_per_instance": 1, "memory_per_instance": 256}
SECONDS = 1000
COLOURS = """canvas => canvas.width && new Set(new Uint32Array(
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""


@pytest.fixture(scope="module")
def platform(eyes: KubeEyes, console_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    extra = {"CMP_CONSOLE_DIR": str(console_dir)}
    with running(Platform(tmp_path_factory.mktemp("console"), eyes.kubernetes, extra=extra)) as started:
        yield started


@pytest.fixture(scope="module")
def machine(platform: Platform) -> Iterator[str]:
    """The id of a virtual machine whose guest has booted: its owner is ada."""
    with httpx.Client(base_url=f"{platform.url}/api/v1", timeout=300) as client:
        client.headers["Authorization"] = f"Bearer {platform.token}"
        made = client.post("/users/", json={"username": "ada", "quota_cpu": 8, "quota_memory": "8Gi"})
        client.headers["Authorization"] = f"Bearer {made.json()['token']}"
        assert client.put("/users/me/password", json={"password": PASSWORD}).status_code == 204
        wish = {"name": "seen", "image": images.GUEST_DISK, **SIZE}
        cluster = client.post("/clusters/", params={"wait": 240}, json=wish)
        assert cluster.json()["phase"] == "running", cluster.text
        deadline = time.monotonic() + 120
        while guest.READY not in client.get(f"/instances/{VM}/logs", params={"tail": 1000}).text:
            assert time.monotonic() < deadline, "the guest has not booted"
            time.sleep(1)
        yield cluster.json()["instances"][0]["id"]
        client.delete("/clusters/seen", params={"wait": 120})


@pytest.fixture
def page(browser: Browser, platform: Platform, machine: str) -> Iterator[Page]:
    """Ada's, at her virtual machine. An error of a script in it fails the test."""
    wrong: list[str] = []
    with browser.new_context(base_url=platform.url, viewport={"width": 1280, "height": 900}) as context:
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        page = context.new_page()
        page.goto(f"/instances/{machine}")
        Mouse(page).sign_in("ada", PASSWORD)
        expect(page.get_by_role("heading", name=VM)).to_be_visible()
        yield page
    assert wrong == []


def test_its_screen_shows_a_picture_and_is_taken_over(page: Page) -> None:
    page.get_by_role("link", name="Screen").click()
    pictured(page)
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Take it over").click()
    pictured(other)
    expect(page.get_by_role("status")).to_be_visible()


def test_its_serial_console_answers(page: Page) -> None:
    page.get_by_role("link", name="Serial console").click()
    answers(page, "in-a-browser")
    page.get_by_role("button", name="Connect again").click()
    answers(page, "again")


def pictured(page: Page) -> None:
    """A picture in more than one colour: black alone is a screen that shows nothing."""
    canvas = page.locator("main canvas")
    canvas.wait_for()
    for _ in range(300):
        if canvas.evaluate(COLOURS) > 1:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the screen stays blank")


def answers(page: Page, word: str) -> None:
    rows = page.locator(".xterm-rows")
    for _ in range(20):
        # A shell that is still starting hears nothing.
        page.locator(".xterm-helper-textarea").focus()
        page.keyboard.type(f"echo $((6*7))-{word}\n")
        try:
            expect(rows).to_contain_text(f"42-{word}", timeout=3 * SECONDS)
        except AssertionError:
            continue
        return
    raise AssertionError(f"no answer: {rows.inner_text()}")
