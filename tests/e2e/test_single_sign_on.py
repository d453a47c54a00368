"""People sign in with a real provider in a real browser, programs by the device flow; other sites do nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from testbed.provider import OpenIDProvider
from tests.e2e.platform import Platform, free_port

SECRET = "of this run only"
PASSWORD = "a long enough password"
Started = Callable[..., Platform]


@pytest.fixture(scope="module")
def platform(
    openid_provider: Callable[[str, str], OpenIDProvider], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """No worker and no Kubernetes: nothing here needs them."""
    port = free_port()
    provider = openid_provider(f"http://127.0.0.1:{port}/sso/callback", SECRET)
    extra = {
        "CMP_OIDC_ISSUER": provider.issuer,
        "CMP_OIDC_CLIENT_SECRET": SECRET,
        "CMP_OIDC_NAME": "the test's provider",
        "CMP_OIDC_SIGN_UP": "true",
    }
    platform = Platform(tmp_path_factory.mktemp("sso"), "auto", separate_worker=True, extra=extra, port=port)
    platform.start_api()
    yield platform
    platform.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def with_the_provider(page: Page, name: str) -> None:
    page.get_by_role("link", name="Sign in with the test's provider").click()
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def admin(platform: Platform) -> httpx.Client:
    return httpx.Client(base_url=f"{platform.url}/api/v1", headers={"Authorization": f"Bearer {platform.token}"})


def test_a_newcomer_gets_an_account_and_finds_it_again(
    platform: Platform, browser: Browser, page: Page, context: BrowserContext, tmp_path: Path
) -> None:
    page.goto(f"{platform.url}/login")
    page.screenshot(path=tmp_path / "sign-in.png")
    with_the_provider(page, "Grace.Hopper")
    expect(page.get_by_text("You are signed in as grace-hopper")).to_be_visible()
    page.screenshot(path=tmp_path / "signed-in.png")
    me = page.request.get(f"{platform.url}/api/v1/users/me").json()
    assert (me["username"], me["role"], me["has_password"]) == ("grace-hopper", "user", False)
    session = next(cookie for cookie in context.cookies() if cookie["name"] == "cmp-session")
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    assert page.request.get(f"{platform.url}/api/v1/users/me").status == 401
    elsewhere = browser.new_context()
    again = elsewhere.new_page()
    again.goto(f"{platform.url}/login")
    with_the_provider(again, "Grace.Hopper")
    assert again.request.get(f"{platform.url}/api/v1/users/me").json()["id"] == me["id"]
    elsewhere.close()


def test_a_name_that_somebody_has_stays_theirs(platform: Platform, page: Page) -> None:
    with admin(platform) as http:
        there = http.post("/users/", json={"username": "alan"}).json()
    page.goto(f"{platform.url}/login")
    with_the_provider(page, "alan")
    me = page.request.get(f"{platform.url}/api/v1/users/me").json()
    assert me["username"] == "alan-2"
    assert me["id"] != there["id"]


def test_somebody_who_is_signed_in_links_the_provider(platform: Platform, browser: Browser, page: Page) -> None:
    with admin(platform) as http:
        ada = http.post("/users/", json={"username": "ada"}).json()
        http.put("/users/ada/password", json={"password": PASSWORD})
    page.goto(f"{platform.url}/login")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("You are signed in as ada")).to_be_visible()
    page.goto(f"{platform.url}/sso/login")
    page.get_by_placeholder("Enter any login").fill("countess")
    page.get_by_placeholder("and password").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("You are signed in as ada")).to_be_visible()
    elsewhere = browser.new_context()
    later = elsewhere.new_page()
    later.goto(f"{platform.url}/login")
    with_the_provider(later, "countess")
    assert later.request.get(f"{platform.url}/api/v1/users/me").json()["id"] == ada["id"]
    elsewhere.close()


def test_whoever_refuses_at_the_provider_comes_back_to_the_sign_in(platform: Platform, page: Page) -> None:
    page.goto(f"{platform.url}/login")
    page.get_by_role("link", name="Sign in with the test's provider").click()
    page.get_by_role("link", name="[ Cancel ]").click()
    expect(page.get_by_role("alert")).to_contain_text("did not vouch for you")


def test_what_comes_back_uninvited_proves_nothing(platform: Platform, page: Page) -> None:
    """Somebody else's code and state, and one's own twice."""
    page.goto(f"{platform.url}/sso/callback?code=stolen&state=guessed")
    expect(page.get_by_role("alert")).to_contain_text("did not vouch for you")
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.goto(f"{platform.url}/login")
    with_the_provider(page, "mallory")
    back = next(url for url in seen if "/sso/callback?" in url)
    page.get_by_role("button", name="Sign out").click()
    page.goto(back)
    expect(page.get_by_role("alert")).to_contain_text("did not vouch for you")


def test_a_program_is_let_in_from_the_browser(platform: Platform, page: Page, tmp_path: Path) -> None:
    begun = httpx.post(f"{platform.url}/oauth/device_authorization", data={"client_id": "cmpctl"}).json()
    page.goto(begun["verification_uri_complete"])
    with_the_provider(page, "barbara")
    expect(page.get_by_text(begun["user_code"])).to_be_visible()
    page.screenshot(path=tmp_path / "device.png")
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_text("The program may go on.")).to_be_visible()
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": begun["device_code"],
        "client_id": "cmpctl",
    }
    granted = httpx.post(f"{platform.url}/oauth/token", data=form).json()
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    assert httpx.get(f"{platform.url}/api/v1/users/me", headers=headers).json()["username"] == "barbara"


def test_another_sites_page_does_nothing_with_the_session(platform: Platform, page: Page) -> None:
    """`localhost` is another site than `127.0.0.1`."""
    page.goto(f"{platform.url}/login")
    with_the_provider(page, "victim")
    with attacking(platform.url) as (url, arrived):
        page.goto(url)
        deadline = time.monotonic() + 20
        while "done" not in arrived and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        assert "done" in arrived
    assert page.request.get(f"{platform.url}/api/v1/users/me").status == 200
    page.goto(f"{platform.url}/login")
    expect(page.get_by_text("You are signed in as victim")).to_be_visible()
    kinds = [one["kind"] for one in page.request.get(f"{platform.url}/api/v1/tokens/").json()["items"]]
    assert kinds == ["browser"]


class attacking:
    """A page that tries a form, a fetch with cookies and a WebSocket, and then says that it has."""

    def __init__(self, target: str) -> None:
        arrived: list[str] = []
        body = f"""<iframe name="f"></iframe><form id="x" method="post" target="f" action="{target}/logout"></form>
<script>document.getElementById("x").submit();
const tries = [fetch("{target}/api/v1/tokens/", {{method: "POST", credentials: "include", mode: "no-cors",
  body: '{{"name": "stolen"}}'}}), fetch("{target}/api/v1/users/me", {{credentials: "include"}}),
  new Promise((_, no) => {{const s = new WebSocket("{target.replace("http", "ws")}/api/v1/instances/x/console");
    s.onclose = no; s.onopen = () => fetch("/opened")}})];
Promise.allSettled(tries).then(() => setTimeout(() => fetch("/done"), 500));</script>""".encode()

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                arrived.append(self.path.strip("/"))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The test says what matters."""

        self._server = HTTPServer(("127.0.0.1", 0), Page)
        self._arrived = arrived

    def __enter__(self) -> tuple[str, list[str]]:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://localhost:{self._server.server_address[1]}/", self._arrived

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        assert "opened" not in self._arrived
