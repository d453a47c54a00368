"""Everything put together: one simulated cluster and the server that answers for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from simulator import persistence, world
from simulator.admin import Admin
from simulator.api import Api
from simulator.claims import Claims
from simulator.faults import Faults
from simulator.garbage import GarbageCollector
from simulator.journal import Journal
from simulator.kubelet import Kubelet
from simulator.kubevirt_subresources import KubevirtSubresources
from simulator.migrations import Migrations
from simulator.namespaces import NamespaceController
from simulator.node_agent import NodeAgent
from simulator.nodes import Nodes
from simulator.pod_subresources import PodSubresources
from simulator.resizes import Resizes
from simulator.resources import KUBEVIRTS, NAMESPACES
from simulator.scheduler import Scheduler
from simulator.server import TRANSPORT, Application
from simulator.settings import Settings
from simulator.streams import Streams
from simulator.virtual_machine_instances import VirtualMachineInstances
from simulator.virtual_machines import VirtualMachines
from simulator.watch import Watches
from simulator.world import World

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "kubevirt")


@dataclass(slots=True)
class Simulator:
    """A running simulator. `url` is its address without a trailing slash."""

    url: str
    world: World
    faults: Faults
    journal: Journal
    nodes: Nodes
    watches: Watches

    @property
    def kubeconfig(self) -> str:
        return (
            "apiVersion: v1\nkind: Config\ncurrent-context: simulator\n"
            f"clusters:\n- name: simulator\n  cluster:\n    server: {self.url}\n"
            "contexts:\n- name: simulator\n  context:\n    cluster: simulator\n    user: simulator\n"
            "users:\n- name: simulator\n  user: {}\n"
        )


@contextlib.asynccontextmanager
async def serve(
    settings: Settings | None = None, host: str = "127.0.0.1", port: int = 0, state: Path | None = None
) -> AsyncIterator[Simulator]:
    """Serve until the block ends. With `state`, starts from what was saved there and saves there."""
    settings = settings or Settings()
    cluster = _Cluster(world.build(settings))
    made = cluster.world
    cluster.begin(state)
    server = _Server(_configuration(cluster.application, host, port))
    serving = asyncio.create_task(server.serve())
    tasks = [asyncio.create_task(made.clock.run())]
    if state is not None:
        tasks.append(asyncio.create_task(persistence.save_regularly(made.store, state, settings.save_interval)))
    try:
        await _started(server, serving)
        url = f"http://{host}:{server.port}"
        yield Simulator(url, made, cluster.faults, cluster.journal, cluster.nodes, cluster.watches)
    finally:
        cluster.watches.close_all()
        cluster.streams.close_all()
        server.should_exit = True
        await serving
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if state is not None:
            persistence.write(persistence.encode(made.store), state)


class _Protocol(HttpToolsProtocol):
    """Tells the application which connection a request came by, so that faults can break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[TRANSPORT] = self.transport


class _WebSocket(WebSocketsSansIOProtocol):
    """uvicorn takes an HTTP answer to a handshake for none, and would complain."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True


class _Server(uvicorn.Server):
    """Leaves signals to the caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])


class _Cluster:
    """The parts, wired to one world."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.nodes = Nodes(made)
        scheduler = Scheduler(made)
        self._agent = NodeAgent(made, self.nodes)
        self._controllers = (
            NamespaceController(made),
            GarbageCollector(made),
            scheduler,
            Kubelet(made, self.nodes),
            Resizes(made, self.nodes, scheduler),
            Claims(made),
            VirtualMachines(made),
            VirtualMachineInstances(made),
            Migrations(made),
        )
        pods = PodSubresources(made, made.deletes, scheduler)
        self.faults, self.journal = Faults(), Journal(made.settings.journal_kept)
        self.watches = Watches(made.store, made.settings)
        admin = Admin(made, self.faults, self.journal, self.nodes, self.watches, pods)
        self.streams = Streams(made)
        answers = Api(made, pods, KubevirtSubresources(made, self.streams))
        self.application = Application(
            made, answers, self.watches, self.faults, self.journal, admin, pods, self.streams
        )

    def begin(self, state: Path | None) -> None:
        """Load what was saved, make what a cluster always has, and take up what was under way."""
        if state is not None:
            persistence.load(self.world.store, state)
        self.nodes.populate()
        for name in SYSTEM_NAMESPACES:
            if self.world.store.get(NAMESPACES, ("", name)) is None:
                self.world.create(NAMESPACES, {"metadata": {"name": name}}, "kube-apiserver")
        if self.world.store.get(KUBEVIRTS, ("kubevirt", "kubevirt")) is None:
            metadata = {"name": "kubevirt", "namespace": "kubevirt"}
            made = self.world.create(KUBEVIRTS, {"metadata": metadata, "spec": {}}, "virt-operator")
            self.world.set_status(made, phase="Deployed", observedKubeVirtVersion="v1.9.0")
        for controller in self._controllers:
            controller.resume()
        self._agent.start()


def _configuration(application: Application, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        http=_Protocol,
        ws=_WebSocket,
        ws_per_message_deflate=False,
        ws_ping_timeout=None,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=4096,
    )


async def _started(server: _Server, serving: "asyncio.Task[None]") -> None:
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the simulator could not start to listen")
        await asyncio.sleep(0.01)
