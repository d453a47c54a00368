"""docs/operations: CMP through PgBouncer in transaction mode, then from a backup of that database."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from testbed import Unavailable
from testbed.databases import PostgreSQL
from testbed.databases.postgresql import program
from testbed.pgbouncer import pgbouncer
from testbed.processes import free_port
from tests.e2e.platform import ROOT, Platform, eventually, running, simulator, user

_POOL = 8
_CLUSTERS = 24
_SECRET = {"CMP_SECRET_KEY": "A" * 43 + "="}
_LEDGER = """
    SELECT count(*) FROM users u WHERE used_instances <> (
        SELECT coalesce(sum(l.instances), 0) FROM quota_ledger l WHERE l.account_id = u.id)
"""


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture(scope="module")
def pooled(postgresql: PostgreSQL) -> Iterator[str]:
    """The URL of a database through PgBouncer, with the schema that the migrations made directly."""
    direct = make_url(postgresql.create_database("pooled"))
    migrations = [sys.executable, "-m", "app.migrations"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CMP_")}
    environment = plain | {"CMP_DATABASE_URL": direct.render_as_string(hide_password=False)}
    done = subprocess.run(migrations, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ": migrated, now at " in done.stdout
    port = free_port()
    text = (ROOT / "deploy/postgresql/pgbouncer.ini").read_text()
    for there, here in {
        "cmp = host=127.0.0.1 port=5432 dbname=cmp": f"pooled = host=127.0.0.1 port={direct.port} dbname=pooled",
        "listen_port = 6432": f"listen_port = {port}",
        "/etc/pgbouncer/userlist.txt": "{auth_file}",
        "default_pool_size = 20": f"default_pool_size = {_POOL}",
    }.items():
        assert there in text
        text = text.replace(there, here)
    for statement in (ROOT / "deploy/postgresql/role.sql").read_text().split(";")[:-1]:
        postgresql.execute(re.sub("ROLE cmp SET", f"ROLE {direct.username} IN DATABASE pooled SET", statement))
    try:
        with pgbouncer(text, f'"{direct.username}" "{direct.password}"\n', port):
            yield direct.set(port=port).render_as_string(hide_password=False)
    except Unavailable as reason:
        pytest.skip(str(reason))


async def test_through_pgbouncer_and_back_from_a_backup(
    pooled: str, kubernetes: str, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    first = Platform(tmp_path / "first", kubernetes, pooled, separate_worker=True, extra=_SECRET)
    with running(first):
        async with user(first, "ada", quota_cpu=64, quota_memory="64Gi", quota_instances=64, quota_clusters=64) as ada:
            made = await asyncio.gather(*(_made(ada, number) for number in range(_CLUSTERS)))
            assert made == ["running"] * _CLUSTERS
            timeouts = "SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = "
            assert postgresql.execute(f"{timeouts}(SELECT oid FROM pg_database WHERE datname = 'pooled')")
            held = postgresql.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = 'pooled'")
            assert 0 < held <= _POOL, "they share the connections"
            before = await _seen(ada)
            token = ada.headers["Authorization"].removeprefix("Bearer ")
        assert "Traceback" not in first.log("api", 10_000) + first.log("worker", 10_000)
        _backup(postgresql, "pooled", tmp_path / "cmp.dump")
        async with first.client(token) as ada:
            lost = await ada.post("/clusters/", params={"wait": 60}, json=_wish("after-the-backup"))
            assert lost.json()["phase"] == "running"
    restored = postgresql.create_database("restored")
    _restore(postgresql, "restored", tmp_path / "cmp.dump")
    with running(Platform(tmp_path / "second", kubernetes, restored, separate_worker=True, extra=_SECRET)) as second:
        async with second.client(token) as ada:
            assert await _seen(ada) == before
            gone = await ada.delete("/clusters/c0", params={"wait": 60})
            assert gone.json()["operation"]["status"] == "succeeded", gone.text

            async def exact() -> bool:
                quota = (await ada.get("/users/me/quota")).json()
                return bool(quota["used"]["instances"] == _CLUSTERS - 1)

            await eventually(exact, "what was deleted is given back")
    assert ledger_off(postgresql, "restored") == 0


def ledger_off(server: PostgreSQL, database: str) -> int:
    """Accounts whose counter is not the sum of what it is charged for."""
    return int(_run(server, "psql", "--tuples-only", "--command", _LEDGER, database))


def _wish(name: str) -> dict[str, Any]:
    return {"name": name, "instance_type": "container", "cpu_per_instance": 1, "memory_per_instance": 64}


async def _made(ada: httpx.AsyncClient, number: int) -> str:
    answer = await ada.post("/clusters/", params={"wait": 60}, json=_wish(f"c{number}"))
    return str(answer.json().get("phase", answer.text))


async def _seen(ada: httpx.AsyncClient) -> tuple[Any, Any]:
    clusters = (await ada.get("/clusters/", params={"limit": 100})).json()["items"]
    quota = (await ada.get("/users/me/quota")).json()
    return sorted((row["id"], row["name"], row["phase"]) for row in clusters), quota["used"]


def _backup(server: PostgreSQL, database: str, target: Path) -> None:
    _run(server, "pg_dump", "--format=custom", f"--file={target}", database)


def _restore(server: PostgreSQL, database: str, source: Path) -> None:
    _run(server, "pg_restore", "--exit-on-error", "--no-owner", f"--dbname={database}", str(source))


def _run(server: PostgreSQL, name: str, *words: str) -> str:
    url = make_url(server.url("postgres"))
    where = ["--host", str(url.host), "--port", str(url.port), "--username", str(url.username)]
    environment = os.environ | {"PGPASSWORD": str(url.password)}
    command = [*program(name), *where, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
