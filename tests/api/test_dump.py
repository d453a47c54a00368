"""Whoever has a copy of the database has no way in, and none of the secrets that were entrusted to CMP."""

import json
import random
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.models import Base
from app.rules.sealing import new_key
from tests.api.programs import DEVICE_GRANT, PASSWORD, signed_in, with_password
from tests.api.running import Api, running_api, wish

ENTRUSTED = ("canary in the environment", "canary of the registry", "canary of cloud-init")
# Of whatever is in a column, also what is inside of it could be a credential.
_WORDS = re.compile(r"[^\s\"',:;{}\[\]]{16,}")


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(database_url, tmp_path_factory.mktemp("data"), secret_key=SecretStr(new_key())) as api:
        yield api


async def test_nothing_in_a_copy_of_the_database_lets_anybody_in(api: Api) -> None:
    given = await everything_given(api)
    cells = [cell async for cell in _cells(api)]
    text = "\n".join(cells)
    for secret in (*given, *ENTRUSTED):
        assert secret not in text
    candidates = {word for cell in cells for word in (cell, *_WORDS.findall(cell)) if 16 <= len(word) <= 500}
    assert len(candidates) > 50, "there is something to try"
    assert [word for word in sorted(candidates) if await _lets_in(api, word)] == []


async def test_what_was_given_does_let_in(api: Api) -> None:
    """So that the test above cannot pass for knocking at the wrong doors."""
    given = await everything_given(api)
    assert [bool(await _lets_in(api, secret)) for secret in given] == [True] * len(given)


async def everything_given(api: Api) -> list[str]:
    """One credential of each kind, and a cluster of each type with secrets."""
    ada = await with_password(api)
    client = (await ada.post("/tokens/", json={"name": "client", "kind": "client"})).json()
    key = {"Idempotency-Key": f"dump-{ada.name}"}
    token = (await ada.post("/tokens/", json={"name": "token"}, headers=key)).json()["token"]
    granted = await signed_in(api, ada)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://cmp") as http:
        device = (await http.post("/oauth/device_authorization", data={"client_id": "laptop"})).json()
    container = {
        "secret_env": {"TOKEN": ENTRUSTED[0]},
        "registry": {"server": "registry.example", "username": "ada", "password": ENTRUSTED[1]},
    }
    vm = {"cloud_init": {"user_data": f"#cloud-config\n# {ENTRUSTED[2]}"}}
    for fields in ({"container": container}, {"instance_type": "vm", "vm": vm, "image": "nginx:1"}):
        answer = await ada.post("/clusters/", json=wish(**fields))
        assert answer.status_code == 201, answer.text
    session = await _session(api, {"username": ada.name, "password": PASSWORD})
    assert session is not None
    pair = f"{client['client_id']} {client['client_secret']}"
    return [ada.token, token, granted["access_token"], granted["refresh_token"], device["device_code"], session, pair]


async def _cells(api: Api) -> AsyncIterator[str]:
    async with api.database.reading() as session:
        for table in Base.metadata.sorted_tables:
            for row in (await session.execute(sa.select(table))).mappings():
                for value in row.values():
                    for text in _texts(value):
                        yield text


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, bytes):
        return (value.decode("latin-1"), value.hex())
    return (value if isinstance(value, str) else json.dumps(value, default=str),)


async def _lets_in(api: Api, secret: str) -> str | None:
    """By which door."""
    if not secret.isascii() or not secret.isprintable():
        return None
    if (await api.caller(secret).get("/users/me")).status_code == 200:
        return "bearer"
    id, _, own = secret.partition(" ")
    grants = {
        "refresh": {"grant_type": "refresh_token", "refresh_token": secret},
        "device": {"grant_type": DEVICE_GRANT, "client_id": "laptop", "device_code": secret},
        "client": {"grant_type": "client_credentials", "client_id": id, "client_secret": own or secret},
    }
    async with _from_anywhere(api) as http:
        for door, form in grants.items():
            answer = await http.post("/oauth/token", data=form)
            assert answer.status_code in (200, 400, 401), answer.text
            if answer.status_code == 200 or answer.json()["error"] in ("authorization_pending", "slow_down"):
                return door
        entered = await http.post("/login", data={"token": secret})
        assert entered.status_code in (303, 401), entered.text
        if entered.status_code == 303:
            return "token form"
        http.cookies.set("cmp-session", secret.replace(";", ""))
        return "cookie" if (await http.get("/api/v1/users/me")).status_code == 200 else None


async def _session(api: Api, form: dict[str, str]) -> str | None:
    async with _from_anywhere(api) as http:
        await http.post("/login", data=form)
        return http.cookies.get("cmp-session")


def _from_anywhere(api: Api) -> httpx.AsyncClient:
    """An address of its own each time: nobody may guess so often from one."""
    address = ".".join(["10", *(str(random.randrange(256)) for _ in range(3))])
    transport = httpx.ASGITransport(api.app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://cmp", headers={"Origin": "http://cmp"})
