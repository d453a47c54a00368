"""The second process, `python -m app.worker`, and how the first one embeds the same work."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from app import migrations, telemetry
from app.database import Database, SqliteInUse
from app.errors import CmpError, Unavailable
from app.k8s_service import BadTarget, Isolation, KubernetesService, KubeTarget
from app.reconciler import Reconciler
from app.rules import sealing
from app.rules.sealing import Sealer
from app.settings import Settings
from app.store import platform

log = structlog.get_logger("cmp.worker")

_SCHEMA_SECONDS = 2.0


@asynccontextmanager
async def running(
    settings: Settings,
    database: Database,
    target: KubeTarget,
    sealer: Sealer,
    *,
    on_commit: Callable[[], None] = lambda: None,
) -> AsyncIterator[Reconciler]:
    """The reconciler at work while the block runs; the database is open and migrated. Raises BadTarget."""
    async with database.transaction() as session:
        installation_id = (await platform.ensure(session)).installation_id
    service = await KubernetesService.connect(
        target,
        installation_id=str(installation_id),
        concurrency=settings.kubernetes_concurrency,
        version=telemetry.VERSION,
        isolation=isolation_of(settings),
    )
    async with service:
        reconciler = Reconciler(settings, database, service, installation_id, sealer, on_commit)
        task = asyncio.create_task(reconciler.run(), name="reconciler")
        try:
            yield reconciler
        finally:
            task.cancel()
            # What it died of, if it did, is in the log already.
            await asyncio.gather(task, return_exceptions=True)


def isolation_of(settings: Settings) -> Isolation:
    return Isolation(
        pod_security=settings.pod_security,
        user_namespaces=settings.user_namespaces,
        egress_cidrs=tuple(settings.egress_cidrs),
        egress_except=tuple(settings.egress_except),
        ingress_namespaces=tuple(settings.ingress_namespaces),
        kubevirt_namespace=settings.kubevirt_namespace,
    )


def target_of(settings: Settings) -> KubeTarget:
    """Which Kubernetes CMP_KUBERNETES means. Raises BadTarget: a worker of its own has no simulator of its own."""
    wanted = settings.kubernetes
    if wanted == "auto" and "KUBERNETES_SERVICE_HOST" in os.environ:
        wanted = "in-cluster"
    if wanted == "in-cluster":
        return KubeTarget.in_cluster()
    if wanted == "kubeconfig":
        return KubeTarget.kubeconfig()
    if wanted.startswith(("http://", "https://")):
        return KubeTarget.url(wanted)
    if wanted in ("auto", "simulator"):
        raise BadTarget(
            "the simulator belongs to the embedded worker; start `python -m simulator` and set CMP_KUBERNETES to its "
            "address, or to a kubeconfig"
        )
    if not Path(wanted).is_file():
        raise BadTarget(f"CMP_KUBERNETES: {wanted} is not a file, and none of the words it could be")
    return KubeTarget.kubeconfig(wanted)


def sealer_of(settings: Settings) -> Sealer:
    """With the keys of CMP_SECRET_KEY; without it, on SQLite, with one that is kept in the data directory.

    Raises ValueError for a key that is none.
    """
    if settings.secret_key is not None:
        return Sealer(sealing.keys_of(settings.secret_key.get_secret_value()))
    if not settings.database().startswith("sqlite"):
        return Sealer()  # other processes on this database could not open what this one seals
    kept = settings.data_dir / "secret-key"
    if not kept.exists():
        with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(sealing.new_key() + "\n")
    return Sealer(sealing.keys_of(kept.read_text()))


async def work(settings: Settings) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    telemetry.level_by_signal(loop, settings.log_level)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    target, sealer = target_of(settings), sealer_of(settings)
    database = Database(settings.database(), pool_size=settings.database_pool, tls=settings.database_tls)
    await database.open()
    try:
        if not await _migrated(database, stop):
            return
        async with running(settings, database, target, sealer) as reconciler:
            print(f"CMP worker at work: database {database.describe()}", flush=True)
            ends = [asyncio.create_task(event.wait()) for event in (stop, reconciler.ended)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        if not stop.is_set():
            raise Unavailable("The reconciler ended by itself; the log says why.")
    finally:
        await database.close()


def main() -> None:
    settings = Settings()
    try:
        telemetry.start(settings, "cmp-worker")
        asyncio.run(work(settings))
    except (SqliteInUse, BadTarget, CmpError, ValueError) as error:
        sys.exit(f"The CMP worker cannot start: {error}")
    finally:
        telemetry.end()


async def _migrated(database: Database, stop: asyncio.Event) -> bool:
    """Waits for the schema, which the API process brings to where this code needs it. False when told to stop."""
    said = False
    while not stop.is_set():
        if await _at_head(database):
            return True
        if not said:
            print("Waiting for the database schema: the API process migrates it when it starts.", flush=True)
            said = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _SCHEMA_SECONDS)
    return False


async def _at_head(database: Database) -> bool:
    try:
        await database.ping()
        return await migrations.current(database) == migrations.head()
    except Unavailable:
        return False


if __name__ == "__main__":
    main()
