"""Browsers: sessions in cookies, who may act with them, and what becomes of a stolen one."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from app import auth
from app.models import ApiToken
from app.services import sign_ins, users
from tests.api.running import Api, Caller, handshake

PASSWORD = "a long enough password"


@pytest.fixture
async def ada(api: Api) -> Caller:
    user = await api.user()
    assert (await user.put("/users/me/password", json={"password": PASSWORD})).status_code == 204
    return user


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """With the header that browsers send along, and pages cannot change."""
    async with opened(api) as browser:
        yield browser


def opened(api: Api, scheme: str = "http") -> httpx.AsyncClient:
    url = f"{scheme}://cmp"
    return httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url=url, headers={"Origin": url})


async def sign_in(browser: httpx.AsyncClient, user: Caller, next: str = "/login") -> httpx.Response:
    form = {"username": user.name, "password": PASSWORD, "next": next}
    answer = await browser.post("/login", data=form)
    assert answer.status_code == 303, answer.text
    return answer


async def test_the_session_works_until_it_is_ended(browser: httpx.AsyncClient, api: Api, ada: Caller) -> None:
    answer = await sign_in(browser, ada)
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/", "max-age="))
    assert "domain" not in cookie
    assert (await browser.get("/api/v1/users/me")).json()["id"] == ada.id
    assert ada.name in (await browser.get("/login")).text
    listed = (await ada.get("/tokens/?kind=browser")).json()["items"]
    assert [one["name"] for one in listed] == ["password"]
    secret = browser.cookies["cmp-session"]
    async with api.database.reading() as session:
        kept = (await session.execute(sa.select(ApiToken.token_hash, ApiToken.hint))).all()
    assert secret not in str(kept)
    left = await browser.post("/logout")
    assert (left.status_code, left.headers["clear-site-data"]) == (303, '"cache", "storage"')
    assert (await browser.get("/api/v1/users/me")).status_code == 401
    browser.cookies.set("cmp-session", secret)
    assert (await browser.get("/api/v1/users/me")).status_code == 401


async def test_over_tls_no_other_host_can_set_the_cookie(api: Api, ada: Caller) -> None:
    async with opened(api, "https") as browser:
        answer = await sign_in(browser, ada)
        assert answer.headers["set-cookie"].startswith("__Host-cmp-session=")
        assert "; secure" in answer.headers["set-cookie"].lower()
        assert (await browser.get("/api/v1/users/me")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://cmp.evil.example.org"},
        {"Origin": "http://evil@cmp"},
        {"Origin": "https://evil.example.org", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://cmp", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
async def test_another_sites_page_changes_nothing_with_a_stolen_ride(
    browser: httpx.AsyncClient, api: Api, ada: Caller, headers: dict[str, str]
) -> None:
    await sign_in(browser, ada)
    secret = browser.cookies["cmp-session"]
    cookies = {"Cookie": f"cmp-session={secret}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp") as page:
        made = await page.post("/api/v1/tokens/", json={"name": "stolen"}, headers=headers | cookies)
        ended = await page.delete(f"/api/v1/tokens/{uuid.uuid4()}", headers=headers | cookies)
        assert (made.status_code, ended.status_code) == (403, 403)
        assert (await page.post("/logout", headers=headers | cookies)).status_code == 403
        form = {"username": ada.name, "password": PASSWORD}
        assert (await page.post("/login", data=form, headers=headers)).status_code == 403
        device = {"user_code": "x", "answer": "allow"}
        assert (await page.post("/device", data=device, headers=headers | cookies)).status_code == 403
    dialog = await handshake(api.app, f"/api/v1/instances/{uuid.uuid4()}/console", headers | cookies)
    assert dialog.refusal is not None
    assert dialog.refusal.status_code == 403
    assert [one["name"] for one in (await ada.get("/tokens/?kind=bearer")).json()["items"]] == ["first"]
    assert (await browser.get("/api/v1/users/me")).status_code == 200


async def test_our_own_page_opens_a_websocket_with_the_session(
    browser: httpx.AsyncClient, api: Api, ada: Caller
) -> None:
    await sign_in(browser, ada)
    headers = {"Cookie": f"cmp-session={browser.cookies['cmp-session']}", "Origin": "http://cmp"}
    dialog = await handshake(api.app, f"/api/v1/instances/{uuid.uuid4()}/console", headers)
    assert dialog.refusal is not None
    assert dialog.refusal.status_code == 404


async def test_a_session_is_no_bearer_token(browser: httpx.AsyncClient, api: Api, ada: Caller) -> None:
    await sign_in(browser, ada)
    assert (await api.caller(browser.cookies["cmp-session"]).get("/users/me")).status_code == 401


async def test_whoever_signs_in_with_a_token_may_what_the_token_lets_and_leaves_it_there(
    browser: httpx.AsyncClient, api: Api, ada: Caller
) -> None:
    made = (await ada.post("/tokens/", json={"name": "narrow", "scopes": ["read"]})).json()
    answer = await browser.post("/login", data={"token": f" {made['token']} ", "next": "/clusters"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/clusters")
    me = (await browser.get("/api/v1/users/me")).json()
    assert (me["id"], "clusters:read" in me["permissions"], "clusters:write" in me["permissions"]) == (
        ada.id,
        True,
        False,
    )
    refused = await browser.post("/api/v1/clusters/", json={})
    assert refused.status_code == 403
    secret = browser.cookies["cmp-session"]
    assert (await browser.post("/logout")).status_code == 303
    assert (await browser.get("/api/v1/users/me")).status_code == 401
    assert (await api.caller(made["token"]).get("/users/me")).status_code == 200
    browser.cookies.set("cmp-session", secret)
    assert (await ada.delete(f"/tokens/{made['id']}")).status_code == 204
    assert (await browser.get("/api/v1/users/me")).status_code == 401


@pytest.mark.parametrize("token", ["x", "cmp_ses_" + "a" * 43, "cmp_pat_" + "a" * 43, "<script>"])
async def test_what_is_no_token_signs_nobody_in(browser: httpx.AsyncClient, token: str) -> None:
    answer = await browser.post("/login", data={"token": token})
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert "This is no token of this CMP" in answer.text


async def test_a_token_that_is_sent_counts_and_not_the_cookie_beside_it(
    browser: httpx.AsyncClient, api: Api, ada: Caller
) -> None:
    await sign_in(browser, ada)
    other = await api.user()
    headers = {"Authorization": f"Bearer {other.token}"}
    assert (await browser.get("/api/v1/users/me", headers=headers)).json()["id"] == other.id
    wrong = await browser.get("/api/v1/users/me", headers={"Authorization": "Bearer x"})
    assert wrong.status_code == 401


async def test_signing_in_again_ends_the_session_before(browser: httpx.AsyncClient, api: Api, ada: Caller) -> None:
    await sign_in(browser, ada)
    before = browser.cookies["cmp-session"]
    await sign_in(browser, ada)
    assert browser.cookies["cmp-session"] != before
    async with opened(api) as thief:
        thief.cookies.set("cmp-session", before)
        assert (await thief.get("/api/v1/users/me")).status_code == 401


async def test_use_keeps_a_session_until_its_longest_and_idleness_ends_it(
    browser: httpx.AsyncClient, api: Api, ada: Caller
) -> None:
    await sign_in(browser, ada)
    mine = ApiToken.user_id == uuid.UUID(ada.id)
    browsers = sa.and_(mine, ApiToken.kind == "browser")

    async def ends() -> datetime:
        async with api.database.reading() as session:
            found: datetime | None = (
                await session.execute(sa.select(ApiToken.expires_at).where(browsers))
            ).scalar_one()
            assert found is not None
            return found

    async def put(**values: datetime) -> None:
        await api.database.run(lambda session: session.execute(sa.update(ApiToken).where(browsers).values(**values)))

    now = datetime.now(UTC)
    assert timedelta(minutes=119) < await ends() - now < timedelta(minutes=121)
    soon = now + timedelta(minutes=5)
    await put(expires_at=soon)
    await browser.get("/api/v1/users/me")
    await api.state.last_used.write()
    assert await ends() > now + timedelta(minutes=119)
    await put(expires_at=soon, last_used_at=now - timedelta(hours=1), created_at=now - timedelta(hours=11.5))
    await browser.get("/api/v1/users/me")
    await api.state.last_used.write()
    assert await ends() == soon
    await put(expires_at=now - timedelta(seconds=1))
    assert (await browser.get("/api/v1/users/me")).status_code == 401


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example.org",
        "//evil.example.org",
        "/\\evil.example.org",
        "evil",
        "",
        "/a b",
        "/\n//evil",
        "javascript:x",
    ],
)
async def test_nobody_is_sent_on_to_another_site(browser: httpx.AsyncClient, ada: Caller, next: str) -> None:
    assert (await sign_in(browser, ada, next)).headers["location"] == "/login"


async def test_one_is_sent_on_to_where_one_wanted(browser: httpx.AsyncClient, ada: Caller) -> None:
    assert (await sign_in(browser, ada, "/device?user_code=A-B")).headers["location"] == "/device?user_code=A-B"


async def test_the_way_to_the_provider_keeps_where_one_wanted(api: Api) -> None:
    wanted = "/device?user_code=A-B&more=1%262"
    settings = api.state.settings.model_copy(update={"oidc_name": "there"})
    provider = auth.Provider("https://sso.example.org", "cmp", None, "openid")
    with mock.patch.multiple(api.state, settings=settings, provider=provider):
        async with opened(api) as browser:
            page = (await browser.get("/login", params={"next": wanted})).text
    link = unescape(page.partition('href="')[2].partition('"')[0])
    assert parse_qs(urlsplit(link).query) == {"next": [wanted]}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_sites_page_sends_nobody_to_the_provider(browser: httpx.AsyncClient, site: str) -> None:
    answer = await browser.get("/sso/login", params={"next": "/device"}, headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/device")
    assert "set-cookie" not in answer.headers


async def test_every_page_of_a_session_ends_it(browser: httpx.AsyncClient, api: Api, ada: Caller) -> None:
    await sign_in(browser, ada)
    begun = (await browser.post("/oauth/device_authorization", data={"client_id": "x"})).json()
    for path in ("/login", "/device", f"/device?user_code={begun['user_code']}"):
        assert '<form method="post" action="/logout">' in (await browser.get(path)).text, path
    answer = await browser.post("/device", data={"user_code": begun["user_code"], "answer": "refuse"})
    assert '<form method="post" action="/logout">' in answer.text


async def test_of_too_many_sign_ins_the_oldest_ends(browser: httpx.AsyncClient, api: Api, ada: Caller) -> None:
    await sign_in(browser, ada)
    user = await api.database.run(lambda session: users.load(session, uuid.UUID(ada.id)))
    later = timedelta(hours=1)
    for _ in range(49):
        await api.database.run(lambda session: sign_ins.open_browser(session, user, later, "another", ""))
    assert (await browser.get("/api/v1/users/me")).status_code == 200
    await api.database.run(lambda session: sign_ins.open_browser(session, user, later, "the last", ""))
    assert (await browser.get("/api/v1/users/me")).status_code == 401


async def test_whoever_is_signed_in_already_is_sent_on_at_once(browser: httpx.AsyncClient, ada: Caller) -> None:
    await sign_in(browser, ada)
    for next, to in (("/device?user_code=A-B", "/device?user_code=A-B"), ("//evil.example.org", None)):
        answer = await browser.get("/login", params={"next": next})
        assert answer.headers.get("location") == to


async def test_pages_run_no_script_and_show_what_was_typed_as_text(browser: httpx.AsyncClient, ada: Caller) -> None:
    hostile = '"><script>alert(1)</script>'
    for path in ("/login", "/device"):
        page = await browser.get(path, params={"next": f"/{hostile}", "user_code": hostile}, follow_redirects=True)
        assert "<script>" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
    await sign_in(browser, ada)
    page = await browser.get("/device", params={"user_code": hostile})
    assert (page.status_code, "<script>" in page.text) == (404, False)


async def test_a_wrong_password_says_so_on_the_page(browser: httpx.AsyncClient, ada: Caller) -> None:
    answer = await browser.post("/login", data={"username": ada.name, "password": "no"})
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["\0", "ada\0", "é", "😀", "", "x" * 500, "ADA", "ada ", "' OR 1=1 --"])
async def test_a_name_that_nobody_can_have_is_somebody_who_is_not_there(
    browser: httpx.AsyncClient, api: Api, name: str
) -> None:
    answer = await browser.post("/login", data={"username": name, "password": PASSWORD})
    assert (answer.status_code, "do not belong together" in answer.text) == (401, True)
    form = {"grant_type": "password", "username": name or " ", "password": PASSWORD}
    granted = await browser.post("/oauth/token", data=form)
    assert (granted.status_code, granted.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "password", ["xk7-Qz", "password12345", "aaaaaaaaaaaaaaaa", "kubevirtcluster", "kubernetes2026", "x" * 129]
)
async def test_a_weak_password_is_refused_with_advice_and_not_repeated(api: Api, password: str) -> None:
    user = await api.user()
    answer = await user.put("/users/me/password", json={"password": password})
    assert answer.status_code == 422
    assert password not in answer.text
    named = await user.put("/users/me/password", json={"password": f"{user.name}{user.name}"[:128]})
    assert named.status_code == 422


async def test_a_narrowed_token_sets_no_password(api: Api) -> None:
    user = await api.user()
    made = (await user.post("/tokens/", json={"name": "narrow", "scopes": ["write"]})).json()
    refused = await api.caller(made["token"]).put("/users/me/password", json={"password": PASSWORD})
    assert refused.status_code == 403


async def test_an_administrator_takes_a_password_away(browser: httpx.AsyncClient, api: Api, ada: Caller) -> None:
    await sign_in(browser, ada)
    assert (await ada.delete(f"/users/{ada.id}/password")).status_code == 403
    assert (await api.admin.delete(f"/users/{ada.id}/password")).status_code == 204
    assert (await browser.get("/api/v1/users/me")).status_code == 401
    answer = await browser.post("/login", data={"username": ada.name, "password": PASSWORD})
    assert answer.status_code == 401


async def test_identities_are_linked_once_and_unlinking_ends_sign_ins(
    browser: httpx.AsyncClient, api: Api, ada: Caller
) -> None:
    body = {"issuer": "https://sso.example.org", "subject": f"s-{ada.id}"}
    made = await api.admin.post(f"/users/{ada.id}/identities", json=body)
    assert made.status_code == 201
    other = await api.user()
    assert (await api.admin.post(f"/users/{other.id}/identities", json=body)).status_code == 409
    assert (await ada.get(f"/users/{ada.id}/identities")).status_code == 403
    listed = (await api.admin.get(f"/users/{ada.id}/identities")).json()["items"]
    assert [one["subject"] for one in listed] == [body["subject"]]
    await sign_in(browser, ada)
    path = f"/users/{ada.id}/identities/{made.json()['id']}"
    assert (await api.admin.delete(path)).status_code == 204
    assert (await api.admin.delete(path)).status_code == 404
    assert (await browser.get("/api/v1/users/me")).status_code == 401


async def test_single_sign_on_that_is_not_set_up_says_so(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/sso/login")
    assert answer.status_code == 409
    assert "CMP_OIDC_ISSUER" in answer.json()["detail"]


async def test_codes_of_devices_are_not_to_be_guessed(api: Api, ada: Caller) -> None:
    transport = httpx.ASGITransport(api.app, client=("198.51.100.23", 1))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://cmp", headers={"Origin": "http://cmp"}
    ) as browser:
        await sign_in(browser, ada)
        looked = [(await browser.get(f"/device?user_code=AAAA-{n:04}")).status_code for n in range(11)]
    assert looked == [404] * 10 + [429]
