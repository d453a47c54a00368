"""The client as a library: both faces by the same tests, against a running CMP and what may stand before it."""

import asyncio
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from cmpctl.client.client import AsyncClient, Client
from cmpctl.client.credentials import Credentials
from cmpctl.client.errors import (
    Conflict,
    NotFound,
    OperationFailed,
    StillRunning,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from cmpctl.profiles import ProfileCredentials, Profiles
from tests.cmpctl.command import Cmpctl
from tests.cmpctl.proxy import LOSE, Proxy, between
from tests.e2e.platform import Platform, running

_numbers = count(1)
_PASSWORD = "a long enough password"


class Face:
    """Runs what a client answers, whichever client it is."""

    def __init__(self, kind: type[Any], runner: asyncio.Runner) -> None:
        self.kind = kind
        self._runner = runner
        self._made: list[Any] = []

    def client(self, url: str, token: str | None = None, **how: Any) -> Any:
        async def made() -> Any:
            return self.kind(url, token, **how)

        self._made.append(self(made()))
        return self._made[-1]

    def __call__(self, found: Any) -> Any:
        return self._runner.run(found) if inspect.iscoroutine(found) else found

    def items(self, found: Any, most: int = 1_000_000) -> list[Any]:
        """Of pages or a stream, no more than `most`."""
        if not hasattr(found, "__aiter__"):
            return [item for _, item in zip(range(most), found, strict=False)]

        async def gathered() -> list[Any]:
            items: list[Any] = []
            stream = aiter(found)
            async for item in stream:
                items.append(item)
                if len(items) == most:
                    break
            if inspect.isasyncgen(stream):
                await stream.aclose()
            return items

        return list(self._runner.run(gathered()))

    def next(self, stream: Any) -> Any:
        async def following() -> Any:
            return await anext(stream)

        return self(following()) if hasattr(stream, "__anext__") else next(stream)

    def end(self, stream: Any) -> None:
        self(stream.aclose() if hasattr(stream, "aclose") else stream.close())

    def close(self) -> None:
        for client in self._made:
            self(client.close())


@pytest.fixture(params=[Client, AsyncClient])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    with asyncio.Runner() as runner:
        face = Face(request.param, runner)
        yield face
        face.close()


@pytest.fixture(scope="module")
def proxy(platform: Platform) -> Iterator[Proxy]:
    with between(platform.url) as proxy:
        yield proxy


def wish(name: str = "", **fields: Any) -> Any:
    size = {"cpu_per_instance": 0.1, "memory_per_instance": 64}
    return {"name": name or f"c{next(_numbers)}", "instance_type": "container", **size, **fields}


def test_a_thousand_items_page_by_page(face: Face, ada: Cmpctl, proxy: Proxy) -> None:
    client = face.client(proxy.url, ada.token)
    if ada.request("GET", "/clusters/many").status_code == 404:
        face(client.clusters.create(wish("many", instance_count=1000)))
    proxy.seen.clear()
    found = face.items(client.instances.list(cluster="many", limit=300))
    assert len({one["id"] for one in found}) == len(found) == 1000
    assert len(proxy.seen) == 4
    proxy.seen.clear()
    assert len(face.items(client.instances.list(cluster="many", limit=300), most=10)) == 10
    assert len(proxy.seen) == 1


def test_waiting_tells_how_far_it_is(face: Face, ada: Cmpctl) -> None:
    client = face.client(ada.url, ada.token)
    made = face(client.clusters.create(wish(instance_count=2)))
    told: list[Any] = []
    done = face(client.wait(made["operation"], timeout=30, progress=told.append))
    assert (done["status"], done["done"], told[-1]) == ("succeeded", 2, done)
    assert face(client.clusters.get(made["name"]))["phase"] == "running"
    assert face(client.wait(done["id"])) == done


def test_what_fails_and_what_goes_on(face: Face, ada: Cmpctl) -> None:
    client = face.client(ada.url, ada.token)
    made = face(client.clusters.create(wish(image="shop:does-not-exist")))
    with pytest.raises(StillRunning) as still:
        face(client.wait(made["operation"], timeout=1))
    assert still.value.operation["id"] == made["operation"]["id"]
    face(client.clusters.delete(made["name"]))
    with pytest.raises(OperationFailed) as failed:
        face(client.wait(made["operation"], timeout=30))
    assert failed.value.operation["status"] == "cancelled"
    with pytest.raises(NotFound) as missing:
        face(client.clusters.get("never"))
    assert (missing.value.code, bool(missing.value.request_id)) == ("not_found", True)


def test_an_answer_is_lost_and_there_is_one_cluster(face: Face, ada: Cmpctl, proxy: Proxy) -> None:
    client, body = face.client(proxy.url, ada.token), wish()
    proxy.method, proxy.faults = "POST", [LOSE]
    made = face(client.clusters.create(body))
    assert proxy.faults == []
    listed = ada.get("/clusters/", name=body["name"])["items"]
    assert [one["id"] for one in listed if one["name"] == body["name"]] == [made["id"]]
    operations = ada.get("/operations/", cluster_id=made["id"])["items"]
    assert [one["kind"] for one in operations] == ["cluster.create"]


def test_a_change_with_if_match_is_not_repeated(face: Face, ada: Cmpctl, proxy: Proxy) -> None:
    client = face.client(proxy.url, ada.token)
    made = face(client.clusters.create(wish(), wait=30))
    path = f"/clusters/{made['id']}"
    tag = ada.request("GET", path).headers["etag"]
    proxy.method, proxy.faults = "PATCH", [LOSE]
    proxy.seen.clear()
    with pytest.raises(Unreachable):
        face(client.clusters.change(made["id"], {"labels": {"a": "1"}}, if_match=tag))
    assert [one.partition(" ")[0] for one in proxy.seen] == ["PATCH"]
    assert ada.get(path)["labels"] == {"a": "1"}
    with pytest.raises(Conflict):
        face(client.clusters.change(made["id"], {"labels": {"a": "2"}}, if_match=tag))


def _problem(status: int, code: str, **headers: str) -> Any:
    body = json.dumps({"status": status, "code": code, "title": "x", "detail": "Later.", "request_id": "r"}).encode()
    return status, {"Content-Type": "application/problem+json", **headers}, body


def test_too_many_requests_are_tried_again_when_it_is_said(face: Face, ada: Cmpctl, proxy: Proxy) -> None:
    client = face.client(proxy.url, ada.token)
    proxy.method, proxy.faults = "GET", [_problem(429, "rate_limited", **{"Retry-After": "1"})]
    began = time.monotonic()
    assert face(client.users.me())["username"] == ada.name
    assert 1 <= time.monotonic() - began < 5


def test_what_is_away_is_tried_for_as_long_as_one_is_patient(face: Face, ada: Cmpctl, proxy: Proxy) -> None:
    away = _problem(503, "unavailable")
    proxy.method, proxy.faults = "GET", [away, away, (502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>")]
    client = face.client(proxy.url, ada.token)
    assert face(client.users.me())["username"] == ada.name
    assert proxy.faults == []
    proxy.faults = [away] * 20
    proxy.seen.clear()
    with pytest.raises(Unavailable):
        face(face.client(proxy.url, ada.token, patience=1).users.me())
    assert 2 <= len(proxy.seen) <= 4
    proxy.faults = []


def test_an_answer_that_is_not_of_cmp(face: Face, ada: Cmpctl, proxy: Proxy) -> None:
    proxy.method, proxy.faults = "GET", [(404, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>")]
    with pytest.raises(Unreachable, match="no answer of CMP"):
        face(face.client(proxy.url, ada.token, patience=0).users.me())
    proxy.faults = [(200, {"Content-Type": "application/json"}, b"{not json")]
    with pytest.raises(Unreachable, match="no answer of CMP"):
        face(face.client(proxy.url, ada.token, patience=0).users.me())


# --- sign-ins ----------------------------------------------------------------------------------------------------


@pytest.fixture
def granted(admin: Cmpctl, person: Callable[..., Cmpctl]) -> dict[str, Any]:
    """The tokens of a new sign-in."""
    user = person()
    assert admin.request("PUT", f"/users/{user.name}/password", json={"password": _PASSWORD}).status_code == 204
    form = {"grant_type": "password", "username": user.name, "password": _PASSWORD, "client_id": "cmpctl"}
    return dict(httpx.post(f"{admin.url}/oauth/token", data=form).json())


def test_tokens_that_end_are_renewed_once(face: Face, proxy: Proxy, granted: dict[str, Any]) -> None:
    credentials = Credentials(granted["access_token"], granted["refresh_token"], time.time() + 5)
    client = face.client(proxy.url, credentials=credentials)
    proxy.seen.clear()
    for _ in range(2):
        face(client.users.me())
    assert proxy.seen == ["POST /oauth/token", "GET /api/v1/users/me", "GET /api/v1/users/me"]
    assert credentials.bearer != granted["access_token"]


def test_a_token_that_is_refused_is_renewed_once(face: Face, proxy: Proxy, granted: dict[str, Any]) -> None:
    credentials = Credentials("cmp_pat_never", granted["refresh_token"], time.time() + 900)
    client = face.client(proxy.url, credentials=credentials)
    proxy.seen.clear()
    face(client.users.me())
    assert proxy.seen == ["GET /api/v1/users/me", "POST /oauth/token", "GET /api/v1/users/me"]


def _profile(place: Path, url: str, refresh_token: str) -> Profiles:
    profiles = Profiles(place / "profiles.json")
    tokens = {"access_token": "old", "refresh_token": refresh_token, "expires_at": 0}
    profiles.put("default", {"url": url, "username": "ada", **tokens})
    return profiles


def test_two_with_one_profile_renew_it_once(proxy: Proxy, granted: dict[str, Any], tmp_path: Path) -> None:
    profiles = _profile(tmp_path, proxy.url, granted["refresh_token"])
    both = [Client(proxy.url, credentials=ProfileCredentials(profiles, "default")) for _ in range(2)]
    proxy.seen.clear()
    names: list[str] = []
    threads = [threading.Thread(target=lambda one=one: names.append(one.users.me()["username"])) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(names) == 2
    assert proxy.seen.count("POST /oauth/token") == 1
    for one in both:
        one.close()


def test_a_sign_in_that_is_over_empties_the_profile(face: Face, ada: Cmpctl, tmp_path: Path) -> None:
    profiles = _profile(tmp_path, ada.url, "cmp_ref_" + "x" * 43)
    client = face.client(ada.url, credentials=ProfileCredentials(profiles, "default"))
    with pytest.raises(Unauthenticated):
        face(client.users.me())
    assert profiles.get("default") == {"url": ada.url, "username": "ada"}


# --- events ------------------------------------------------------------------------------------------------------


def test_events_go_on_after_cmp_was_killed(face: Face, kubernetes: str, tmp_path: Path) -> None:
    """Nothing is skipped, nothing comes twice."""
    with running(Platform(tmp_path, kubernetes)) as platform:
        client = face.client(platform.url, platform.token)
        names = [f"k{next(_numbers)}" for _ in range(3)]
        face(client.wait(face(client.clusters.create(wish(names[0])))["operation"]))

        def killed() -> None:
            time.sleep(1)
            platform.kill("api")
            platform.start_api()
            headers = {"Authorization": f"Bearer {platform.token}"}
            for name in names[1:]:
                httpx.post(f"{platform.url}/api/v1/clusters/?wait=30", headers=headers, json=wish(name), timeout=60)

        thread = threading.Thread(target=killed)
        thread.start()
        stream = client.events.follow(after=0)
        first = face.next(stream)["id"]
        thread.join()
        history = [one["id"] for one in face.items(client.events.history(sort="created_at", limit=500))]
        assert {one["name"] for one in face.items(client.clusters.list())} == set(names)
        followed = [first, *(face.next(stream)["id"] for _ in history[1:])]
        face.end(stream)
        assert sorted(followed) == sorted(history)
