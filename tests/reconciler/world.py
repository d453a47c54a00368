"""A user, a database and a running reconciler over the simulator, with words for what the tests do and look at."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import aiohttp
import sqlalchemy as sa

from app import migrations, worker
from app.database import Database
from app.k8s_service import KubeTarget
from app.models import (
    Cluster,
    Event,
    Instance,
    InstanceOperation,
    LedgerEntry,
    Operation,
    OperationStatus,
    QuotaStrategy,
    Role,
    User,
)
from app.reconciler import Reconciler
from app.rules.access import Viewer
from app.rules.quota import DIMENSIONS, Amounts
from app.rules.sealing import Sealer
from app.schemas import ContainerSettings, VmSettings
from app.services import clusters, instances, users
from app.services.clusters import ClusterWish
from app.settings import Settings
from app.store import platform

T = TypeVar("T")
QUOTA = Amounts(cpu=10_000_000, memory=4_000_000, instances=2000, clusters=50, storage=1_000_000)
SEALER = Sealer([bytes(32)])


class Kubernetes:
    """The simulator as seen with kubectl's eyes, and its levers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))

    async def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        data = None if body is None else json.dumps(body)
        async with self.session.request(
            method, self.url + path, data=data, headers={"Content-Type": content}
        ) as answer:
            found = await answer.json(content_type=None)
            return None if answer.status == 404 else found

    async def pods(self, namespace: str) -> list[dict[str, Any]]:
        return (await self.request("GET", f"/api/v1/namespaces/{namespace}/pods"))["items"]  # type: ignore[no-any-return]

    async def namespace(self, name: str) -> dict[str, Any] | None:
        return await self.request("GET", f"/api/v1/namespaces/{name}")  # type: ignore[no-any-return]

    async def delete_pod(self, namespace: str, name: str) -> None:
        await self.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", {"gracePeriodSeconds": 0})

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        return await self.request(method, f"/__simulator__/{path}", body)

    async def fault(self, **rule: Any) -> None:
        await self.admin("POST", "faults", rule)

    async def no_faults(self) -> None:
        await self.admin("DELETE", "faults")

    async def close(self) -> None:
        await self.session.close()


@dataclass
class World:
    database: Database
    settings: Settings
    kubernetes: Kubernetes
    viewer: Viewer
    reconciler: Reconciler | None = None
    commits: int = 0

    @asynccontextmanager
    async def running(
        self, settings: Settings | None = None, sealer: Sealer | None = None
    ) -> AsyncIterator[Reconciler]:
        target = KubeTarget.url(self.kubernetes.url)
        async with worker.running(
            settings or self.settings, self.database, target, sealer or SEALER, on_commit=self._committed
        ) as reconciler:
            self.reconciler = reconciler
            try:
                yield reconciler
            finally:
                self.reconciler = None

    async def create(
        self,
        name: str = "web",
        *,
        kind: str = "container",
        count: int = 1,
        image: str = "nginx:1",
        cpu: int = 100,
        own: ContainerSettings | VmSettings | None = None,
    ) -> uuid.UUID:
        wish = ClusterWish(name=name, instance_type=kind, cpu=cpu, memory=64, count=count, image=image, labels={})
        if own is not None:
            secrets = own.secrets()
            seal = (lambda id: SEALER.seal(secrets, str(id))) if secrets else wish.seal
            wish = replace(wish, spec=own.stored(), seal=seal)
        async with self.database.transaction() as session:
            made = await clusters.create(session, self.viewer, wish, "test")
        self.nudge(made.cluster.id)
        return made.cluster.id

    async def delete(self, cluster_id: uuid.UUID) -> uuid.UUID:
        async with self.database.transaction() as session:
            view = await clusters.hold(session, self.viewer, cluster_id)
            operation = await clusters.delete(session, self.viewer, view, "test")
        self.nudge(cluster_id)
        return operation.id

    async def operate(self, cluster_id: uuid.UUID, operation: InstanceOperation, ordinal: int = 1) -> uuid.UUID:
        instance = (await self.instances(cluster_id))[ordinal - 1]
        async with self.database.transaction() as session:
            _, row = await instances.operate(session, self.viewer, instance.id, operation, "test")
        self.nudge(cluster_id)
        return row.id

    def nudge(self, cluster_id: uuid.UUID) -> None:
        if self.reconciler is not None:
            self.reconciler.nudge(cluster_id)

    async def cluster(self, cluster_id: uuid.UUID) -> Cluster | None:
        async with self.database.reading() as session:
            return await session.get(Cluster, cluster_id)

    async def instances(self, cluster_id: uuid.UUID) -> list[Instance]:
        async with self.database.reading() as session:
            found = sa.select(Instance).where(Instance.cluster_id == cluster_id).order_by(Instance.ordinal)
            return list((await session.execute(found)).scalars())

    async def operation(self, operation_id: uuid.UUID) -> Operation:
        async with self.database.reading() as session:
            return (await session.execute(sa.select(Operation).where(Operation.id == operation_id))).scalar_one()

    async def operations(self, cluster_id: uuid.UUID) -> list[Operation]:
        async with self.database.reading() as session:
            found = sa.select(Operation).where(Operation.cluster_id == cluster_id).order_by(Operation.id)
            return list((await session.execute(found)).scalars())

    async def events(self, cluster_id: uuid.UUID) -> list[Event]:
        async with self.database.reading() as session:
            found = sa.select(Event).where(Event.cluster_id == cluster_id).order_by(Event.id)
            return list((await session.execute(found)).scalars())

    async def used(self) -> tuple[Amounts, Amounts]:
        """The account's counters, and what its ledger rows add up to."""
        async with self.database.reading() as session:
            user = (await session.execute(sa.select(User).where(User.id == self.viewer.user_id))).scalar_one()
            rows = (
                await session.execute(sa.select(LedgerEntry).where(LedgerEntry.account_id == user.id))
            ).scalars().all()  # fmt: skip
        held = [Amounts(*(getattr(row, d) for d in DIMENSIONS)) for row in rows]
        return Amounts(*(getattr(user, f"used_{d}") for d in DIMENSIONS)), sum(held, Amounts())

    async def phase(self, cluster_id: uuid.UUID, phase: str, seconds: float = 20) -> Cluster:
        async def there() -> Cluster | None:
            cluster = await self.cluster(cluster_id)
            assert cluster is not None, "the cluster is gone"
            return cluster if cluster.phase == phase else None

        return await self.until(there, f"phase {phase}", seconds, cluster_id)

    async def status(self, cluster_id: uuid.UUID, status: str, ordinal: int = 1, seconds: float = 20) -> Instance:
        async def there() -> Instance | None:
            instance = (await self.instances(cluster_id))[ordinal - 1]
            return instance if instance.status == status else None

        return await self.until(there, f"status {status}", seconds, cluster_id)

    async def ended(self, operation_id: uuid.UUID, seconds: float = 20) -> Operation:
        async def there() -> Operation | None:
            operation = await self.operation(operation_id)
            open_ = (OperationStatus.PENDING, OperationStatus.RUNNING)
            return None if operation.status in open_ else operation

        return await self.until(there, "the operation's end", seconds)

    async def gone(self, cluster_id: uuid.UUID, seconds: float = 20) -> None:
        async def there() -> bool:
            return await self.cluster(cluster_id) is None

        await self.until(there, "its deletion", seconds, cluster_id)

    async def until(
        self,
        question: Callable[[], Awaitable[T | None]],
        what: str,
        seconds: float = 20,
        about: uuid.UUID | None = None,
    ) -> T:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if answer := await question():
                return answer
            await asyncio.sleep(0.02)
        raise AssertionError(f"waited {seconds} s for {what}; {await self._shown(about)}")

    async def _shown(self, cluster_id: uuid.UUID | None) -> str:
        if cluster_id is None or (cluster := await self.cluster(cluster_id)) is None:
            return "nothing to show"
        members = [(i.instance_name, i.wanted, i.status, i.reason, i.message) for i in await self.instances(cluster_id)]
        return f"{cluster.phase} {cluster.reason} {cluster.message} {cluster.attempts}; {members[:4]}"

    def _committed(self) -> None:
        self.commits += 1


async def made_world(
    database: Database, kubernetes: Kubernetes, settings: Settings, *, strategy: str = "allocated"
) -> World:
    """On an open database: migrated, with an installation id of its own and one user."""
    await migrations.upgrade(database)
    async with database.transaction() as session:
        await platform.ensure(session)
        admin = Viewer(uuid.uuid4(), "test", Role.ADMIN)
        wish = users.UserWish(f"u{uuid.uuid4().hex[:12]}", Role.USER, QUOTA, QuotaStrategy(strategy))
        user, _ = await users.create(session, admin, wish, "test")
    return World(database, settings, kubernetes, Viewer(user.id, user.username, Role.USER))
