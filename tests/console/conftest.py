"""The console in a real browser, the API and its worker a process, beside the simulator or the real API server."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.console.hands import Hand, Mouse
from tests.delivery.receiver import MailServer, Receiver, mail_server, receiving
from tests.e2e.kube_eyes import KubeEyes, on_simulator
from tests.e2e.platform import Platform, simulator

PASSWORD = "a long enough password"
# Of answers that are no success the browser always writes; pages say what they mean.
_EXPECTED = "Failed to load resource: the server responded with a status of"


@dataclass(frozen=True)
class Person:
    name: str
    api: httpx.Client


@dataclass(frozen=True)
class Told:
    """What listens for what CMP tells."""

    receiver: Receiver
    mails: MailServer


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(receiving()) as receiver,
        portal.wrap_async_context_manager(mail_server()) as mails,
    ):
        yield Told(receiver, mails)


@pytest.fixture(scope="module")
def eyes() -> Iterator[KubeEyes]:
    with simulator() as url:
        yield on_simulator(url)


@pytest.fixture(scope="module")
def served(
    eyes: KubeEyes, told: Told, console_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    extra = {"CMP_CONSOLE_DIR": str(console_dir), "CMP_WEBHOOK_HTTP": "true", "CMP_WEBHOOK_CIDRS": '["127.0.0.0/8"]'}
    extra |= {"CMP_SMTP_HOST": "127.0.0.1", "CMP_SMTP_PORT": str(told.mails.port), "CMP_SMTP_TLS": "none"}
    platform = Platform(tmp_path_factory.mktemp("console"), eyes.kubernetes, extra=extra)
    platform.start()
    yield platform
    platform.stop()


@pytest.fixture
def admin(served: Platform) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {served.token}"}
    with httpx.Client(base_url=f"{served.url}/api/v1", headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def person(served: Platform, admin: httpx.Client) -> Iterator[Callable[..., Person]]:
    """Makes somebody with a password, and limits if they are given."""
    clients = []

    def make(**limits: Any) -> Person:
        name = f"p-{uuid.uuid4().hex[:8]}"
        made = admin.post("/users/", json={"username": name, **limits})
        assert made.status_code == 201, made.text
        headers = {"Authorization": f"Bearer {made.json()['token']}"}
        client = httpx.Client(base_url=f"{served.url}/api/v1", headers=headers, timeout=60)
        clients.append(client)
        assert client.put("/users/me/password", json={"password": PASSWORD}).status_code == 204
        return Person(name, client)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def open_page(browser: Browser, served: Platform) -> Iterator[Callable[..., Page]]:
    """A page of a browser of its own; signed in as somebody, if one is given. What goes wrong in it fails the test."""
    contexts, wrong = [], []

    def noted(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED):
            wrong.append(message.text)

    def open(who: Person | None = None, path: str = "/", by: type[Hand] = Mouse, **options: Any) -> Page:
        context = browser.new_context(base_url=served.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", noted)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        if who is not None:
            page.goto(path)
            by(page).sign_in(who.name, PASSWORD)
            page.wait_for_url(f"**{path}")
            page.get_by_role("heading", level=1).wait_for()
        return page

    yield open
    for context in contexts:
        context.close()
    assert wrong == []
