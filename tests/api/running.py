"""The API in process, and callers who check of every answer what must hold of every answer."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from app.database import Database
from app.routers.deps import State
from app.settings import Settings
from main import create_app, running

_numbers = itertools.count(1)


class Caller(httpx.AsyncClient):
    """Somebody with a token. Paths are below /api/v1."""

    def __init__(self, transport: httpx.AsyncBaseTransport, token: str | None, name: str = "", id: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(
            transport=transport,
            base_url="http://cmp/api/v1",
            headers=headers,
            event_hooks={"response": [checked]},
            timeout=60,
        )
        self.token = token or ""
        self.name = name
        self.id = id

    async def cluster(self, name: str | None = None, **fields: Any) -> dict[str, Any]:
        """A new one, as it was answered."""
        answer = await self.post("/clusters/", json=wish(name, **fields))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def used(self) -> dict[str, Any]:
        return dict((await self.get("/users/me/quota")).json()["used"])


class Api:
    """One running app on one database. Nothing reconciles: what tests wish for stays a wish."""

    def __init__(self, app: FastAPI, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.app = app
        self.state: State = app.state.cmp
        self._transport = transport or httpx.ASGITransport(app)
        token = (self.state.settings.data_dir / "admin-token").read_text().strip()
        self.admin = self.caller(token, "admin")
        self.nobody = self.caller(None)

    @property
    def database(self) -> Database:
        return self.state.database

    def caller(self, token: str | None, name: str = "", id: str = "") -> Caller:
        return Caller(self._transport, token, name, id)

    async def user(self, **fields: Any) -> Caller:
        """A new user with room for much, unless the fields say otherwise."""
        roomy = {
            "quota_cpu": 1000,
            "quota_memory": 1_000_000,
            "quota_instances": 10_000,
            "quota_clusters": 1000,
            "quota_storage": 1_000_000,
        }
        body = {"username": f"user{next(_numbers)}", **roomy, **fields}
        answer = await self.admin.post("/users/", json=body)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return self.caller(made["token"], made["username"], made["id"])


def wish(name: str | None = None, **fields: Any) -> dict[str, Any]:
    body = {
        "name": name or f"c{next(_numbers)}",
        "instance_type": "container",
        "cpu_per_instance": 0.5,
        "memory_per_instance": 512,
        "instance_count": 1,
    }
    return body | fields


@contextlib.asynccontextmanager
async def running_api(url: str, data_dir: Path, **settings: Any) -> AsyncIterator[Api]:
    wanted = Settings(worker="separate", data_dir=data_dir, database_url=SecretStr(url), **settings)
    app = create_app(wanted)
    async with running(app):
        yield Api(app)


async def checked(response: httpx.Response) -> None:
    """No answer is a 5xx, each has a request id, and each refusal is a problem."""
    await response.aread()
    asked = f"{response.request.method} {response.request.url}"
    assert response.status_code < 500, f"{asked}: {response.status_code} {response.text}"
    request_id = response.headers["x-request-id"]
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == "application/problem+json", asked
    problem = response.json()
    assert problem["status"] == response.status_code, asked
    assert problem["request_id"] == request_id, asked
    assert problem["type"] == "about:blank", asked
    assert all(problem[field] for field in ("code", "title", "detail")), asked
