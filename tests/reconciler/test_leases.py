"""The claim on a cluster's row, on every database: one holder at a time, by the database's clock, no poke lost."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.database import Database, utc_now
from app.models import Cluster, ClusterPhase, Event, Instance, InstanceStatus, OperationStatus
from app.reconciler.decide import OperationRuling, Verdict
from app.reconciler.settle import finish_deletion, settle
from app.rules.quota import Amounts
from app.store import leases, workers
from app.store.leases import Claimed, Loaded
from tests.reconciler.conftest import settings_for
from tests.reconciler.world import Kubernetes, World, made_world

KINDS = ("sqlite", "postgresql", "mariadb", "mariadb_snapshot_isolation")
LEASE = {"lease_seconds": 5.0, "sweep_seconds": 60.0}


@pytest.fixture
async def rows(database: Database, kubernetes: Kubernetes, tmp_path: object) -> World:
    """A world that nobody reconciles: only its rows matter."""
    world = await made_world(database, kubernetes, settings_for(tmp_path))  # type: ignore[arg-type]
    async with database.transaction() as session:
        await session.execute(sa.update(Cluster).values(due_at=datetime(2999, 1, 1, tzinfo=UTC)))
    return world


async def claim(world: World, cluster_id: uuid.UUID, **more: float) -> Claimed | None:
    return await world.database.run(lambda session: leases.claim(session, cluster_id, uuid.uuid4(), **LEASE | more))


async def due(world: World) -> float:
    """Seconds until it is due, for the only cluster."""
    async with world.database.reading() as session:
        row = (
            await session.execute(sa.select(Cluster.due_at, utc_now().label("now")).order_by(Cluster.due_at))
        ).first()
    assert row is not None
    return float((row.due_at - row.now).total_seconds())


async def release(world: World, held: Claimed, next_seconds: float | None = None, attempts: int = 0) -> int | None:
    return await world.database.run(
        lambda session: leases.release(
            session, held.cluster_id, held.token, attempts=attempts, next_seconds=next_seconds
        )
    )


async def test_one_holder_at_a_time(rows: World) -> None:
    cluster_id = await rows.create(f"l{uuid.uuid4().hex[:6]}")
    claims = await asyncio.gather(*(claim(rows, cluster_id) for _ in range(8)))
    held = [one for one in claims if one is not None]
    assert len(held) == 1
    assert await claim(rows, cluster_id) is None
    assert await release(rows, held[0]) == 1
    again = await claim(rows, cluster_id)
    assert again is not None
    assert again.token != held[0].token
    assert await claim(rows, uuid.uuid4()) is None


async def test_a_lease_runs_out_and_its_token_with_it(rows: World) -> None:
    cluster_id = await rows.create(f"l{uuid.uuid4().hex[:6]}")
    stale = await claim(rows, cluster_id, lease_seconds=-1.0)
    fresh = await claim(rows, cluster_id)
    assert stale is not None
    assert fresh is not None
    run = rows.database.run
    assert not await run(lambda s: leases.renew(s, cluster_id, stale.token, lease_seconds=5))
    assert not await run(lambda s: leases.hold(s, cluster_id, stale.token))
    assert await release(rows, stale) is None
    assert await run(lambda s: leases.load(s, cluster_id, stale.token)) is None
    assert await run(lambda s: leases.renew(s, cluster_id, fresh.token, lease_seconds=5))
    assert await run(lambda s: leases.hold(s, cluster_id, fresh.token))


async def test_due_rows_are_shared_out(rows: World) -> None:
    made = {await rows.create(f"l{uuid.uuid4().hex[:6]}") for _ in range(20)}

    async def some() -> list[Claimed]:
        token = uuid.uuid4()
        return await rows.database.run(lambda s: leases.claim_due(s, token, limit=4, **LEASE))

    batches: list[list[Claimed]] = []
    for _ in range(6):
        batches += await asyncio.gather(*(some() for _ in range(3)))
    taken = [one.cluster_id for batch in batches for one in batch]
    assert len(taken) == len(set(taken)) == 20
    assert set(taken) == made
    assert all(len(batch) <= 4 for batch in batches)
    assert all(0 <= one.late < 60 for batch in batches for one in batch)


async def test_a_poke_during_a_visit_is_kept(rows: World) -> None:
    cluster_id = await rows.create(f"l{uuid.uuid4().hex[:6]}")
    held = await claim(rows, cluster_id)
    assert held is not None
    assert 50 < await due(rows) < 61
    assert await rows.database.run(lambda s: leases.poke(s, cluster_id))
    assert await release(rows, held, 30.0, attempts=3) is not None
    assert await due(rows) < 1
    held = await claim(rows, cluster_id)
    assert held is not None
    assert held.attempts == 3
    assert await release(rows, held, 30.0) is not None
    assert 25 < await due(rows) < 31
    assert not await rows.database.run(lambda s: leases.poke(s, uuid.uuid4()))
    held = await claim(rows, cluster_id)
    await rows.database.run(leases.forget_all)
    assert await claim(rows, cluster_id) is not None


async def _loaded(world: World, count: int = 2) -> tuple[Claimed, Loaded]:
    cluster_id = await world.create(f"l{uuid.uuid4().hex[:6]}", count=count)
    held = await claim(world, cluster_id)
    assert held is not None
    loaded = await world.database.run(lambda s: leases.load(s, cluster_id, held.token))
    assert loaded is not None
    return held, loaded


def _everything(loaded: Loaded) -> Verdict:
    return Verdict(
        cluster={"phase": ClusterPhase.RUNNING, "ready_instances": 2},
        instances={i.id: {"status": InstanceStatus.RUNNING, "node": "n1"} for i in loaded.instances},
        operations=(OperationRuling(loaded.operations[0], OperationStatus.SUCCEEDED, 2, 2),),
    )


async def _settle(world: World, held: Claimed, loaded: Loaded, verdict: Verdict) -> bool:
    return await world.database.run(
        lambda s: settle(
            s, held.token, loaded, verdict, frozenset(), attempts=0, next_seconds=None, now=datetime.now(UTC)
        )
    )


async def test_settle_writes_everything_once(rows: World) -> None:
    held, loaded = await _loaded(rows)
    assert await _settle(rows, held, loaded, _everything(loaded))
    cluster = await rows.cluster(held.cluster_id)
    assert cluster is not None
    assert (cluster.phase, cluster.ready_instances, cluster.version, cluster.lease_token) == ("running", 2, 2, None)
    assert [(i.status, i.node, i.version) for i in await rows.instances(held.cluster_id)] == [("running", "n1", 2)] * 2
    assert (await rows.operations(held.cluster_id))[0].status == "succeeded"
    kinds = [event.kind for event in await rows.events(held.cluster_id)][1:]
    assert sorted(kinds) == ["cluster.phase", "instance.status", "instance.status", "operation.finished"]


async def test_a_stale_worker_writes_nothing(rows: World) -> None:
    held, loaded = await _loaded(rows)
    stale = replace(held, token=uuid.uuid4())
    before = await _count(rows)
    assert not await _settle(rows, stale, loaded, replace(_everything(loaded), stopped=(loaded.instances[0].id,)))
    assert not await rows.database.run(lambda s: finish_deletion(s, stale.token, loaded))
    assert await _count(rows) == before
    cluster = await rows.cluster(held.cluster_id)
    assert cluster is not None
    assert (cluster.phase, cluster.version, cluster.lease_token) == ("pending", 1, held.token)


async def test_a_deletion_ends_with_rows_quota_and_operation_together(rows: World) -> None:
    cluster_id = await rows.create(f"l{uuid.uuid4().hex[:6]}", count=3)
    operation = await rows.delete(cluster_id)
    held = await claim(rows, cluster_id)
    assert held is not None
    loaded = await rows.database.run(lambda s: leases.load(s, cluster_id, held.token))
    assert loaded is not None
    before = (await rows.used())[0]
    assert before.clusters == 1
    assert await rows.database.run(lambda s: finish_deletion(s, held.token, loaded))
    assert await rows.used() == (Amounts(), Amounts())
    assert (await rows.operation(operation)).status == "succeeded"
    assert await rows.cluster(cluster_id) is None
    assert not await rows.database.run(lambda s: finish_deletion(s, held.token, loaded))
    assert [e.kind for e in await rows.events(cluster_id)].count("cluster.deleted") == 1


async def test_a_wish_during_the_visit_is_not_overwritten(rows: World) -> None:
    held, loaded = await _loaded(rows)
    async with rows.database.transaction() as session:
        changed = {"wanted": "stopped", "status": "stopping", "version": Instance.version + 1}
        await session.execute(sa.update(Instance).where(Instance.id == loaded.instances[0].id).values(changed))
    assert await _settle(rows, held, loaded, _everything(loaded))
    assert [i.status for i in await rows.instances(held.cluster_id)] == ["stopping", "running"]
    assert await due(rows) < 1


async def test_a_deletion_during_the_visit_is_not_overwritten(rows: World) -> None:
    held, loaded = await _loaded(rows)
    await rows.delete(held.cluster_id)
    assert await _settle(rows, held, loaded, _everything(loaded))
    cluster = await rows.cluster(held.cluster_id)
    assert cluster is not None
    assert (cluster.phase, cluster.lease_token) == ("deleting", None)
    assert {i.status for i in await rows.instances(held.cluster_id)} == {"deleting"}
    assert await due(rows) < 1


async def test_a_thousand_rows_in_few_statements(rows: World) -> None:
    held, loaded = await _loaded(rows, 1000)
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    sa.event.listen(rows.database.engine.sync_engine, "before_cursor_execute", count)
    try:
        assert await _settle(rows, held, loaded, _everything(loaded))
    finally:
        sa.event.remove(rows.database.engine.sync_engine, "before_cursor_execute", count)
    assert statements < 20
    assert {i.status for i in await rows.instances(held.cluster_id)} == {"running"}


async def test_workers_say_that_they_live(database: Database) -> None:
    one, run = uuid.uuid4(), database.run
    for error in ("away", None):
        await run(
            lambda s, error=error: workers.beat(  # type: ignore[misc]
                s, one, host="h", pid=1, kubernetes="simulator", kubernetes_error=error
            )
        )
    async with database.reading() as session:
        [row] = await workers.all_seen_since(session, datetime(2020, 1, 1, tzinfo=UTC))
    assert (row.id, row.kubernetes, row.kubernetes_error) == (one, "simulator", None)
    assert await run(lambda s: workers.prune(s, datetime(2020, 1, 1, tzinfo=UTC))) == 0
    await run(lambda s: workers.remove(s, one))
    async with database.reading() as session:
        assert await workers.all_seen_since(session, datetime(2020, 1, 1, tzinfo=UTC)) == []


async def _count(world: World) -> int:
    async with world.database.reading() as session:
        return int(await session.scalar(sa.select(sa.func.count()).select_from(Event)) or 0)
