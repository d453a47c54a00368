"""`make pictures`: every page of the console, desktop and phone, light and dark, empty, full and in trouble.

They go to `pictures/`, which is not kept; two of them to `docs/pictures/`, for the README.
"""

import itertools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from testbed import browser, console
from tests.api.running import public_key
from tests.console.dialogs import DIALOGS
from tests.console.hands import Mouse
from tests.e2e.platform import Platform

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "pictures"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 800}}
PASSWORD = "a long enough password"
CLUSTERS = [
    ("shop", "container", 4, "docker.io/library/nginx:1.29"),
    ("workers", "container", 8, "docker.io/library/redis:8"),
    ("lab", "vm", 2, "quay.io/containerdisks/fedora:43"),
    ("broken", "container", 1, "docker.io/library/shop:does-not-exist"),
]
OLD: dict[str, Any] = {"name": "old", "instance_type": "container", "image": "nginx:1.29"}
OLD |= {"cpu_per_instance": 0.5, "memory_per_instance": 256}
# A mail server that does not answer.
SETTINGS = {"CMP_SMTP_HOST": "127.0.0.1", "CMP_SMTP_PORT": "9"}
README = {"desktop-light-full-clusters": "clusters.png", "desktop-dark-full-cluster": "cluster.png"}


def main() -> None:
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir()
    with tempfile.TemporaryDirectory() as folder, browser.running() as chromium:
        platform = Platform(Path(folder), "simulator", extra=SETTINGS | {"CMP_CONSOLE_DIR": str(console.built())})
        platform.start()
        try:
            seen = seeded(platform)
            open_ones = []
            for scheme, (size, viewport) in itertools.product(("light", "dark"), SIZES.items()):
                camera = Camera(chromium, platform.url, f"{size}-{scheme}", scheme, viewport)
                for who, pages in seen.pages.items():
                    camera.takes(who, pages)
                camera.takes_dialogs(seen.ids)
                camera.takes_troubles(platform)
                open_ones.append(camera.signed_in("grace"))
            platform.stop()
            for camera_name, page in open_ones:
                page.keyboard.press("Alt+i")
                page.get_by_text("CMP does not answer").first.wait_for()
                shot(page, f"{camera_name}-trouble-away")
        finally:
            platform.stop()
    for name, kept in README.items():
        (ROOT / "docs/pictures").mkdir(exist_ok=True)
        shutil.copyfile(PICTURES / f"{name}.png", ROOT / "docs/pictures" / kept)
    print(f"{len(list(PICTURES.iterdir()))} pictures in {PICTURES}")


class Camera:
    """One size in one theme."""

    def __init__(self, chromium: Browser, url: str, name: str, scheme: str, viewport: dict[str, int]) -> None:
        self._name = name
        self._context: Callable[[], BrowserContext] = lambda: chromium.new_context(
            base_url=url,
            viewport=viewport,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )

    def signed_in(self, who: str) -> tuple[str, Page]:
        page = self._context().new_page()
        page.goto("/")
        Mouse(page).sign_in(who, PASSWORD)
        page.get_by_role("heading", level=1).wait_for()
        return self._name, page

    def takes(self, who: str, pages: dict[str, str]) -> None:
        _, page = self.signed_in(who)
        for name, path in pages.items():
            page.goto(path)
            page.locator("h1, [role=alert]").first.wait_for()
            shot(page, f"{self._name}-{name}")
        page.context.close()

    def takes_dialogs(self, ids: dict[str, str]) -> None:
        _, page = self.signed_in("grace")
        for dialog in DIALOGS:
            dialog.open(page, **ids)
            shot(page, f"{self._name}-dialog-{dialog.name}", full=False)
        page.goto("/")
        page.get_by_role("heading", level=1).wait_for()
        page.keyboard.press("Control+k")
        shot(page, f"{self._name}-dialog-palette", full=False)
        if "phone" in self._name:
            page.goto("/")
            page.get_by_label("Navigation").click()
            shot(page, f"{self._name}-navigation", full=False)
        page.context.close()

    def takes_troubles(self, platform: Platform) -> None:
        page = self._context().new_page()
        page.goto("/")
        page.get_by_label("Username").wait_for()
        shot(page, f"{self._name}-sign-in")
        Mouse(page).sign_in("tight", "not this one")
        page.get_by_role("alert").wait_for()
        shot(page, f"{self._name}-trouble-sign-in")
        Mouse(page).sign_in("tight", PASSWORD)
        page.get_by_role("heading", level=1).wait_for()
        for kind in ("Containers", "Virtual machines"):
            page.goto("/clusters/new")
            page.get_by_text(kind, exact=True).click()
            page.get_by_label("Name", exact=False).first.fill("Too Big")
            page.get_by_label("Reference").fill("docker.io/library/nginx:1.29")
            page.get_by_text("More settings").click()
            page.get_by_role("button", name="Create", exact=True).click()
            page.get_by_role("alert").first.wait_for()
            shot(page, f"{self._name}-trouble-not-valid-{kind.split()[0].lower()}")
        page.get_by_label("Name", exact=False).first.fill("too-big")
        page.get_by_label("How many").fill("40")
        page.get_by_role("button", name="Create", exact=True).click()
        page.get_by_text("does not fit your quota").wait_for()
        shot(page, f"{self._name}-trouble-quota-full")
        headers = {"Authorization": f"Bearer {platform.token}"}
        with httpx.Client(base_url=f"{platform.url}/api/v1/users/tight", headers=headers) as admin:
            for session in done(admin.get("/tokens/")).json()["items"]:
                done(admin.delete(f"/tokens/{session['id']}"))
        # Whatever the page asks next brings the dialog up, which may be before this.
        page.get_by_role("button", name="Create", exact=True).dispatch_event("click")
        page.get_by_label("Password of tight").wait_for()
        shot(page, f"{self._name}-trouble-session-ended", full=False)
        page.context.close()


def shot(page: Page, name: str, full: bool = True) -> None:
    page.wait_for_timeout(400)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=full)


@dataclass(frozen=True)
class Seen:
    """Whose pages there are to see, with their names and addresses; and what dialogs are about."""

    pages: dict[str, dict[str, str]]
    ids: dict[str, str]


def seeded(platform: Platform) -> Seen:
    headers = {"Authorization": f"Bearer {platform.token}"}
    with httpx.Client(base_url=f"{platform.url}/api/v1", headers=headers, timeout=90) as admin:
        for name, more in (("grace", {"role": "admin"}), ("newcomer", {}), ("tight", {"quota_cpu": 1})):
            limits = {"quota_cpu": 16, "quota_memory": "16Gi"}
            made = done(admin.post("/users/", json={"username": name} | limits | more)).json()
            done(admin.put(f"/users/{name}/password", json={"password": PASSWORD}))
        tight = {"name": "full", "instance_type": "container", "image": "nginx:1.29", "instance_count": 1}
        with httpx.Client(base_url=str(admin.base_url), headers={"Authorization": f"Bearer {made['token']}"}) as theirs:
            done(theirs.post("/clusters/", json=tight | {"cpu_per_instance": 1, "memory_per_instance": 512}))
        token = done(admin.post("/users/grace/tokens/", json={"name": "pictures"})).json()["token"]
    with httpx.Client(base_url=str(admin.base_url), headers={"Authorization": f"Bearer {token}"}, timeout=90) as grace:
        for name, kind, count, image in CLUSTERS:
            wish = {"name": name, "instance_type": kind, "image": image, "instance_count": count}
            done(grace.post("/clusters/?wait=20", json=wish | {"cpu_per_instance": 0.5, "memory_per_instance": 512}))
        done(grace.put("/clusters/shop/grants/newcomer", json={"level": "view"}))
        shop = grace.get("/clusters/shop").json()
        broken = grace.get("/clusters/broken").json()["id"]
        one, screen = shop["instances"][0]["id"], grace.get("/clusters/lab").json()["instances"][0]["id"]
        for name in ("laptop", "workstation"):
            done(grace.post("/ssh-keys/", json={"name": name, "public_key": public_key(f"grace@{name}")}))
        for channel, target in (("email", "ops@example.org"), ("webhook", "https://nobody.invalid/told")):
            subscription = done(grace.post("/notifications/", json={"channel": channel, "target": target})).json()["id"]
        done(grace.post(f"/notifications/{subscription}/test"))
        old = done(grace.post("/clusters/?wait=20", json=OLD)).json()["id"]
        done(grace.delete("/clusters/old?wait=30"))
        done(grace.post(f"/instances/{shop['instances'][1]['id']}/operate?wait=20", json={"operation": "suspend"}))
        done(grace.post(f"/instances/{shop['instances'][2]['id']}/operate?wait=20", json={"operation": "stop"}))
    names = ["clusters", "clusters/new", "instances", "operations", "audit", "account", "notifications"]
    names += ["help", "help/say-what-runs", "help/be-told"]
    everyone = {"": "/", **{name: f"/{name}" for name in names}}
    full = everyone | {name: f"/{name}" for name in ("users", "users/newcomer", "users/tight", "catalogue", "platform")}
    full |= {"cluster": f"/clusters/{shop['id']}", "cluster-in-trouble": f"/clusters/{broken}"}
    full |= {"cluster-gone": f"/clusters/{old}", "operations-all": "/operations?everyones=true"}
    full |= {f"cluster-{tab}": f"/clusters/{shop['id']}?tab={tab}" for tab in ("history", "settings", "sharing")}
    full |= {"instance": f"/instances/{one}", "instance-logs": f"/instances/{one}?tab=logs"}
    full |= {"terminal": f"/instances/{one}/terminal", "machine": f"/instances/{screen}"}
    full |= {
        "users-near": "/users?near=true",
        "nothing-fits": "/clusters?name=nothing",
        "shared": "/clusters?whose=all",
    }
    refused = {"missing": f"/clusters/{broken}", "missing-page": "/clusters/a/b/c", "forbidden": "/users"}
    refused |= {"offered": "/", "shared-with-me": "/clusters?whose=shared"}
    pages = {"grace": _named("full", full), "newcomer": _named("empty", everyone | refused)}
    return Seen(pages, {"cluster": shop["id"], "user": "newcomer", "me": "grace"})


def _named(state: str, pages: dict[str, str]) -> dict[str, str]:
    return {f"{state}-{name.replace('/', '-') or 'overview'}": path for name, path in pages.items()}


def done(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer


if __name__ == "__main__":
    main()
