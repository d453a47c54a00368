"""A tenant's day and an administrator's in the console, on the simulator and on the real API server."""

import base64
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.api.running import public_key
from tests.console.conftest import PASSWORD
from tests.console.flows import (
    SECONDS,
    Open,
    People,
    create_watch_operate_and_delete,
    quota_says_no_until_there_is_more,
    share_exactly_that,
)
from tests.console.hands import Mouse
from tests.e2e.kube_eyes import KubeEyes, on_control_plane, on_simulator
from tests.e2e.platform import simulator


@pytest.fixture(scope="module", params=["simulator", pytest.param("control-plane", marks=pytest.mark.kubernetes)])
def eyes(request: pytest.FixtureRequest) -> Iterator[KubeEyes]:
    if request.param == "simulator":
        with simulator() as url:
            yield on_simulator(url)
        return
    yield on_control_plane(request.getfixturevalue("control_plane"))


def test_both_kinds_are_created_watched_operated_and_deleted_together(person: People, open_page: Open) -> None:
    create_watch_operate_and_delete(person, open_page, Mouse)


def test_whoever_it_is_shared_with_sees_exactly_that(person: People, open_page: Open) -> None:
    share_exactly_that(person, open_page, Mouse)


def test_the_quota_says_no_and_the_administrator_gives_more(
    person: People, open_page: Open, admin: httpx.Client
) -> None:
    quota_says_no_until_there_is_more(person, open_page, admin, Mouse)


def test_vms_are_given_the_keys_that_one_saved(person: People, open_page: Open, eyes: KubeEyes) -> None:
    ada, key = person(), public_key()
    page = open_page(ada, "/clusters/new")  # which knows of no key yet
    page.get_by_text("Virtual machines", exact=True).click()
    page.get_by_role("link", name="Account and tokens").click()
    page.get_by_role("button", name="Add an SSH key").click()
    dialog = page.get_by_role("dialog", name="Add an SSH key")
    dialog.get_by_label("Name").fill("laptop")
    dialog.get_by_label("Public key").fill("-----BEGIN OPENSSH PRIVATE KEY-----")
    expect(dialog.get_by_text("This is a private key")).to_be_visible()
    expect(dialog.get_by_role("button", name="Add it")).to_be_disabled()
    dialog.get_by_label("Public key").fill(key)
    dialog.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("cell", name="laptop", exact=True)).to_be_visible()
    (saved,) = ada.api.get("/ssh-keys/").json()["items"]
    expect(page.get_by_role("cell", name=saved["fingerprint"])).to_be_visible()
    other = {"name": "desk", "public_key": public_key()}
    assert ada.api.post("/ssh-keys/", json=other).status_code == 201

    name = f"keyed-{ada.name}"
    page.keyboard.press("Alt+n")
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_text("Virtual machines", exact=True).click()
    page.get_by_label("Reference").fill("docker.io/library/debian:12")
    expect(page.get_by_role("checkbox", name="laptop")).to_be_checked()
    page.get_by_role("checkbox", name="desk").uncheck()
    expect(page.get_by_text("--ssh-key laptop")).to_be_visible()
    page.get_by_role("button", name="Create", exact=True).click()
    instance = page.locator(f"[data-instance='{name}-instance-1']")
    expect(instance.get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    assert ada.api.get(f"/clusters/{name}").json()["vm"]["ssh_keys"] == [key]
    (machine,) = eyes.virtual_machines(f"{name}-ns")
    (access,) = machine["spec"]["template"]["spec"]["accessCredentials"]
    secret = access["sshPublicKey"]["source"]["secret"]["secretName"]
    held = eyes.get(f"/api/v1/namespaces/{name}-ns/secrets/{secret}")["data"]
    assert [base64.b64decode(one).decode() for one in held.values()] == [key]

    page.goto("/account")
    page.get_by_role("button", name="Delete laptop").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("cell", name=saved["fingerprint"])).to_be_hidden()
    assert ada.api.get(f"/clusters/{name}").json()["vm"]["ssh_keys"] == [key]
    assert ada.api.delete(f"/clusters/{name}").status_code == 202


def test_an_ended_session_loses_nothing_of_a_form(person: People, open_page: Open) -> None:
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


def test_what_others_do_is_seen_without_reloading(person: People, open_page: Open) -> None:
    ada = person()
    page = open_page(ada, "/clusters")
    expect(page.get_by_role("heading", name="No clusters yet")).to_be_visible()
    name = f"seen-{ada.name}"
    wish = {"name": name, "instance_type": "container", "image": "nginx:1.29", "cpu_per_instance": 0.5}
    assert ada.api.post("/clusters/", json=wish | {"memory_per_instance": 256}).status_code == 201
    expect(page.locator(f"[data-cluster='{name}']").get_by_text("Running")).to_be_visible(timeout=60 * SECONDS)
    assert ada.api.delete(f"/clusters/{name}").status_code == 202
    expect(page.get_by_role("heading", name="No clusters yet")).to_be_visible(timeout=60 * SECONDS)


@pytest.mark.parametrize("away", ["no network", "a proxy answers"])
def test_a_page_that_cannot_be_fetched_says_so_and_comes_once_cmp_answers(
    person: People, open_page: Open, away: str
) -> None:
    page = open_page(person()).context.new_page()  # in which the browser may say that it is offline
    page.goto("/clusters")
    page.get_by_role("heading", level=1).wait_for()
    if away == "no network":
        page.context.set_offline(True)
    else:
        page.context.route("**/*", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    page.keyboard.press("Alt+i")
    expect(page.get_by_text("CMP does not answer").first).to_be_visible()
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_text("CMP does not answer").first).to_be_visible()
    page.context.set_offline(False)
    page.context.unroute("**/*")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("heading", name="Instances", exact=True)).to_be_visible()


def test_administrators_find_who_is_near_a_limit(person: People, open_page: Open, admin: httpx.Client) -> None:
    boss, near, far = person(), person(quota_clusters=1), person()
    assert admin.patch(f"/users/{boss.name}", json={"role": "admin"}).status_code == 200
    wish = {"name": "last", "instance_type": "container", "image": "nginx:1.29", "cpu_per_instance": 0.5}
    assert near.api.post("/clusters/", json=wish | {"memory_per_instance": 256}).status_code == 201
    page = open_page(boss, "/users")
    rows = page.locator("[data-user]")
    expect(rows.get_by_role("link", name=far.name)).to_be_visible()
    page.get_by_role("switch", name="Near a limit").click()
    expect(rows.get_by_role("link", name=far.name)).to_be_hidden()
    expect(rows.get_by_role("link", name=near.name)).to_be_visible()
    assert near.api.delete("/clusters/last").status_code == 202
