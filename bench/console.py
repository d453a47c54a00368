"""How soon a person sees something: the list of 10,000 clusters in a real browser, a state that changes, the scripts.

The reference for the list is the same request made by the same browser from a bare page, right after; for the state,
what Kubernetes' own API shows. Real Chromium, SQLite, the simulator for what changes.
"""

import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import uuid_utils
from playwright.sync_api import Browser, Page

from testbed import browser, console
from tests.e2e.kube_eyes import KubeEyes, on_simulator
from tests.e2e.platform import Platform, simulator

CLUSTERS, INSTANCES, ROUNDS = 10_000, 5, 7
WISH = {"instance_type": "container", "image": "nginx:1.29", "cpu_per_instance": 0.001, "memory_per_instance": 16}
SEEN = """() => new Promise(done => {
  const look = () => document.querySelector("[data-cluster]") ? done(performance.now()) : requestAnimationFrame(look);
  look();
})"""
BARE = """async () => {
  const began = performance.now();
  await (await fetch("/api/v1/clusters/?limit=50&sort=-created_at")).json();
  return performance.now() - began;
}"""
SCRIPTS = """() => performance.getEntriesByType("resource").filter(({name}) => name.endsWith(".js"))
  .reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0)"""


def main() -> None:
    with browser.running() as chromium:
        lists, bare, scripts = _lists(chromium)
        changes = _changes(chromium)
    print(f"list of {CLUSTERS:,} clusters with {CLUSTERS * INSTANCES:,} instances, navigation to first row:")
    print(f"  {_spread(lists)} ms; the request alone, from a bare page: {_spread(bare)} ms")
    print(f"  ratio of the medians {statistics.median(lists) / statistics.median(bare):.1f}")
    print(f"scripts until the first page is shown: {scripts / 1000:.0f} kB compressed")
    print(f"a state is visible after Kubernetes shows it: {_spread(changes)} ms")


def _lists(chromium: Browser) -> tuple[list[float], list[float], int]:
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder), "auto", separate_worker=True, extra=_settings())
        platform.start_api()
        with _administrator(platform) as http:
            made = http.post("/clusters/", json=WISH | {"name": "seed", "instance_count": INSTANCES})
            assert made.status_code == 201, made.text
        platform.stop()
        _copies(Path(folder) / "cmp.sqlite3")
        platform.start_api()
        try:
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(ROUNDS):
                page = _signed_in(chromium, platform)
                page.goto("/clusters")
                taken[0].append(page.evaluate(SEEN))
                taken[1].append(page.evaluate(BARE))
                page.context.close()
            fresh = _signed_in(chromium, platform)
            fresh.goto("/")
            fresh.get_by_role("heading", level=1).wait_for()
            return *taken, fresh.evaluate(SCRIPTS)
        finally:
            platform.stop()


def _changes(chromium: Browser) -> list[float]:
    """Milliseconds from when a Pod is Ready in Kubernetes to when its instance is so on the page."""
    with tempfile.TemporaryDirectory() as folder, simulator() as url:
        eyes = on_simulator(url)
        platform = Platform(Path(folder), eyes.kubernetes, extra=_settings())
        platform.start()
        try:
            with _administrator(platform) as http:
                assert http.post("/clusters/?wait=30", json=WISH | {"name": "seen"}).status_code == 201
                page = _signed_in(chromium, platform)
                page.goto(f"/clusters/{http.get('/clusters/seen').json()['id']}")
                return [_change(page, http, eyes) for _ in range(ROUNDS)]
        finally:
            platform.stop()


def _change(page: Page, http: httpx.Client, eyes: KubeEyes) -> float:
    row = page.locator("[data-instance='seen-instance-1']")
    assert http.post("/instances/seen-instance-1/operate?wait=30", json={"operation": "stop"}).status_code == 200
    row.get_by_text("Stopped").wait_for()
    assert http.post("/instances/seen-instance-1/operate", json={"operation": "start"}).status_code == 200
    while not any(_ready(pod) for pod in eyes.pods("seen-ns")):
        time.sleep(0.005)
    shown = time.monotonic()
    row.get_by_text("Running").wait_for()
    return (time.monotonic() - shown) * 1000


def _ready(pod: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _copies(path: Path) -> None:
    """The cluster that is there, as many times as it takes, running."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        cluster = dict(database.execute("SELECT * FROM clusters").fetchone())
        members = [dict(row) for row in database.execute("SELECT * FROM instances")]
        cluster |= {"phase": "running", "ready_instances": INSTANCES}
        clusters, instances = [], []
        for number in range(CLUSTERS - 1):
            new = cluster | {"id": _id(cluster["id"]), "name": f"seed-{number}", "namespace": f"seed-{number}-ns"}
            clusters.append(new)
            for member in members:
                name = f"seed-{number}-instance-{member['ordinal']}"
                own = {"id": _id(member["id"]), "cluster_id": new["id"], "instance_name": name, "status": "running"}
                instances.append(member | own)
        for table, rows in (("clusters", clusters), ("instances", instances)):
            columns = ", ".join(rows[0])
            values = ", ".join(f":{column}" for column in rows[0])
            database.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)
        database.commit()


def _id(like: object) -> object:
    made = uuid_utils.uuid7()
    return made.bytes if isinstance(like, bytes) else made.hex if len(str(like)) == 32 else str(made)


def _settings() -> dict[str, str]:
    return {"CMP_CONSOLE_DIR": str(console.built())}


@contextlib.contextmanager
def _administrator(platform: Platform) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {platform.token}"}
    with httpx.Client(base_url=f"{platform.url}/api/v1", headers=headers, timeout=90) as http:
        yield http


def _signed_in(chromium: Browser, platform: Platform) -> Page:
    """A browser that has never been here: nothing of the console is kept."""
    page = chromium.new_context(base_url=platform.url).new_page()
    page.goto("/login")
    page.locator("summary").click()
    page.get_by_label("Token", exact=True).fill(platform.token)
    page.get_by_role("button", name="Sign in with the token").click()
    page.get_by_text("You are signed in").wait_for()
    return page


def _spread(taken: list[float]) -> str:
    return f"{statistics.median(taken):.0f} ({min(taken):.0f} to {max(taken):.0f})"


if __name__ == "__main__":
    main()
