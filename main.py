"""The front door: `python main.py` runs CMP, `create_app` is what an ASGI server loads.

Puts the parts together and opens them in order; decides nothing.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvloop
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app import migrations, telemetry, worker
from app.database import Session, SqliteInUse
from app.errors import CmpError
from app.k8s_service import BadTarget, KubernetesReach, KubeTarget
from app.routers import (
    access,
    audit,
    cluster_list,
    clusters,
    console,
    events,
    flavours,
    grants,
    health,
    identities,
    images,
    instances,
    keys,
    metrics,
    middleware,
    notifications,
    oauth,
    openapi,
    operations,
    parts,
    platform,
    policy,
    problems,
    reach,
    sign_ins,
    tokens,
    transfers,
    users,
)
from app.routers.deps import State
from app.routers.server import Server
from app.services import users as user_service
from app.settings import Settings
from app.store import platform as installation
from app.telemetry import traces

log = structlog.get_logger("cmp.main")

_DESCRIPTION = "Clusters of containers and virtual machines, for many tenants, each within an exact quota."
_API = "/api/v1"
_NOUNS = (
    cluster_list,
    clusters,
    instances,
    operations,
    users,
    tokens,
    events,
    flavours,
    images,
    policy,
    grants,
    transfers,
    audit,
    notifications,
    keys,
    platform,
)  # looked through in this order for every request
_BESIDE = (reach.router, tokens.of_users, transfers.of_clusters, identities.router, keys.of_secrets)


def create_app(settings: Settings | None = None) -> FastAPI:
    """An ASGI application; its lifespan opens the database, migrates, and starts the embedded worker."""
    settings = settings or Settings()
    if "*" in settings.cors_origins:
        raise SystemExit("CMP_CORS_ORIGINS: name the origins exactly; * would open the API to every page.")
    app = FastAPI(
        title="CMP",
        version=telemetry.VERSION,
        description=_DESCRIPTION,
        lifespan=running,
        redirect_slashes=False,
        telemetry=traces.OF_REQUESTS,
    )
    app.state.cmp = parts.of(settings)
    for router in (*(noun.router for noun in _NOUNS), *_BESIDE):
        app.include_router(router, prefix=_API)
    for noun in (oauth, sign_ins, health, metrics, console):
        app.include_router(noun.router)
    problems.install(app)
    openapi.install(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"],
            expose_headers=["ETag", "X-Request-ID", "Idempotency-Replayed", "Warning"],
        )
    prefixed = (*(noun.router for noun in _NOUNS), tokens.of_users)
    collections = [f"{_API}{router.prefix}/" for router in prefixed]
    app.add_middleware(
        middleware.Door,
        collections=collections,
        templates=access.templates(app.routes),
        max_body_bytes=settings.max_body_bytes,
        trusted_proxies=settings.trusted_proxies,
        throttle=app.state.cmp.gate.throttle,
        audit=app.state.cmp.audit,
    )
    return app


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Everything that must be open while requests are served, opened in order and closed in reverse."""
    state: State = app.state.cmp
    settings = state.settings
    async with contextlib.AsyncExitStack() as stack:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        await state.database.open()
        stack.push_async_callback(state.database.close)
        stack.push_async_callback(state.reads.close)
        await migrations.upgrade(state.database)
        await _first_start(state)
        state.sealer = state.access_tokens.sealer = state.audit.sealer = worker.sealer_of(settings)
        stack.callback(state.gate.passwords.close)
        stack.push_async_callback(state.gate.throttle.close)
        await state.broadcaster.open()
        await stack.enter_async_context(_task(state.broadcaster.run()))
        await stack.enter_async_context(_task(state.last_used.run()))
        await stack.enter_async_context(_task(state.audit.run()))
        stack.push_async_callback(state.streams.close)
        if settings.worker == "embedded":
            kubernetes = await stack.enter_async_context(_kubernetes(settings))
            reconciler = await stack.enter_async_context(
                worker.running(settings, state.database, kubernetes, state.sealer, on_commit=state.broadcaster.wake)
            )
            state.nudge = reconciler.nudge
            state.kubernetes = reconciler.kubernetes
            state.reach = await stack.enter_async_context(_reach(state, kubernetes))
        elif (workers := _target_of_the_workers(settings)) is not None:
            state.reach = await stack.enter_async_context(_reach(state, workers))
        yield


async def serve(settings: Settings) -> None:
    """Until SIGINT or SIGTERM."""
    listening = _listen(settings)
    app = create_app(settings)
    server = Server(app)
    loop = asyncio.get_running_loop()
    telemetry.level_by_signal(loop, settings.log_level)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    async with running(app):
        gc.freeze()  # what is here by now stays: full collections need not walk it, and answers wait less for them
        _say(settings, app.state.cmp, listening)
        await server.serve(sockets=[listening])


def main() -> None:
    settings = Settings()
    try:
        telemetry.start(settings, "cmp-api", settings.tls_certificate)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except (SqliteInUse, BadTarget, CmpError, _CannotStart, ValueError) as error:
        sys.exit(f"CMP cannot start: {error}")
    finally:
        telemetry.end()


class _CannotStart(RuntimeError):
    pass


def _target_of_the_workers(settings: Settings) -> KubeTarget | None:
    """The Kubernetes that workers of their own use, if this process is told of it too."""
    try:
        return worker.target_of(settings)
    except BadTarget as error:
        log.warning("instances.cannot_be_reached", why=str(error))
        return None


@asynccontextmanager
async def _reach(state: State, target: KubeTarget) -> AsyncIterator[KubernetesReach]:
    async with state.database.transaction() as session:
        installation_id = (await installation.ensure(session)).installation_id
    reached = await KubernetesReach.connect(target, installation_id=str(installation_id), version=telemetry.VERSION)
    try:
        yield reached
    finally:
        await reached.close()


async def _first_start(state: State) -> None:
    """The first administrator, made by one of however many processes start at the same time.

    Its token is on disk before the commit, or an administrator could be there whose token nobody has; it gets the name
    that people look for after the commit, so that `admin-token` never holds one that does not work.
    """
    kept = state.settings.data_dir / "admin-token"
    pending = kept.with_suffix(".new")

    async def once(session: Session) -> None:
        row = await installation.ensure(session)
        state.cursor_secret = bytes(row.cursor_secret)
        token = await user_service.first_administrator(session, users.default_quota(state.settings))
        if token is not None:
            _keep(pending, token)
            if kept.exists():
                kept.replace(kept.with_suffix(".earlier"))  # it belongs to another database
        elif pending.exists() and not await user_service.token_exists(session, pending.read_text().strip()):
            pending.unlink()

    await state.database.run(once)
    with contextlib.suppress(FileNotFoundError):  # another process with the same data directory was faster
        pending.replace(kept)


def _keep(path: Path, token: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())


@asynccontextmanager
async def _kubernetes(settings: Settings) -> AsyncIterator[KubeTarget]:
    """Which Kubernetes CMP_KUBERNETES means; starts the simulator when it means that."""
    if not _means_simulator(settings):
        yield worker.target_of(settings)
        return
    async with _simulator(settings.data_dir) as url:
        yield KubeTarget.url(url)


def _means_simulator(settings: Settings) -> bool:
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    return settings.kubernetes == "simulator" or (settings.kubernetes == "auto" and not in_cluster)


@asynccontextmanager
async def _simulator(data_dir: Path) -> AsyncIterator[str]:
    """The simulator as a process of its own; its objects are kept beside the database."""
    command = [sys.executable, "-m", "simulator", "--port", "0", "--state", str(data_dir / "simulator.json")]
    command += ["--kubeconfig", str(data_dir / "simulator.kubeconfig"), "--exit-with-parent"]
    # A session of its own: Ctrl-C reaches us first, and we stop it last.
    process = await asyncio.create_subprocess_exec(
        *command, cwd=Path(__file__).parent, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield await _ready_url(process.stdout)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready_url(output: asyncio.StreamReader) -> str:
    while line := await asyncio.wait_for(output.readline(), 30):
        _, found, url = line.decode().strip().partition("simulator ready on ")
        if found:
            return url
    raise _CannotStart("the Kubernetes simulator ended before it was ready")


@asynccontextmanager
async def _task(work: "asyncio._CoroutineLike[None]") -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _listen(settings: Settings) -> socket.socket:
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        raise _CannotStart(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}). Set CMP_HOST or CMP_PORT."
        ) from error
    # Connections inherit it. An answer is two writes, and the second would wait 40 ms for the first's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _say(settings: Settings, state: State, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    url = f"{'http' if settings.tls_certificate is None else 'https'}://{host}:{port}"
    token = settings.data_dir / "admin-token"
    lines = [
        f"CMP {telemetry.VERSION} serves {url}  (API description: {url}/docs)",
        f"  database    {state.database.describe()}",
        f"  kubernetes  {_kubernetes_words(settings, state.kubernetes)}",
        f"  worker      {settings.worker}",
    ]
    if token.exists():
        lines += [
            f"  admin token {token}",
            f'First request: curl -H "Authorization: Bearer $(cat {token})" {url}{_API}/users/me',
        ]
    print("\n".join(lines), flush=True)


def _kubernetes_words(settings: Settings, description: str) -> str:
    if settings.worker == "separate":
        return "left to the workers: python -m app.worker"
    if not _means_simulator(settings):
        return description
    return (
        "THE SIMULATOR: no container runs and no machine boots. Set CMP_KUBERNETES to use a real cluster.\n"
        f"              kubectl --kubeconfig {settings.data_dir / 'simulator.kubeconfig'} get pods -A"
    )


if __name__ == "__main__":
    main()
