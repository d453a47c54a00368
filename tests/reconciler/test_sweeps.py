"""The chores: orphans only with proof, drift repaired and told, history pruned; how Kubernetes' absence is said."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.models import Cluster, Event, Instance, InstanceOperation, Operation, QuotaStrategy, User, Worker
from app.reconciler import sweeps
from app.rules.quota import Amounts
from app.store import leases, platform
from tests.reconciler.world import World


async def test_an_orphan_is_deleted_with_proof_and_reported_without(world: World) -> None:
    proven, unproven = [await world.create(f"q{uuid.uuid4().hex[:6]}") for _ in range(2)]
    spaces = [(await world.phase(id, "running")).namespace for id in (proven, unproven)]
    async with world.database.reading() as session:
        installation = str((await platform.ensure(session)).installation_id)
    # As after a restore, or a crash that cannot be: the rows are gone, the namespaces are not.
    operation = await world.delete(proven)
    await world.ended(operation)
    await _remake(world, spaces[0], proven, installation)
    async with world.database.transaction() as session:
        await leases.delete_cluster(session, unproven)
    service = world.reconciler._service  # type: ignore[union-attr]

    async def seen() -> bool:
        return {owned.name for owned in service.owned_namespaces()} >= set(spaces)

    await world.until(seen, "both namespaces in the cache")
    assert await sweeps.orphans(world.database, service, installation, 3600) == 0
    assert await _kinds(world, proven, unproven) == []
    await _finished_at(world, operation, datetime.now(UTC) + timedelta(hours=1))
    assert await sweeps.orphans(world.database, service, installation, -2) == 0
    await _finished_at(world, operation, datetime.now(UTC))
    assert await sweeps.orphans(world.database, service, installation, -2) == 1
    await sweeps.orphans(world.database, service, installation, -2)
    assert sorted(await _kinds(world, proven, unproven)) == ["orphan.deleted", "orphan.found"]

    async def gone() -> bool:
        return await world.kubernetes.namespace(spaces[0]) is None

    await world.until(gone, "the orphan's end")
    assert await world.kubernetes.namespace(spaces[1]) is not None
    assert len(await world.kubernetes.pods(spaces[1])) == 1


async def test_somebody_elses_namespace_is_no_orphan(world: World, simulator: str) -> None:
    other = str(uuid.uuid4())
    called = f"other{uuid.uuid4().hex[:6]}-ns"
    await _remake(world, called, uuid.uuid4(), other)
    async with world.database.reading() as session:
        installation = str((await platform.ensure(session)).installation_id)
    service = world.reconciler._service  # type: ignore[union-attr]
    assert await sweeps.orphans(world.database, service, installation, -2) == 0
    assert await world.kubernetes.namespace(called) is not None


async def test_drift_is_repaired_and_told(world: World) -> None:
    cluster_id = await world.create(f"u{uuid.uuid4().hex[:6]}")
    await world.phase(cluster_id, "running")
    assert await sweeps.quota_drift(world.database) == 0
    async with world.database.transaction() as session:
        await session.execute(sa.update(User).where(User.id == world.viewer.user_id).values(used_cpu=User.used_cpu + 7))
    assert await sweeps.quota_drift(world.database) == 1
    used, ledger = await world.used()
    assert used == ledger
    async with world.database.reading() as session:
        told = (await session.execute(sa.select(Event).where(Event.kind == "quota.drift"))).scalars().all()
    assert [(e.owner_id, "cpu by +7" in str(e.message)) for e in told] == [(world.viewer.user_id, True)]


async def test_history_is_pruned(world: World) -> None:
    cluster_id = await world.create(f"h{uuid.uuid4().hex[:6]}")
    await world.phase(cluster_id, "running")
    old = datetime.now(UTC) - timedelta(days=40)
    async with world.database.transaction() as session:
        await session.execute(sa.update(Event).values(created_at=old))
        await session.execute(sa.update(Operation).values(finished_at=old))
        await session.execute(
            sa.insert(Worker).values(id=uuid.uuid4(), host="dead", pid=1, started_at=old, seen_at=old)
        )
    await sweeps.prune(world.database, history_days=30, audit_days=365, idempotency_hours=24)
    assert await world.events(cluster_id) == []
    assert await world.operations(cluster_id) == []
    async with world.database.reading() as session:
        assert [row.host for row in (await session.execute(sa.select(Worker))).scalars()] != ["dead"]


async def test_the_worker_says_how_it_sees_kubernetes(still_world: World) -> None:
    async def row() -> Worker | None:
        async with still_world.database.reading() as session:
            return (await session.execute(sa.select(Worker))).scalars().first()

    async with still_world.running() as reconciler:
        found = await still_world.until(row, "the worker's row")
        assert "simulator at http" in str(found.kubernetes)
        assert found.kubernetes_error is None
        assert reconciler.healthy()
    assert await row() is None


async def test_without_kubernetes_wishes_wait_and_that_is_said(
    still_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reconciler.reconciler._SYNC_SECONDS", 0.2)
    real, still_world.kubernetes.url = still_world.kubernetes.url, "http://127.0.0.1:9"
    cluster_id = await still_world.create(f"a{uuid.uuid4().hex[:6]}")
    async with still_world.running():

        async def said() -> bool:
            cluster = await still_world.cluster(cluster_id)
            return cluster is not None and cluster.reason == "kubernetes_unavailable"

        await still_world.until(said, "the reason", about=cluster_id)
        assert (await still_world.instances(cluster_id))[0].status == "pending"
    still_world.kubernetes.url = real
    async with still_world.running():
        await still_world.phase(cluster_id, "running")


async def test_strategy_running_frees_compute_while_stopped(world: World) -> None:
    async with world.database.transaction() as session:
        strategy = {"quota_strategy": QuotaStrategy.RUNNING}
        await session.execute(sa.update(User).where(User.id == world.viewer.user_id).values(strategy))
    cluster_id = await world.create(f"r{uuid.uuid4().hex[:6]}", count=2)
    await world.phase(cluster_id, "running")
    assert (await world.used())[0] == Amounts(200, 128, 2, 1)
    await world.ended(await world.operate(cluster_id, InstanceOperation.STOP))
    assert await world.used() == (Amounts(100, 64, 2, 1), Amounts(100, 64, 2, 1))
    await world.ended(await world.operate(cluster_id, InstanceOperation.START))
    assert (await world.used())[0] == Amounts(200, 128, 2, 1)


async def test_a_single_instance_that_is_wanted_absent(world: World) -> None:
    cluster_id = await world.create(f"s{uuid.uuid4().hex[:6]}", count=3)
    cluster = await world.phase(cluster_id, "running")
    last = (await world.instances(cluster_id))[2]
    async with world.database.transaction() as session:
        away = {"wanted": "absent", "status": "deleting", "version": Instance.version + 1}
        await session.execute(sa.update(Instance).where(Instance.id == last.id).values(away))
        await session.execute(sa.update(Cluster).where(Cluster.id == cluster_id).values(instance_count=2))
    world.nudge(cluster_id)

    async def fewer() -> bool:
        return len(await world.instances(cluster_id)) == 2

    await world.until(fewer, "its end", seconds=40, about=cluster_id)
    assert len(await world.kubernetes.pods(cluster.namespace)) == 2
    assert await world.used() == (Amounts(200, 128, 2, 1), Amounts(200, 128, 2, 1))
    assert (await world.phase(cluster_id, "running")).ready_instances == 2


async def _remake(world: World, namespace: str, cluster_id: uuid.UUID, installation: str) -> None:
    labels = {
        "app.kubernetes.io/managed-by": "cmp",
        "cmp.io/installation": installation,
        "cmp.io/cluster": str(cluster_id),
    }
    await world.kubernetes.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})


async def _finished_at(world: World, operation_id: uuid.UUID, moment: datetime) -> None:
    async with world.database.transaction() as session:
        await session.execute(sa.update(Operation).where(Operation.id == operation_id).values(finished_at=moment))


async def _kinds(world: World, *cluster_ids: uuid.UUID) -> list[str]:
    return [e.kind for id in cluster_ids for e in await world.events(id) if e.kind.startswith("orphan")]
