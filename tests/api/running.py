"""The API in process, and callers who check of every answer what must hold of every answer."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp

from app.database import Database
from app.routers.deps import State
from app.settings import Settings
from main import create_app, running

_numbers = itertools.count(1)


async def handshake(
    app: ASGIApp, path: str, headers: dict[str, str] | None = None, query: str = "", protocols: Sequence[str] = ()
) -> "Dialog":
    """A WebSocket's beginning, in process; `path` from the root."""
    dialog = Dialog(app, path, headers or {}, query, protocols)
    await dialog.begin()
    return dialog


class Dialog:
    """A WebSocket as its client sees it. `refusal` is the answer to a handshake that failed."""

    def __init__(self, app: ASGIApp, path: str, headers: dict[str, str], query: str, protocols: Sequence[str]) -> None:
        self._url = f"http://cmp{path}"
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue(4)
        named = {"host": "cmp", **{name.lower(): value for name, value in headers.items()}}
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "client": ("127.0.0.1", 1),
            "server": ("cmp", 80),
            "subprotocols": list(protocols),
            "extensions": {"websocket.http.response": {}},
        }
        self._task = asyncio.ensure_future(app(scope, self._incoming.get, self._outgoing.put))
        self.refusal: httpx.Response | None = None
        self.protocol: str | None = None

    async def begin(self) -> None:
        await self._incoming.put({"type": "websocket.connect"})
        first = await self._next()
        if first["type"] == "websocket.accept":
            self.protocol = first.get("subprotocol")
            return
        assert first["type"] == "websocket.http.response.start", first
        body = await self._next()
        request = httpx.Request("WEBSOCKET", self._url)
        self.refusal = httpx.Response(first["status"], headers=first["headers"], content=body["body"], request=request)
        await self._task

    async def send(self, data: bytes) -> None:
        await self._incoming.put({"type": "websocket.receive", "bytes": data})

    async def send_text(self, text: str) -> None:
        await self._incoming.put({"type": "websocket.receive", "text": text})

    async def receive(self) -> bytes:
        message = await self._next()
        assert message["type"] == "websocket.send", message
        return bytes(message["bytes"])

    async def closed(self) -> tuple[int, str]:
        """Code and reason, past what is still said."""
        while (message := await self._next())["type"] != "websocket.close":
            pass
        await self._task
        return message["code"], message["reason"]

    async def leave(self) -> None:
        await self._incoming.put({"type": "websocket.disconnect", "code": 1000})
        await self._task

    async def _next(self) -> Any:
        async with asyncio.timeout(20):
            return await self._outgoing.get()


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
        self.app: ASGIApp = getattr(transport, "app", None)  # type: ignore[assignment]
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


def public_key(comment: str = "ada@laptop") -> str:
    """Another one each time, as ssh-keygen writes it."""
    public = Ed25519PrivateKey.generate().public_key()
    return f"{public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} {comment}"


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
    """Tests ask more often than people may, unless their settings say otherwise."""
    often = {"rate_address": 0, "rate_token": 0, "rate_account": 0, **settings}
    wanted = Settings(worker="separate", data_dir=data_dir, database_url=SecretStr(url), **often)
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
