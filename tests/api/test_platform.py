"""What administrators see of the platform, users near a limit, and refusals in words."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Cluster, LedgerEntry, User
from app.rules.ssh_keys import PATTERN
from app.schemas.patterns import WORDS
from app.store import events, workers
from tests.api.running import Api

OPENAPI = Path(__file__).parents[2] / "docs/openapi.json"


async def report(api: Api) -> dict[str, Any]:
    answer = await api.admin.get("/platform/")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def found(report: dict[str, Any]) -> dict[str, list[str]]:
    return {one["name"]: one["found"] for one in report["invariants"] if not one["holds"]}


async def test_what_does_not_fit_together_is_named(api: Api) -> None:
    ada = await api.user()
    cluster = await ada.cluster("wrong")
    id, now = uuid.UUID(cluster["id"]), datetime.now(UTC)
    assert found(await report(api)) == {}

    async def break_it(session: Any) -> None:
        await session.execute(sa.update(User).where(User.id == uuid.UUID(ada.id)).values(used_cpu=User.used_cpu + 1))
        late = {"due_at": now - timedelta(hours=1), "lease_until": now - timedelta(minutes=5)}
        await session.execute(sa.update(Cluster).where(Cluster.id == id).values(late))
        await session.execute(sa.delete(LedgerEntry).where(LedgerEntry.resource_id != id, LedgerEntry.cluster_id == id))
        await events.add(session, kind="quota.drift", message="cpu by +1")

    await api.database.run(break_it)
    seen = await report(api)
    assert found(seen) == {
        "Counters of quotas are what the ledger adds up to": [ada.name],
        "Each instance is charged for": ["wrong-instance-1"],
        "No worker died while it was at a cluster": ["wrong"],
        "Each cluster is looked at in time": ["wrong"],
    }
    assert seen["repairs"][0]["message"] == "cpu by +1"


async def test_workers_and_what_they_hold(api: Api) -> None:
    ada = await api.user()
    id = uuid.UUID((await ada.cluster("held"))["id"])
    until = datetime.now(UTC) + timedelta(minutes=1)
    worker = uuid.uuid4()

    async def hold(session: Any) -> None:
        await workers.beat(session, worker, host="here", pid=7, kubernetes="v1.35", kubernetes_error="away")
        held = {"lease_token": uuid.uuid4(), "lease_until": until}
        await session.execute(sa.update(Cluster).where(Cluster.id == id).values(held))

    await api.database.run(hold)
    seen = await report(api)
    assert seen["leases_held"] == 1
    assert {name: seen["leases"][0][name] for name in ("cluster_name", "owner")} == {
        "cluster_name": "held",
        "owner": ada.name,
    }
    assert [(one["host"], one["kubernetes_error"]) for one in seen["workers"]] == [("here", "away")]


async def test_near_a_limit_is_asked_of_everybody(api: Api) -> None:
    near = await api.user(quota_instances=5)
    for number in range(4):
        await near.cluster(f"near-{number}")
    far = await api.user(quota_instances=6)
    for number in range(4):
        await far.cluster(f"far-{number}")
    nothing = await api.user(quota_cpu=0)
    listed = {one["username"] for one in (await api.admin.get("/users/?near_limit=true&limit=500")).json()["items"]}
    assert near.name in listed
    assert not {far.name, nothing.name} & listed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"name": "No Spaces"},
            "name: small letters, digits and dashes; it begins with a letter and ends with no dash",
        ),
        ({"container": {"env": {"1A": "x"}}}, "letters, digits and _; it does not begin with a digit"),
    ],
)
async def test_a_refusal_says_what_to_type(api: Api, body: dict[str, Any], said: str) -> None:
    ada = await api.user()
    wish = {"name": "fine", "instance_type": "container", "image": "nginx", "cpu_per_instance": 1}
    answer = await ada.post("/clusters/", json=wish | {"memory_per_instance": 64} | body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert "^" not in answer.text


def test_each_pattern_has_words() -> None:
    """But for quantities, images and keys, which are read by code of their own, and Idempotency-Key, a header."""
    patterns: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            patterns.update(value for key, value in node.items() if key == "pattern" and isinstance(value, str))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(json.loads(OPENAPI.read_text()))
    read_by_code = {one for one in patterns if any(part in one for part in ("Gi)", "5}m", "sha256"))}
    read_by_code |= {"^[!-~]+$", PATTERN}
    assert patterns - read_by_code - set(WORDS) == set()
