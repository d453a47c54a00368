"""Every operation × every kind of asker × own, shared, foreign and missing: nobody gets in where they do not belong.

The operations are those of the app itself; one that `routes.py` does not know fails. What is right comes from the
tables of `rules.access`. A few thousand probes; with CMP_FUZZ=full more than 50,000 (`make fuzz`).
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr
from starlette.routing import BaseRoute, WebSocketRoute

from app.rules.access import Permission, owns
from app.rules.sealing import new_key
from tests.api.isolation.routes import GROUPS, KEY, ROWS, WEBSOCKET, WITNESS, Row
from tests.api.isolation.world import (
    CANARY,
    FOREIGN,
    MISSING,
    OWN,
    SHARED,
    Actor,
    World,
    access,
    build,
    expected,
    undo_all,
)
from tests.api.running import Api, checked, handshake, running_api

KINDS = ("sqlite",)
FULL = os.environ.get("CMP_FUZZ") == "full"
pytestmark = [pytest.mark.fuzz] if FULL else []
PLAIN: dict[str, str] = {}
# What a request may say beside, and what must not matter.
BESIDE = {"If-Match": '"x"', "X-User-Id": "admin", "X-Forwarded-User": "admin", "X-Original-URL": "/health"}
ENDLESS = "/api/v1/events/"


@pytest.fixture(scope="module")
async def world(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    settings: dict[str, Any] = {"secret_key": SecretStr(new_key()), "access_token_seconds": 3600}
    async with running_api(database_url, Path(tmp_path_factory.mktemp("data")), **settings) as api:
        world = await build(api)
        undo_all(api.database)
        yield world


def test_every_route_is_known(world: World) -> None:
    app = world.api.app
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    known = {(row.method, row.path) for row in ROWS}
    assert described | {(WEBSOCKET, path) for path in websockets(app.routes)} == known


def websockets(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """OpenAPI knows none; FastAPI keeps an included router as it is."""
    for route in routes:
        if isinstance(route, WebSocketRoute):
            yield prefix + route.path
        elif included := getattr(route, "original_router", None):
            yield from websockets(included.routes, prefix + route.include_context.prefix)  # type: ignore[attr-defined]


def test_the_matrix_has_askers_of_every_kind(world: World) -> None:
    """What a row could not tell apart would not be tested: each expectation is there for some asker."""
    for row in ROWS:
        if row.noun is not None:
            asked = [(actor, whose) for actor in world.actors for whose in (OWN, SHARED, MISSING)]
            wanted = {expected(actor, row, whose, row.forms[0]) for actor, whose in asked}
            everybodys = row.needs in ((Permission.CATALOGUE_READ,), (Permission.SELF_READ,))
            assert {200, 401, 404} | (set() if everybodys else {403}) <= wanted, row


def test_there_are_probes_enough(world: World) -> None:
    count = sum(len(asked) for rows in GROUPS.values() for asked in _asked(world, rows))
    print(f"isolation matrix: {count} probes of {len(ROWS)} rows by {len(world.actors)} askers")
    assert count >= (50_000 if FULL else 4000)


@pytest.mark.timeout(3000 if FULL else 280)
@pytest.mark.parametrize("group", GROUPS)
async def test_nobody_gets_in_where_they_do_not_belong(
    world: World, group: str, record_property: Callable[[str, object], None]
) -> None:
    wrong: list[str] = []
    count = 0
    unbelieved: dict[str, dict[str, str]] = defaultdict(dict)
    for asked in _asked(world, GROUPS[group]):
        seen = {}
        for probe in asked:
            answer = await probe.ask()
            count += 1
            seen[probe.whose] = probe.seen(answer)
            wrong += probe.faults(answer)
            if probe.actor.role is None and probe.row.needs:
                unbelieved[str(probe.row)][seen[probe.whose]] = f"{probe.actor.name}, {probe.whose}"
        if FOREIGN in seen and asked[0].hides() and seen[FOREIGN] != seen[MISSING]:
            wrong.append(f"{asked[0].row}: {asked[0].actor.name} can tell foreign from missing: {seen}")
    wrong += [
        f"{row}: without a credential not all read the same: {ways}"
        for row, ways in unbelieved.items()
        if len(ways) > 1
    ]
    print(f"isolation matrix, {group}: {count} probes, {len(wrong)} wrong answers")
    record_property("probes", count)
    record_property("wrong", len(wrong))
    assert not wrong, "\n".join(wrong[:60])


def _asked(world: World, rows: list[Row]) -> Iterator[list["Probe"]]:
    """Those together that differ only in whose it is."""
    for row in rows:
        for actor in (actor for actor in world.actors if actor.core or FULL):
            for form, beside in _ways(row):
                probes = [Probe(world, actor, row, whose, form, beside) for whose in _whose(row)]
                yield [probe for probe in probes if row.noun is None or probe.key is not None]


def _ways(row: Row) -> list[tuple[str, dict[str, str]]]:
    """By which form it is named, and what the request says beside."""
    forms = row.forms if row.noun else ("",)
    if not FULL:
        return [(forms[0], PLAIN)]
    return [(form, PLAIN) for form in forms] + [(form, BESIDE) for form in forms[:2]]


def _whose(row: Row) -> tuple[str, ...]:
    return (OWN, SHARED, FOREIGN, MISSING) if row.noun else (OWN,)


class Probe:
    def __init__(self, world: World, actor: Actor, row: Row, whose: str, form: str, beside: dict[str, str]) -> None:
        self.world, self.actor, self.row, self.whose, self.form, self.beside = world, actor, row, whose, form, beside
        self.key = world.key(actor, row, whose, form) if row.noun else None

    async def ask(self) -> httpx.Response:
        row, headers = self.row, self.actor.headers | self.beside
        query = {name: self._filled(value) for name, value in row.query.items()}
        if row.method == WEBSOCKET:
            answer = await self._upgrade(urlencode(query), headers)
        elif row.path == ENDLESS:
            answer = await begun(self.world.api, self._path(), urlencode(query), headers)
        else:
            body = self._filled(row.body) if row.body is not None else None
            answer = await self.world.client.request(row.method, self._path(), params=query, json=body, headers=headers)
        if row.needs:
            await checked(answer)
        return answer

    def faults(self, answer: httpx.Response) -> list[str]:
        wanted, got = expected(self.actor, self.row, self.whose, self.form), effective(answer)
        what = f"{self.row}: {self.actor.name}, {self.whose} by {self.form or 'nothing'}"
        found = [f"{what}: {got} and not {wanted}: {answer.text[:200]}"] if got != wanted else []
        learns = self.actor.role in (None, "user", "viewer")
        if learns and CANARY in self.seen(answer):
            found.append(f"{what}: learns of another's: {answer.text[:300]}")
        return found

    def hides(self) -> bool:
        foreign, missing = (expected(self.actor, self.row, whose, self.form) for whose in (FOREIGN, MISSING))
        return foreign == missing != 200

    def seen(self, answer: httpx.Response) -> str:
        """Everything that the asker can see, apart from the request id and what they sent themselves."""
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        text = answer.text.replace(answer.headers["x-request-id"], "-")
        if self.key is not None and answer.status_code < 300:
            text = text.replace(self.key, "-")
            headers.pop("content-length", None)
            headers.pop("etag", None)
        return f"{answer.status_code} {headers} {text}"

    def _path(self) -> str:
        row, world = self.row, self.world
        path = row.path.replace(f"{{{row.noun}}}", self.key or "")
        things = world.things(self.actor, self.whose)
        path = path.replace("{port}", "80").replace("{token}", things.token).replace("{identity}", things.identity)
        path = path.replace("{delivery}", things.delivery)
        return path.replace("{user}", self._sharing_user())

    def _sharing_user(self) -> str:
        """Whoever reads grants as one whom it is shared with, reads their own."""
        actor, witness = self.actor, self.world.witness.name
        if actor.role is None or actor.user is None or self.row.method != "GET" or self.whose != SHARED:
            return witness
        found = access(actor, self.row, SHARED, "id")
        return witness if found is None or owns(found) else actor.user.name

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        return {KEY: self.key, WITNESS: self.world.witness.name}.get(value, value) if isinstance(value, str) else value

    async def _upgrade(self, query: str, headers: dict[str, str]) -> httpx.Response:
        dialog = await handshake(self.world.api.app, self._path(), headers, query, ["v5.channel.k8s.io"])
        assert dialog.refusal is not None, "nothing runs here that could be entered"
        await dialog.refusal.aread()
        return dialog.refusal


def effective(answer: httpx.Response) -> int:
    """401, 403, 404, or 200 for the rest. Of many things the first counts; an empty list is what was not found."""
    status = answer.status_code
    if status == 200 and answer.headers["content-type"] == "application/json" and answer.request.url.query:
        named = b"_id=" in answer.request.url.query
        status = 404 if named and answer.json()["items"] == [] else status
    elif status == 200 and answer.request.method == "POST" and "items" in answer.json():
        problem = answer.json()["items"][0]["problem"]
        status = problem["status"] if problem is not None else 200
    return status if status in (401, 403, 404) else 200


async def begun(api: Api, path: str, query: str, headers: dict[str, str]) -> httpx.Response:
    """The beginning of an answer that has no end."""
    messages: asyncio.Queue[Any] = asyncio.Queue()
    gone = asyncio.Event()
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if (first := next(asked, None)) is not None:
            return first
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(b"host", b"cmp"), *((name.lower().encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1), "server": ("cmp", 80),
    }  # fmt: skip
    task = asyncio.ensure_future(api.app(scope, receive, messages.put))
    first, second = await messages.get(), await messages.get()
    gone.set()
    await task
    request = httpx.Request("GET", f"http://cmp{path}")
    return httpx.Response(first["status"], headers=first["headers"], content=second["body"], request=request)
