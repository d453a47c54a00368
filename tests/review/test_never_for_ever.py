"""What must not last for ever: an open operation, a dead worker's claim, memory of what is gone."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.database import Database, utc_now
from app.models import Cluster, ClusterPhase, InstanceStatus, OperationKind, OperationStatus, Reason
from app.reconciler import sweeps
from app.reconciler.act import Recent
from app.reconciler.decide import Step, Verb, judge
from app.reconciler.queue import Queue
from app.services import clusters
from app.store import leases
from tests.reconciler.conftest import settings_for
from tests.reconciler.world import World, made_world
from tests.unit.reconciler.rows import NOTHING, cluster, instance, later, operation, picture, seen

S = InstanceStatus


@pytest.fixture
async def rows(database: Database, tmp_path: Path) -> World:
    """A world that nobody reconciles."""
    return await made_world(database, None, settings_for(tmp_path))  # type: ignore[arg-type]


@pytest.mark.parametrize("why", [Reason.EVICTED, Reason.UNSCHEDULABLE])
def test_a_pod_that_is_thrown_out_again_and_again_fails_its_operation(why: Reason) -> None:
    row = cluster(phase=ClusterPhase.PROVISIONING)
    one = instance(row, status=S.PENDING)
    create = operation(row, OperationKind.CLUSTER_CREATE)
    ended = None
    for second in range(0, 3600, 10):
        view = seen(S.FAILED, reason=why, lost=True) if second % 20 else seen(S.STARTING, reason=Reason.WAITING)
        verdict = judge(picture(row, [one], [view], [create]), NOTHING, later(second))
        for name, value in verdict.instances.get(one.id, {}).items():
            setattr(one, name, value)
        ended = ended or next((r.status for r in verdict.operations if r.status is not None), None)
    assert ended is OperationStatus.FAILED
    assert one.status == S.FAILED


async def test_the_cluster_of_a_worker_that_died_is_due_when_its_lease_runs_out(rows: World) -> None:
    cluster_id = await rows.create(f"l{uuid.uuid4().hex[:6]}")
    died = await rows.database.run(
        lambda s: leases.claim(s, cluster_id, uuid.uuid4(), lease_seconds=-1.0, sweep_seconds=60.0)
    )
    assert died is not None
    alive = await rows.create(f"l{uuid.uuid4().hex[:6]}")
    assert await rows.database.run(
        lambda s: leases.claim(s, alive, uuid.uuid4(), lease_seconds=30.0, sweep_seconds=60.0)
    )
    assert await sweeps.abandoned(rows.database) == 1
    assert await sweeps.abandoned(rows.database) == 0
    taken = await rows.database.run(
        lambda s: leases.claim_due(s, uuid.uuid4(), limit=50, lease_seconds=5.0, sweep_seconds=60.0)
    )
    assert cluster_id in {one.cluster_id for one in taken}
    assert alive not in {one.cluster_id for one in taken}


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_new_cluster_is_due_by_the_databases_clock(
    rows: World, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + wrong

    monkeypatch.setattr(clusters, "datetime", Clock)
    cluster_id = await rows.create(f"l{uuid.uuid4().hex[:6]}")
    async with rows.database.transaction() as session:
        row = await session.get(Cluster, cluster_id)
        now = await session.scalar(utc_now())
    assert row is not None
    assert now is not None
    assert timedelta(seconds=-1) < now - row.due_at < timedelta(seconds=20)


def test_what_was_done_to_clusters_of_others_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("app.reconciler.act.time.monotonic", lambda: now)
    recent = Recent()
    for _ in range(10_000):
        recent.note(uuid.uuid4(), Step(Verb.DELETE, uuid.uuid4()), None)
        now += 1.0
    assert len(recent._done) < 100


async def test_owners_of_clusters_that_are_gone_are_forgotten() -> None:
    queue = Queue()
    for _ in range(50_000):
        queue.put(key := uuid.uuid4(), uuid.uuid4())
        assert await queue.get() == key
        queue.done(key, rest=0)
    assert len(queue._owner_of) < 20_000
