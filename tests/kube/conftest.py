"""A simulator of its own for each test, a service connected to it, and the real control plane where a test says so."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

import simulator
from app.k8s_service import (
    ClusterObservation,
    ClusterRef,
    InstanceSpec,
    KubernetesService,
    KubeTarget,
    Limits,
    Observed,
    Timing,
)
from app.kube.client import KubeClient
from app.models import InstanceStatus, InstanceType, Reason, Wanted
from app.settings import Settings
from app.worker import isolation_of
from testbed.kubernetes import ControlPlane

LIMITS = Limits(connect=2, read=5, total=10, attempts=6, backoff=0.02, longest_backoff=0.2, patience=10)
TIMING = Timing(watch=20, stall=15, resync=600, absent=0.2, backoff=0.02, longest_backoff=0.3)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kubernetes: needs a real Kubernetes control plane")


@dataclass
class Rig:
    """A service whose caches run, and names for one cluster of its own."""

    service: KubernetesService
    installation_id: str
    told: list[str] = field(default_factory=list)

    def cluster(self, name: str | None = None) -> ClusterRef:
        name = name or f"c{uuid.uuid4().hex[:8]}"
        return ClusterRef(self.installation_id, str(uuid.uuid4()), str(uuid.uuid4()), name, f"{name}-ns")

    async def until(
        self, cluster: ClusterRef, met: Callable[[ClusterObservation], object], seconds: float = 20
    ) -> ClusterObservation:
        """What is observed as soon as it is as wished."""
        seen = self.service.observe(cluster)
        try:
            async with asyncio.timeout(seconds):
                while not met(seen):
                    await asyncio.sleep(0.01)
                    seen = self.service.observe(cluster)
        except TimeoutError:
            pytest.fail(f"never came true; last seen: {seen}")
        return seen

    async def status(self, spec: InstanceSpec, status: InstanceStatus, seconds: float = 20) -> Observed:
        def met(seen: ClusterObservation) -> bool:
            observed = seen.instances.get(spec.instance_id)
            return observed is not None and observed.status is status

        return (await self.until(spec.cluster, met, seconds)).instances[spec.instance_id]

    async def gone(self, spec: InstanceSpec) -> None:
        await self.until(spec.cluster, lambda seen: spec.instance_id not in seen.instances)

    async def retried(self, action: Callable[[], Awaitable[object]], *errors: type[Exception]) -> None:
        """As the reconciler does after a race: again, soon."""
        for _ in range(100):
            try:
                await action()
            except errors:
                await asyncio.sleep(0.05)
            else:
                return
        await action()


def instance(
    cluster: ClusterRef, ordinal: int = 1, kind: InstanceType = InstanceType.CONTAINER, image: str = "nginx:latest"
) -> InstanceSpec:
    return InstanceSpec(
        cluster=cluster,
        instance_type=kind,
        instance_id=str(uuid.uuid4()),
        name=f"{cluster.cluster_name}-instance-{ordinal}",
        cpu=250,
        memory=64,
        image=image,
        wanted=Wanted.RUNNING,
        incarnation=1,
    )


def reason_of(seen: ClusterObservation) -> Reason | None:
    """Of the one instance there is."""
    return next((observed.reason for observed in seen.instances.values()), None)


def again(spec: InstanceSpec) -> InstanceSpec:
    return replace(spec, incarnation=spec.incarnation + 1)


@asynccontextmanager
async def serviced(
    target: KubeTarget, *, timing: Timing = TIMING, installation_id: str | None = None
) -> AsyncIterator[Rig]:
    installation_id = installation_id or str(uuid.uuid4())
    service = await KubernetesService.connect(
        target,
        installation_id=installation_id,
        concurrency=20,
        limits=LIMITS,
        timing=timing,
        isolation=isolation_of(Settings()),
    )
    rig = Rig(service, installation_id)
    service.on_change(rig.told.append)
    async with service:
        task = asyncio.create_task(service.run())
        try:
            async with asyncio.timeout(20):
                while not service.synced():  # noqa: ASYNC110 - it has no event of its own
                    await asyncio.sleep(0.01)
            yield rig
            assert not task.done(), "the caches must never end by themselves"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def sim() -> AsyncIterator[simulator.Simulator]:
    async with simulator.serve(simulator.Settings(bookmark_interval=1, speed=5)) as running:
        yield running


@pytest.fixture
async def rig(sim: simulator.Simulator) -> AsyncIterator[Rig]:
    async with serviced(KubeTarget.url(sim.url)) as made:
        yield made


@pytest.fixture
async def raw(sim: simulator.Simulator) -> AsyncIterator[KubeClient]:
    """Somebody else with access to the same cluster."""
    client = await KubeClient.connect(KubeTarget.url(sim.url))
    yield client
    await client.close()


@pytest.fixture
def real(control_plane: ControlPlane) -> KubeTarget:
    return KubeTarget.kubeconfig(control_plane.kubeconfig)
