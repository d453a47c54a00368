"""What an API process keeps of its answers is never old: not after one's own write to another process, nor a worker's.

Two processes that keep answers, of which one reads from a replica, and one that keeps none; whatever is changed, each
must list the same.
The database itself refuses a change to what is listed that leaves the row's version as it was.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest

from app import migrations
from app.models import User
from app.store.clusters import COLUMNS
from testbed.databases import PostgreSQL, Standby
from tests.conftest import opened
from tests.e2e.platform import Platform, eventually, simulator

_GUARD = """
CREATE FUNCTION {table}_versioned() RETURNS trigger AS $$ BEGIN
  IF {changed} AND OLD.version = (SELECT version FROM {table} WHERE id = OLD.id)
  THEN RAISE EXCEPTION '{table}: changed under the same version'; END IF;
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE CONSTRAINT TRIGGER versioned AFTER UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION {table}_versioned();
"""
SIZE = {
    "instance_type": "container",
    "cpu_per_instance": 0.5,
    "memory_per_instance": 64,
    "instance_count": 1,
    "image": "nginx:1",
}
_LISTS = ("/clusters/?limit=500", "/clusters/?shared=true", "/clusters/?sort=name&phase=running", "/users/me/quota")


@dataclass
class Replicas:
    """`first` and `second` keep answers; `keeps_none` makes each anew."""

    first: Platform
    second: Platform
    keeps_none: Platform

    clients: dict[tuple[str, str], httpx.AsyncClient] = field(default_factory=dict)

    async def ask(self, replica: Platform, token: str, path: str) -> Any:
        client = self.clients.setdefault((replica.url, token), replica.client(token))
        answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def agree(self, token: str) -> None:
        """At a moment when nothing changes both say what the one says that keeps nothing."""
        for path in _LISTS:

            async def same(path: str = path) -> bool:
                before = await self.ask(self.keeps_none, token, path)
                kept = [await self.ask(replica, token, path) for replica in (self.first, self.second)]
                if await self.ask(self.keeps_none, token, path) != before:
                    return False  # the worker is at it
                assert kept == [before, before]
                return True

            await eventually(same, f"nothing changes {path} for a moment", 30)


@pytest.fixture(scope="module")
async def replicas(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replicas]:
    """`postgresql`: skips where there is none."""
    tmp_path = tmp_path_factory.mktemp("replicas")
    with PostgreSQL() as primary, Standby(primary) as standby, simulator("--speed", "5") as kubernetes:
        url, copy = primary.create_database("cmp"), standby.url("cmp")
        async with opened(url) as database:
            await migrations.upgrade(database)
        await _guarded(url)
        made = [
            Platform(tmp_path / name, kubernetes, url, separate_worker=True, extra=extra)
            for name, extra in (
                ("first", {}),
                ("second", {"CMP_DATABASE_REPLICA_URL": copy}),
                ("none", {"CMP_CACHE_MIB": "0"}),
            )
        ]
        try:
            made[0].start()
            for other in made[1:]:
                other.data_dir.mkdir()
                (other.data_dir / "admin-token").write_text(made[0].token)
                other.start_api()
            replicas = Replicas(made[0], made[1], made[2])
            yield replicas
            for client in replicas.clients.values():
                await client.aclose()
            assert await _read_from_the_replica(replicas.second) > 0
        finally:
            for platform in made:
                platform.stop()


async def test_no_answer_is_old(replicas: Replicas) -> None:
    """Whoever changes it, by whatever way; each change goes to the other process in turn."""
    people = {"admin": replicas.first.token}
    async with replicas.first.client() as admin:
        for name in ("ada", "bob"):
            people[name] = (await admin.post("/users/", json={"username": name, "quota_cpu": 20})).json()["token"]
    changes: list[tuple[str, str, str, Any]] = [
        ("ada", "POST", "/clusters/", {"name": "web", **SIZE}),
        ("ada", "POST", "/clusters/", {"name": "same", **SIZE}),
        ("ada", "PATCH", "/clusters/web", {"labels": {"tier": "front"}}),
        ("ada", "PATCH", "/clusters/web", {"image": "nginx:2"}),
        ("ada", "POST", "/clusters/web/scale", {"instance_count": 3}),
        ("ada", "POST", "/instances/web-instance-1/operate", {"operation": "stop"}),
        ("ada", "PUT", "/clusters/web/grants/bob", {"level": "view"}),
        ("ada", "PUT", "/clusters/web/grants/bob", {"level": "manage"}),
        ("bob", "PATCH", "/clusters/web@ada", {"labels": {"by": "bob"}}),
        ("admin", "PATCH", "/users/ada", {"quota_cpu": 12}),
        ("admin", "PUT", "/clusters/web@ada/transfer", {"to": "bob"}),
        ("bob", "DELETE", "/clusters/web", None),
    ]
    for number, (who, method, path, body) in enumerate(changes):
        async with (replicas.first, replicas.second)[number % 2].client(people[who]) as client:
            answer = await client.request(method, path, json=body, params={"wait": 20})
            assert answer.status_code in (200, 201, 202), (method, path, answer.text)
            operation = answer.json().get("operation")
            assert operation is None or operation["status"] == "succeeded", answer.text
        for token in people.values():
            await replicas.agree(token)


async def test_ones_own_write_is_read_from_another_process(replicas: Replicas) -> None:
    """Written to one, read from the other, again and again, with nothing in between."""
    async with replicas.first.client() as writer, replicas.second.client() as reader:
        assert (await writer.post("/clusters/", json={"name": "mine", **SIZE})).status_code == 201
        for number in range(60):
            changed = await writer.patch("/clusters/mine", json={"labels": {"number": str(number)}})
            assert changed.status_code == 200, changed.text
            (row,) = (await reader.get("/clusters/?name=mine")).json()["items"]
            assert row["labels"] == {"number": str(number)}
        used = (await reader.get("/users/me/quota")).json()["used"]["instances"]
        for count in range(2, 6):
            await writer.post("/clusters/mine/scale", params={"wait": 30}, json={"instance_count": count})
            assert (await reader.get("/users/me/quota")).json()["used"]["instances"] == used + count - 1
        await writer.delete("/clusters/mine", params={"wait": 60})
        assert (await reader.get("/clusters/?name=mine")).json()["items"] == []
        assert (await reader.get("/users/me/quota")).json()["used"]["instances"] == used - 1


async def _read_from_the_replica(platform: Platform) -> float:
    async with platform.client() as admin:
        text = (await admin.get(f"{platform.url}/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith('cmp_database_reads_total{server="replica"')]
    return float(line.split()[-1])


async def _guarded(url: str) -> None:
    quota = [column.name for column in User.__table__.columns if column.name.startswith(("quota_", "used_"))]
    shown = [column.key for column in COLUMNS if column.key not in ("version", "updated_at")]
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    for table, names in (("clusters", shown), ("users", quota)):
        changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in names)
        await connection.execute(_GUARD.format(table=table, changed=f"({changed})"))
    await connection.close()
