"""Starts, readies and stops one real node. Never builds anything."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from testbed import Unavailable, build, packages
from testbed.node import cgroups, configuration, images
from testbed.processes import Process, Scratch, spawn

if TYPE_CHECKING:
    from testbed.kubernetes import ControlPlane

_ROOT = Path(__file__).parents[2]
_TIMEOUT = 60.0
_TOOLS = ("ip", "mount", "nsenter", "setpriv", "unshare")


def start(
    control_plane: "ControlPlane", name: str = "node", beside: "Node | None" = None, runc: Path | None = None
) -> "Node":
    """A node of that name which is Ready and takes Pods; stop it with `stop()` or use it as a context manager.

    The control plane was started with `real_node=True` and has no other, or only the one `beside`, to which a cable is
    laid. `runc` instead of Debian's runs the containers. Raises Unavailable, saying why, where no node can run: not
    root, kernel features missing, binaries not built; RuntimeError with a log's end when something fails.
    """
    node = Node(control_plane, name, available(), number=1 if beside is None else 2, runc=runc)
    try:
        node._start(beside)
    except BaseException:
        node.stop()
        raise
    return node


def available() -> Path:
    """The folder of the binaries. Raises Unavailable, saying why, where a node cannot run."""
    if os.getuid() != 0:
        raise Unavailable("a real node needs root: namespaces, mounts and cgroups are made for it")
    if lacking := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        raise Unavailable(f"a real node needs {', '.join(lacking)} (packages util-linux, iproute2)")
    if not cgroups.hierarchies():
        raise Unavailable("a real node needs cgroups, and none are mounted")
    tried = subprocess.run(
        ["unshare", "--mount", "--cgroup", "--net", "--pid", "--uts", "--ipc", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        raise Unavailable(f"a real node needs namespaces of its own: {tried.stderr.strip()}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise Unavailable("a real node needs overlayfs in the kernel")
    return build.directory(build.NODE)


class Node:
    """Its namespaces, and in them containerd, kubelet, kube-proxy, a registry and the relay to the API server."""

    def __init__(
        self, control_plane: "ControlPlane", name: str, binaries: Path, number: int = 1, runc: Path | None = None
    ) -> None:
        self.name = name
        self.address, self.pods = f"10.89.0.{number}", f"10.{84 + number}.0.0/16"
        self._tunnel = control_plane.tunnel
        self.control_plane = control_plane
        self._binaries = binaries
        self._runc = runc
        self._scratch = Scratch("node")
        self.directory = self._scratch.path
        self._processes: dict[str, Process] = {}
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0
        """Of the first process in the node's namespaces."""
        self._started = ""

    @property
    def runtime(self) -> str:
        """As the kubelet reports it, for example containerd://2.2.9."""
        return str(self._seen()["status"]["nodeInfo"]["containerRuntimeVersion"])

    def enter(self, *argv: str | Path) -> list[str | Path]:
        """The command line that runs `argv` as one of the node's daemons: in its namespaces and its cgroups."""
        join = 'for leaf in $CGROUPS; do echo $$ > "$leaf/cgroup.procs"; done; exec "$@"'
        leaves = " ".join(str(path) for path in self._leaves())
        entered = ["nsenter", f"--target={self.pid}", "--mount", "--cgroup", "--net", "--pid", "--uts", "--ipc", "--"]
        environment = ["env", f"PATH={self.directory / 'bin'}:{self._binaries}:{os.environ['PATH']}"]
        environment += [f"PYTHONPATH={_ROOT}", f"CGROUPS={leaves}"]
        return [*entered, *environment, "setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", join, "sh", *argv]

    def run(self, *argv: str | Path) -> str:
        """The output of a command run inside, such as ("nft", "list", "ruleset"). RuntimeError when it fails."""
        done = subprocess.run(self.enter(*argv), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr.strip()}")
        return done.stdout

    def signal(self, container: str, name: str) -> None:
        """Send SIGSTOP or another to a container's first process; the container as in a Pod's status."""
        containerd = ["ctr", "--address", configuration.CONTAINERD_SOCKET, "-n", "k8s.io"]
        self.run(*containerd, "tasks", "kill", "-s", name, container.removeprefix("containerd://"))

    def kill(self, daemon: str) -> None:
        """kill -9 of "kubelet", "containerd" or "kube-proxy"; containers go on without them."""
        self._processes[daemon].kill()

    def restart(self, daemon: str) -> None:
        """Start a killed daemon again where it was; a kubelet is Ready again afterwards."""
        starts = {"containerd": self._start_containerd, "kubelet": self._start_kubelet, "kube-proxy": self._start_proxy}
        starts[daemon]()

    def stop(self) -> None:
        """End it, with its containers, and remove what it wrote. The Node object stays, as when a machine is lost."""
        while self._processes:
            _, process = self._processes.popitem()
            process.kill()
        if self._keeper is not None:
            assert self._keeper.stdin
            assert self._keeper.stdout
            self._keeper.stdin.close()
            self._keeper.stdout.close()
            self._keeper.wait()
            self._keeper = None
        self._scratch.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, beside: "Node | None") -> None:
        images.write(self.directory / "images", self._binaries)
        self._install_tools()
        configuration.write(
            self.directory,
            binaries=self._binaries,
            runc=self.directory / "bin/runc",
            authority=self.control_plane.authority,
            kube_proxy=self.control_plane.client_kubeconfig("system:kube-proxy", "system:node-proxier"),
            pods=self.pods,
        )
        self._isolate()
        if self._runc:
            self._allow_users()
        if beside is not None:
            # The API server reaches everything through the first node.
            self._tunnel = self.directory / "tunnel.sock"
            self._lay_cable(beside)
        self._connect()
        self._start_containerd()
        self._start_proxy()
        if beside is None:
            self._publish_api_server()
        self._start_kubelet()

    def _allow_users(self) -> None:
        """For Pods with users of their own: kubelet's folder not on an overlay, whose owners cannot be mapped, and a
        /proc that nothing covers, without which the kernel lets no other be mounted.
        """
        (self.directory / "kubelet").mkdir()
        self.run("mkdir", "-p", "/var/lib/kubelet", "/run/proc")
        self.run("mount", "--bind", self.directory / "kubelet", "/var/lib/kubelet")
        self.run("mount", "-t", "proc", "proc", "/run/proc")

    def _lay_cable(self, other: "Node") -> None:
        """And the way to each other's Pods; it goes with either of the two."""
        ends = ("type", "veth", "peer", "name", "cable", "netns", str(other.pid))
        subprocess.run(["ip", "link", "add", "cable", "netns", str(self.pid), *ends], check=True)
        for near, far in ((self, other), (other, self)):
            near.run("ip", "link", "set", "cable", "up")
            near.run("ip", "route", "add", f"{far.address}/32", "dev", "cable", "src", near.address)
            near.run(
                "ip", "route", "add", far.pods, "via", far.address, "dev", "cable", "onlink", "src", near.address
            )  # fmt: skip

    def _install_tools(self) -> None:
        """runc and nft under their plain names, which is how containerd, kube-proxy and portmap call them."""
        folder = self.directory / "bin"
        folder.mkdir()
        runc = self._runc or packages.unpacked("runc") / "usr/sbin/runc"
        # It starts itself anew from /proc/self/exe, so no loader and no library path may stand before it.
        (folder / "runc").symlink_to(runc)
        nft = packages.command(packages.unpacked("nftables"), "usr/sbin/nft")
        (folder / "nft").write_text(f'#!/bin/sh\nexec {shlex.join(str(word) for word in nft)} "$@"\n')
        (folder / "nft").chmod(0o755)

    def _isolate(self) -> None:
        log = self.directory / "keeper.log"
        with log.open("wb") as errors:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "testbed.node.keeper", str(self.directory), self.name, self.address],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._keeper.stdout
        first = self._keeper.stdout.readline()
        if not first:
            raise Unavailable(f"no namespaces or cgroups for a real node: {log.read_text()[-500:]}")
        self.pid = int(first)

    def _connect(self) -> None:
        outside, port = self.directory / "api.sock", str(self.control_plane.port)
        out: list[str | Path] = [sys.executable, "-m", "testbed.node.relay", "out", outside, port]
        self._processes["relay"] = spawn("relay", ["env", f"PYTHONPATH={_ROOT}", *out], self.directory)
        self._spawn("relay-inside", sys.executable, "-m", "testbed.node.relay", "both", outside, port, self._tunnel)
        served = str(configuration.REGISTRY_PORT)
        self._spawn("registry", sys.executable, "-m", "testbed.node.registry", self.directory / "images", served)

    def _start_containerd(self) -> None:
        self._spawn("containerd", "containerd", "--config", self.directory / "containerd.toml")
        answers: list[str | Path] = [self._binaries / "ctr", "--address", configuration.CONTAINERD_SOCKET, "version"]
        self._processes["containerd"].wait_until(lambda: self._succeeds(*answers), _TIMEOUT)

    def _start_kubelet(self) -> None:
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._spawn(
            "kubelet",
            "kubelet",
            f"--kubeconfig={self.control_plane.client_kubeconfig(f'system:node:{self.name}', 'system:nodes')}",
            f"--config={self.directory / 'kubelet.json'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        )
        self._processes["kubelet"].wait_until(self._ready, _TIMEOUT)

    def _start_proxy(self) -> None:
        flags = (f"--config={self.directory / 'kube-proxy.json'}", f"--hostname-override={self.name}")
        self._spawn("kube-proxy", "kube-proxy", *flags)

    def _publish_api_server(self) -> None:
        """What is at the first address of the Services: inside this node, our relay."""
        metadata = {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}}
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": self.control_plane.port, "protocol": "TCP"}],
        }
        self.control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def _spawn(self, name: str, *argv: str | Path) -> None:
        self._processes[name] = spawn(name, self.enter(*argv), self.directory)

    def _succeeds(self, *argv: str | Path) -> bool:
        return subprocess.run(self.enter(*argv), capture_output=True, check=False).returncode == 0

    def _leaves(self) -> list[Path]:
        known = cgroups.hierarchies()
        top = Path("/sys/fs/cgroup")
        return [(top if each.v2 else top / each.mount.name) / cgroups.DAEMONS for each in known]

    def _ready(self) -> bool:
        """As this kubelet says: an earlier one of that name may have left its word behind."""
        with contextlib.suppress(RuntimeError):
            node = self._seen()
            said = {each["type"]: each for each in node["status"].get("conditions", [])}.get("Ready", {})
            fresh = said.get("lastHeartbeatTime", "") >= self._started
            ready = said.get("status") == "True" and fresh and not node["spec"].get("taints")
            return ready and self.control_plane.kubectl("get", "--raw", self._healthz) == "ok"
        return False

    @property
    def _healthz(self) -> str:
        return f"/api/v1/nodes/{self.name}/proxy/healthz"

    def _seen(self) -> Any:
        return json.loads(self.control_plane.kubectl("get", "node", self.name, "-o", "json"))
