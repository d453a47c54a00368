"""Where requests are from, how many there may be, and what every answer tells browsers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select

from app.models import DeviceCode
from testbed.redis import Redis
from tests.api.running import Api, running_api

Opened = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The app on SQLite, with settings."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Api]:
        folder = tmp_path_factory.mktemp("edge")
        async with running_api(f"sqlite+aiosqlite:///{folder / 'cmp.sqlite3'}", folder, **settings) as api:
            yield api

    return opened


def from_(api: Api, address: str = "192.0.2.1", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(api.app, client=(address, 1))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.AsyncClient(transport=transport, base_url="http://cmp", headers=named)


async def asked_from(api: Api, **headers: str) -> str:
    """The address that CMP believes, as a device that wants to be let in shows it."""
    async with from_(api, **headers) as http:
        await http.post("/oauth/device_authorization", data={"client_id": "x"})
    async with api.database.reading() as session:
        found = (await session.execute(select(DeviceCode.address).order_by(DeviceCode.created_at.desc()))).first()
    assert found is not None
    return str(found[0])


@pytest.mark.parametrize(
    ("hops", "forwarded", "believed"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
    ],
)
async def test_an_address_is_believed_from_proxies_that_are_ours(
    opened: Opened, hops: int, forwarded: str, believed: str
) -> None:
    async with opened(trusted_proxies=hops) as api:
        assert await asked_from(api, X_Forwarded_For=forwarded) == believed


async def test_tls_is_believed_from_proxies_that_are_ours(opened: Opened) -> None:
    for hops, expected in ((0, None), (1, "max-age=31536000; includeSubDomains")):
        async with opened(trusted_proxies=hops) as api, from_(api, X_Forwarded_Proto="https") as http:
            answer = await http.get("/health")
            assert answer.headers.get("strict-transport-security") == expected


async def test_every_answer_tells_browsers_to_be_careful(opened: Opened) -> None:
    async with opened() as api, from_(api) as http:
        for path in ("/health", "/api/v1/users/me", "/nowhere", "/login", "/oauth/jwks.json"):
            headers = (await http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            policy = headers["content-security-policy"]
            assert all(f"{word} 'none'" in policy for word in ("default-src", "frame-ancestors", "base-uri"))
            assert headers["referrer-policy"] in ("no-referrer", "same-origin")
            assert headers["cache-control"] == ("max-age=300" if "jwks" in path else "no-store")
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert "server" not in headers


async def test_the_description_is_in_nobodys_frame_and_loads_no_plug_in(opened: Opened) -> None:
    async with opened() as api, from_(api) as http:
        for path in ("/docs", "/redoc"):
            policy = (await http.get(path)).headers["content-security-policy"]
            assert all(f"{word} 'none'" in policy for word in ("object-src", "frame-ancestors", "base-uri"))


async def test_what_was_sent_is_not_echoed_by_trace(opened: Opened) -> None:
    async with opened() as api, from_(api) as http:
        for path in ("/health", "/login", "/api/v1/users/me"):
            answer = await http.request("TRACE", path, headers={"X-Canary": "canary of the trace"})
            assert (answer.status_code, "canary" in answer.text) == (405, False)


async def test_a_line_in_the_log_says_who_and_from_where(opened: Opened) -> None:
    with structlog.testing.capture_logs() as said:
        async with opened() as api:
            user = await api.user()
            await user.get("/users/me")
            async with from_(api, "198.51.100.4") as http:
                await http.get("/api/v1/users/me")
    lines = [(one["actor"], one["address"], one["status"]) for one in said if one.get("path") == "/api/v1/users/me"]
    assert lines == [(user.name, "127.0.0.1", 200), (None, "198.51.100.4", 401)]


async def test_only_the_named_origin_may_read(opened: Opened) -> None:
    async with opened(cors_origins=["https://console.example.org"]) as api:
        for origin, allowed in (
            ("https://console.example.org", "https://console.example.org"),
            ("https://console.example.org.evil.org", None),
            ("http://console.example.org", None),
            ("null", None),
        ):
            async with from_(api, Origin=origin) as http:
                answer = await http.get("/health")
                assert answer.headers.get("access-control-allow-origin") == allowed
                assert "access-control-allow-credentials" not in answer.headers


async def test_a_token_has_so_many_requests_a_minute_and_another_has_its_own(opened: Opened) -> None:
    async with opened(rate_token=5) as api:
        user = await api.user()
        second = (await user.post("/tokens/", json={"name": "second"})).json()["token"]
        statuses = [(await user.get("/users/me")).status_code for _ in range(5)]
        assert statuses == [200] * 4 + [429]
        refused = await user.get("/clusters/")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert refused.json()["code"] == "too_many"
        assert (await api.caller(second).get("/users/me")).status_code == 200


async def test_an_account_has_so_many_whichever_tokens_it_uses(opened: Opened) -> None:
    async with opened(rate_account=6) as api:
        user, other = await api.user(), await api.user()
        tokens = [(await user.post("/tokens/", json={"name": f"t{n}"})).json()["token"] for n in range(3)]
        statuses = [(await api.caller(token).get("/users/me")).status_code for token in tokens * 2]
        assert statuses == [200] * 3 + [429] * 3
        assert (await other.get("/users/me")).status_code == 200


async def test_an_address_has_so_many_also_without_any_token(opened: Opened) -> None:
    async with opened(rate_address=5) as api, from_(api, "192.0.2.1") as one, from_(api, "192.0.2.2") as other:
        statuses = [(await one.get("/api/v1/users/me")).status_code for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        assert (await one.get("/livez")).status_code == 200
        assert (await other.get("/api/v1/users/me")).status_code == 401


async def test_processes_that_share_a_redis_count_together(opened: Opened, redis: Redis) -> None:
    async with (
        opened(rate_address=10, redis_url=redis.url) as first,
        opened(rate_address=10, redis_url=redis.url) as second,
        from_(first, "198.51.100.1") as one,
        from_(second, "198.51.100.1") as other,
    ):
        asked = [http.get("/health") for _ in range(10) for http in (one, other)]
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert statuses.count(200) == 10
        assert statuses.count(429) == 10


async def test_without_its_redis_each_counts_for_itself_and_says_so(opened: Opened) -> None:
    with Redis() as own, structlog.testing.capture_logs() as said:
        async with opened(rate_address=5, redis_url=own.url) as api, from_(api, "198.51.100.2") as http:
            assert (await http.get("/health")).status_code == 200
            own.stop()
            statuses = [(await http.get("/health")).status_code for _ in range(7)]
            assert statuses == [200] * 5 + [429] * 2
            own.start()
            assert (await http.get("/health")).status_code == 200
    assert [one["event"] for one in said].count("redis.away") == 1


async def test_what_is_too_large_or_too_deep_is_refused(opened: Opened) -> None:
    async with opened(max_body_bytes=2048) as api:
        user = await api.user()
        assert (await user.post("/clusters/", json={"name": "x" * 3000})).status_code == 413
        deep = "[" * 500 + "]" * 500
        kind = {"Content-Type": "application/json"}
        assert (await user.post("/clusters/", content=deep, headers=kind)).status_code == 400
        async with from_(api) as http:
            assert (await http.post("/oauth/token", data={"username": "x" * 3000})).status_code == 413
            assert (await http.post("/login", data={"username": "x" * 3000})).status_code == 413
