"""What a worker counts: the way of one cluster, and what is true of the whole platform."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from app.database import Database
from app.models import Cluster, User
from app.reconciler import survey, sweeps
from app.telemetry import metrics
from tests.reconciler.world import World


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_the_way_of_one_cluster_is_counted(world: World) -> None:
    created = {"kind": "cluster.create", "outcome": "succeeded"}
    before = value("cmp_operations_finished_total", **created)
    settled = value("cmp_reconcile_visits_total", outcome="settled")
    running = value("cmp_time_to_running_seconds_count", instance_type="container")
    pods = value("cmp_kubernetes_requests_total", verb="create", resource="pods", code="201")
    id = await world.create(f"m{uuid.uuid4().hex[:6]}", count=2)
    await world.ended((await world.operations(id))[0].id)
    assert value("cmp_operations_finished_total", **created) == before + 1
    assert value("cmp_time_to_running_seconds_count", instance_type="container") == running + 1
    assert value("cmp_kubernetes_requests_total", verb="create", resource="pods", code="201") == pods + 2
    assert value("cmp_reconcile_visits_total", outcome="settled") > settled
    assert value("cmp_reconcile_lag_seconds_count") > 0
    assert value("cmp_kubernetes_cache_objects", resource="pods") >= 2
    assert value("cmp_kubernetes_cache_age_seconds", resource="pods") < 60
    assert value("cmp_database_connections", pool="sqlalchemy", state="idle") >= 1


async def test_a_wish_that_a_newer_one_ends_is_counted_once_it_is_committed(still_world: World) -> None:
    superseded = {"kind": "cluster.create", "outcome": "cancelled"}
    before = value("cmp_operations_finished_total", **superseded)
    id = await still_world.create("superseded")
    await still_world.delete(id)
    assert value("cmp_operations_finished_total", **superseded) == before + 1


async def test_a_survey_says_what_there_is(still_world: World) -> None:
    id = await still_world.create("counted", count=3, cpu=2500)
    async with still_world.database.transaction() as session:
        late = datetime.now(UTC) - timedelta(seconds=90)
        await session.execute(sa.update(Cluster).where(Cluster.id == id).values(due_at=late))
    await survey.show(still_world.database, 100)
    assert value("cmp_clusters", instance_type="container", phase="pending") == 1
    assert value("cmp_instances", instance_type="container", status="pending") == 3
    assert value("cmp_operations_open", kind="cluster.create") == 1
    assert value("cmp_clusters_overdue") == 1
    assert 89 < value("cmp_clusters_overdue_seconds") < 120
    me = still_world.viewer.username
    assert value("cmp_quota_used", account=me, dimension="cpu") == 7.5
    assert value("cmp_quota_used", account=me, dimension="memory") == 3 * 64 * 2**20
    assert value("cmp_quota_limit", account=me, dimension="instances") == 2000
    await survey.show(still_world.database, 0)
    assert REGISTRY.get_sample_value("cmp_quota_used", {"account": me, "dimension": "cpu"}) is None
    assert value("cmp_quota_used", account=metrics.OTHERS, dimension="cpu") == 7.5
    assert value("cmp_quota_limit", account=metrics.OTHERS, dimension="instances") == 2000


async def test_drift_is_a_violation(still_world: World) -> None:
    before = value("cmp_invariant_violations_total", invariant="quota_drift")
    async with still_world.database.transaction() as session:
        await session.execute(sa.update(User).values(used_instances=User.used_instances + 1))
    await sweeps.quota_drift(still_world.database)
    assert value("cmp_invariant_violations_total", invariant="quota_drift") == before + 1


@pytest.mark.parametrize("wanted", [1, 2])
async def test_those_nearest_to_a_limit_are_named(database: Database, wanted: int) -> None:
    """On every dialect."""
    now = datetime.now(UTC)
    limits = {f"quota_{d}": 100 for d in ("cpu", "memory", "instances", "clusters", "storage")}
    async with database.transaction() as session:
        await session.execute(sa.delete(User))
        for name, used in (("idle", {}), ("full", {"used_storage": 99}), ("half", {"used_cpu": 50})):
            session.add(
                User(
                    id=uuid.uuid4(), username=name, token="", role="user", quota_strategy="allocated",
                    created_at=now, updated_at=now, **limits, **used,
                )
            )  # fmt: skip
    await survey.show(database, wanted)
    named = {
        sample.labels["account"]
        for family in metrics.PLATFORM.collect()
        for sample in family.samples
        if family.name == "cmp_quota_used"
    }
    assert named == {*("full", "half")[:wanted], metrics.OTHERS}
    assert value("cmp_quota_limit", account=metrics.OTHERS, dimension="clusters") == 300 - 100 * wanted
