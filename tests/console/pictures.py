"""`make pictures`: every page of the console, desktop and phone, light and dark, empty, full and in trouble.

They go to `pictures/`, which is not kept; two of them to `docs/pictures/`, for the README.
"""

import shutil
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Page

from testbed import browser, console
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
README = {"desktop-light-full-clusters": "clusters.png", "desktop-dark-full-cluster": "cluster.png"}


def main() -> None:
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir()
    with tempfile.TemporaryDirectory() as folder, browser.running() as chromium:
        platform = Platform(Path(folder), "simulator", extra={"CMP_CONSOLE_DIR": str(console.built())})
        platform.start()
        try:
            paths = seeded(platform)
            for scheme in ("light", "dark"):
                for size, viewport in SIZES.items():
                    for who, pages in paths.items():
                        context = chromium.new_context(
                            base_url=platform.url,
                            viewport=viewport,  # type: ignore[arg-type]
                            color_scheme=scheme,
                            reduced_motion="reduce",
                        )
                        page = context.new_page()
                        taken(page, who, pages, f"{size}-{scheme}")
                        context.close()
        finally:
            platform.stop()
    for name, kept in README.items():
        (ROOT / "docs/pictures").mkdir(exist_ok=True)
        shutil.copyfile(PICTURES / f"{name}.png", ROOT / "docs/pictures" / kept)
    print(f"{len(list(PICTURES.iterdir()))} pictures in {PICTURES}")


def taken(page: Page, who: str, pages: dict[str, str], prefix: str) -> None:
    page.goto("/")
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.screenshot(path=PICTURES / f"{prefix}-sign-in.png")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", level=1).wait_for()
    for name, path in pages.items():
        page.goto(path)
        page.locator("h1, [role=alert]").first.wait_for()
        page.wait_for_timeout(600)
        page.screenshot(path=PICTURES / f"{prefix}-{name}.png", full_page=True)


def seeded(platform: Platform) -> dict[str, dict[str, str]]:
    """Whose pages there are to see: their names and addresses."""
    headers = {"Authorization": f"Bearer {platform.token}"}
    with httpx.Client(base_url=f"{platform.url}/api/v1", headers=headers, timeout=90) as admin:
        for name, more in (("grace", {"role": "admin"}), ("newcomer", {})):
            limits = {"quota_cpu": 16, "quota_memory": "16Gi"}
            done(admin.post("/users/", json={"username": name} | limits | more))
            done(admin.put(f"/users/{name}/password", json={"password": PASSWORD}))
        token = done(admin.post("/users/grace/tokens/", json={"name": "pictures"})).json()["token"]
    with httpx.Client(base_url=str(admin.base_url), headers={"Authorization": f"Bearer {token}"}, timeout=90) as grace:
        for name, kind, count, image in CLUSTERS:
            wish = {"name": name, "instance_type": kind, "image": image, "instance_count": count}
            done(grace.post("/clusters/?wait=20", json=wish | {"cpu_per_instance": 0.5, "memory_per_instance": 512}))
        done(grace.put("/clusters/shop/grants/newcomer", json={"level": "view"}))
        shop = grace.get("/clusters/shop").json()
        broken = grace.get("/clusters/broken").json()["id"]
        one = shop["instances"][0]["id"]
        done(grace.post(f"/instances/{shop['instances'][1]['id']}/operate?wait=20", json={"operation": "suspend"}))
        done(grace.post(f"/instances/{shop['instances'][2]['id']}/operate?wait=20", json={"operation": "stop"}))
    names = ("clusters", "clusters/new", "instances", "operations", "audit", "account")
    everyone = {"": "/", **{name: f"/{name}" for name in names}}
    full = everyone | {name: f"/{name}" for name in ("users", "users/newcomer", "catalogue", "platform")}
    full |= {"cluster": f"/clusters/{shop['id']}", "cluster-in-trouble": f"/clusters/{broken}"}
    full |= {f"cluster-{tab}": f"/clusters/{shop['id']}?tab={tab}" for tab in ("history", "settings", "sharing")}
    full |= {"instance": f"/instances/{one}", "instance-logs": f"/instances/{one}?tab=logs"}
    full |= {"terminal": f"/instances/{one}/terminal"}
    return {"grace": _named("full", full), "newcomer": _named("empty", everyone | {"missing": f"/clusters/{broken}"})}


def _named(state: str, pages: dict[str, str]) -> dict[str, str]:
    return {f"{state}-{name.replace('/', '-') or 'overview'}": path for name, path in pages.items()}


def done(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, answer.text
    return answer


if __name__ == "__main__":
    main()
