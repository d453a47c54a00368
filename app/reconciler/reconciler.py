"""The whole of it in one process: the caches, the loop, the chores and the sign of life. Ends when it is cancelled."""

import asyncio
import os
import random
import socket
import uuid
from collections.abc import Awaitable, Callable

import structlog

from app.database import Database
from app.delivery import Mail, Webhooks
from app.delivery.mail import Server
from app.errors import CmpError
from app.k8s_service import KubernetesService
from app.reconciler import survey, sweeps
from app.reconciler.cluster import Visitor
from app.reconciler.loop import Loop
from app.reconciler.notifier import Notifier
from app.reconciler.watcher import watch
from app.rules.addresses import Fence
from app.rules.sealing import Sealer
from app.settings import Settings
from app.store import leases, notifications, workers
from app.telemetry import VERSION, metrics

log = structlog.get_logger(__name__)

_SYNC_SECONDS = 10.0
_BEAT_SECONDS = 10.0
_BEAT_IN_TROUBLE_SECONDS = 2.0
_ORPHAN_SECONDS = 60.0
_DRIFT_SECONDS = 300.0
_PRUNE_SECONDS = 3600.0
_THRESHOLD_SECONDS = 5.0
_CERTIFICATES_SECONDS = 600.0


class Reconciler:
    """`nudge` and `healthy` are for the process that embeds it; `ended` is set when it works no more."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        service: KubernetesService,
        installation_id: uuid.UUID,
        sealer: Sealer,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._service = service
        self._installation_id = installation_id
        self._worker_id = uuid.uuid4()
        self._kubernetes_error: str | None = None
        self.ended = asyncio.Event()
        self._visitor = Visitor(
            database,
            service,
            installation_id=installation_id,
            sealer=sealer,
            lease_seconds=settings.lease_seconds,
            sweep_seconds=settings.sweep_seconds,
            on_commit=on_commit,
        )
        self.loop = Loop(self._visitor, concurrency=settings.worker_concurrency)
        self._notifier = _notifier(settings, database, sealer)
        watch(service, self.loop.hint)

    def nudge(self, cluster_id: uuid.UUID) -> None:
        """A wish was committed: visit its cluster now. Costs nothing; call it from the event loop's own thread."""
        self.loop.nudge(cluster_id)

    def healthy(self) -> bool:
        return self.loop.healthy() and not self.ended.is_set()

    @property
    def kubernetes(self) -> str:
        """Which Kubernetes: where it is, or the kubeconfig's context."""
        return self._service.description

    @property
    def kubernetes_error(self) -> str | None:
        """Why Kubernetes cannot be reached at present, if so."""
        return self._kubernetes_error

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._service.run(), name="kubernetes caches")
                tasks.create_task(self._every(self._beat, self._beat_pause), name="heartbeat")
                tasks.create_task(self._every(self._survey, lambda: self._settings.metrics_seconds), name="survey")
                tasks.create_task(self._every(self._read_certificates, lambda: _CERTIFICATES_SECONDS), name="expiry")
                await self._forget_the_dead()
                tasks.create_task(self._notifier.run(), name="notifier")
                tasks.create_task(self._every(self._sweep_thresholds, lambda: _THRESHOLD_SECONDS), name="thresholds")
                await self._synced()
                tasks.create_task(self.loop.run(), name="reconciler loop")
                for chore, seconds in (
                    (self._sweep_abandoned, self._settings.lease_seconds / 2),
                    (self._sweep_orphans, _ORPHAN_SECONDS),
                    (self._sweep_quota, _DRIFT_SECONDS),
                    (self._prune, _PRUNE_SECONDS),
                ):
                    tasks.create_task(self._every(chore, _spread(seconds), first=_spread(seconds)), name=chore.__name__)
        except BaseExceptionGroup:
            log.critical("the reconciler ended", exc_info=True)
            raise
        finally:
            self.ended.set()
            await self._leave()

    async def _forget_the_dead(self) -> None:
        """An SQLite file belongs to this process alone, so whoever held its leases is dead."""
        if self._database.dialect != "sqlite":
            return
        try:
            await self._database.run(leases.forget_all)
            await self._database.run(notifications.all_forget)
        except Exception:
            log.warning("old leases are left to run out", exc_info=True)

    async def _synced(self) -> None:
        """Until Kubernetes was read once, or for a while: after that it is said to be away."""
        for _ in range(int(_SYNC_SECONDS / 0.05)):
            if self._service.synced():
                return
            await asyncio.sleep(0.05)

    async def _beat(self) -> None:
        try:
            await self._service.check()
            self._kubernetes_error = self._visitor.blind()
        except CmpError as error:
            self._kubernetes_error = error.message
        await self._database.run(
            lambda session: workers.beat(
                session,
                self._worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                kubernetes=self._service.description,
                kubernetes_error=self._kubernetes_error,
            )
        )
        if self._kubernetes_error is None:
            for cluster_id in self._visitor.unreached():
                self.loop.hint(cluster_id)

    def _beat_pause(self) -> float:
        return _BEAT_SECONDS if self._kubernetes_error is None else _BEAT_IN_TROUBLE_SECONDS

    async def _sweep_abandoned(self) -> None:
        if found := await sweeps.abandoned(self._database):
            log.info("clusters of a worker that died are taken over", clusters=found)

    async def _sweep_orphans(self) -> None:
        if self._visitor.blind() is None:
            await sweeps.orphans(
                self._database, self._service, str(self._installation_id), self._settings.orphan_grace_seconds
            )

    async def _sweep_quota(self) -> None:
        await sweeps.quota_drift(self._database)

    async def _sweep_thresholds(self) -> None:
        await sweeps.thresholds(self._database)

    async def _prune(self) -> None:
        await sweeps.prune(
            self._database,
            history_days=self._settings.history_days,
            audit_days=self._settings.audit_days,
            idempotency_hours=self._settings.idempotency_hours,
        )

    async def _survey(self) -> None:
        await survey.show(self._database, self._settings.metrics_accounts)

    async def _read_certificates(self) -> None:
        for name, ends in (await self._service.certificates()).items():
            metrics.CERTIFICATE_EXPIRY.labels(name).set(ends.timestamp())

    async def _every(
        self,
        chore: Callable[[], Awaitable[None]],
        seconds: Callable[[], float],
        *,
        first: Callable[[], float] = lambda: 0,
    ) -> None:
        await asyncio.sleep(first())
        while True:
            try:
                await chore()
            except Exception:
                self.loop.counts["chore_errors"] += 1
                metrics.RECONCILE_ERRORS.labels("chore").inc()
                log.warning("chore failed", chore=chore.__name__, exc_info=True)
            await asyncio.sleep(seconds())

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(3):
                await self._database.run(lambda session: workers.remove(session, self._worker_id))
        except Exception:
            log.info("the worker's row is left to the sweep", exc_info=True)


def _spread(seconds: float) -> Callable[[], float]:
    return lambda: seconds * random.uniform(0.5, 1.5)  # noqa: S311


def _notifier(settings: Settings, database: Database, sealer: Sealer) -> Notifier:
    seconds = settings.notification_seconds
    fence = Fence(settings.egress_except, settings.webhook_cidrs)
    webhooks = Webhooks(fence, http=settings.webhook_http, seconds=seconds, version=VERSION)
    password = settings.smtp_password.get_secret_value() if settings.smtp_password is not None else None
    server = settings.smtp_host and Server(
        settings.smtp_host, settings.smtp_port, settings.smtp_tls, settings.smtp_user, password, settings.smtp_from,
        seconds,
    )  # fmt: skip
    return Notifier(
        database,
        webhooks,
        Mail(server or None),
        sealer,
        seconds=seconds,
        first_pause=settings.notification_retry_seconds,
    )
