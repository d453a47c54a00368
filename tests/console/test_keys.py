"""The same day without a mouse: each thing is reached, and done, by keys alone."""

import httpx
from playwright.sync_api import expect
from standardwebhooks import Webhook

from tests.console.conftest import Told
from tests.console.flows import (
    SECONDS,
    Open,
    People,
    create_watch_operate_and_delete,
    quota_says_no_until_there_is_more,
    share_exactly_that,
)
from tests.console.hands import Keys


def test_both_kinds_are_created_watched_operated_and_deleted_together(person: People, open_page: Open) -> None:
    create_watch_operate_and_delete(person, open_page, Keys)


def test_whoever_it_is_shared_with_sees_exactly_that(person: People, open_page: Open) -> None:
    share_exactly_that(person, open_page, Keys)


def test_the_quota_says_no_and_the_administrator_gives_more(
    person: People, open_page: Open, admin: httpx.Client
) -> None:
    quota_says_no_until_there_is_more(person, open_page, admin, Keys)


def test_one_cluster_is_deleted_from_its_menu(person: People, open_page: Open) -> None:
    ada = person()
    name = f"keys-{ada.name}"
    wish = {"name": name, "instance_type": "container", "image": "nginx:1.29", "cpu_per_instance": 0.5}
    made = ada.api.post("/clusters/", json=wish | {"memory_per_instance": 256}).json()
    page = open_page(ada, f"/clusters/{made['id']}", by=Keys)
    hand = Keys(page)
    hand.press(page.get_by_role("button", name="More", exact=True))
    hand.press(page.get_by_role("menuitem", name="Delete…"))
    page.get_by_role("dialog").wait_for()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/clusters")
    expect(page.get_by_text(f"{name} is being deleted.")).to_be_visible()


def test_a_dialog_keeps_the_focus_and_gives_it_back(person: People, open_page: Open) -> None:
    page = open_page(person(), "/account", by=Keys)
    button = page.get_by_role("button", name="Make a token")
    Keys(page).press(button)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_the_palette_goes_anywhere(person: People, open_page: Open) -> None:
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


def test_what_is_copied_is_there_also_over_plain_http(person: People, open_page: Open) -> None:
    page = open_page(person(), "/clusters/new", by=Keys)
    # As in a page that did not come over HTTPS: this one is from 127.0.0.1, which browsers trust.
    page.evaluate("Object.defineProperty(window, 'isSecureContext', {value: false})")
    hand = Keys(page)
    hand.press(page.get_by_role("button", name="Copy the curl line"))
    expect(page.get_by_role("button", name="Copied the curl line")).to_be_visible()
    hand.reach(page.get_by_label("Name", exact=False).first, by="Shift+Tab")
    page.keyboard.press("Control+v")
    assert page.get_by_label("Name", exact=False).first.input_value().startswith("curl http://127.0.0.1")


def test_a_webhook_is_added_tested_and_deleted(person: People, open_page: Open, told: Told) -> None:
    page = open_page(person(), by=Keys)
    hand = Keys(page)
    hand.go("/notifications")
    expect(page.get_by_role("heading", name="No notifications yet")).to_be_visible()
    hand.press(page.get_by_role("button", name="Add a target"))
    hand.type(page.get_by_role("textbox", name="URL"), told.receiver.url)
    hand.tick(page.get_by_label("An instance fails"))
    page.keyboard.press("Enter")
    secret = page.get_by_role("textbox", name="Secret").input_value()
    hand.press(page.get_by_role("button", name="I have it"))
    expect(page.get_by_text("a cluster fails, an operation fails, a limit")).to_be_visible()
    hand.press(page.get_by_role("button", name=f"Send a test: {told.receiver.url}"))
    expect(page.get_by_text("HTTP 204")).to_be_visible(timeout=20 * SECONDS)
    expect(page.get_by_text("Delivered")).to_be_visible()
    ((headers, body),) = told.receiver.seen
    assert Webhook(secret).verify(body, headers)["type"] == "ping"

    hand.press(page.get_by_role("button", name=f"Messages: {told.receiver.url}"))
    hand.press(page.get_by_role("button", name="Send again: A test"))
    expect(page.get_by_text("It is on its way again.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    hand.press(page.get_by_role("button", name=f"Delete: {told.receiver.url}"))
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Delete"))
    expect(page.get_by_role("heading", name="No notifications yet")).to_be_visible()


def test_a_mail_address_is_confirmed_with_the_code_that_was_sent_there(
    person: People, open_page: Open, told: Told
) -> None:
    ada = person()
    address = f"{ada.name}@example.org"
    page = open_page(ada, "/notifications", by=Keys)
    hand = Keys(page)
    hand.press(page.get_by_role("button", name="Add a target"))
    hand.choose("radio", "Mail")
    hand.type(page.get_by_role("textbox", name="Mail address"), address)
    page.keyboard.press("Enter")
    hand.type(page.get_by_role("textbox", name="Code"), "another")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="not the code")).to_contain_text("Request")
    page.keyboard.press("Escape")
    expect(page.get_by_text("the mail server has it", exact=False)).to_be_visible(timeout=20 * SECONDS)
    (mail,) = told.mails.to(address)
    hand.press(page.get_by_role("button", name="Send the code again"))
    hand.press(page.get_by_role("button", name="Enter the code"))
    hand.type(page.get_by_role("textbox", name="Code"), mail.get_content().split("cmpctl:")[1].split()[0])
    page.keyboard.press("Enter")
    expect(page.get_by_text("Ready")).to_be_visible()
