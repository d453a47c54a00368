"""Starts, readies and stops one control plane, and the kubeconfigs to reach it with. Never builds anything."""

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from testbed import build
from testbed.kubernetes.api import Api, Refused
from testbed.kubernetes.certificates import Authority, signing_keys
from testbed.kubernetes.virt_controller import VirtController
from testbed.processes import Process, Scratch, free_port, spawn

_HOST = "127.0.0.1"
_TIMEOUT = 120.0
_STAGES = Path(__file__).with_name("stages.yaml")
SERVICE_RANGE = "10.96.0.0/16"
_ISSUER = "https://kubernetes.default.svc"
# All that goes on from one control plane to the next: what etcd holds, and the keys that this depends on.
_STATE = ("etcd", "ca.crt", "ca.key", "service-accounts.pub", "service-accounts.key", "front-proxy")


def start(
    *,
    nodes: int = 3,
    node_cpu: str = "64",
    node_memory: str = "256Gi",
    node_pods: int = 2000,
    virtual_machines: bool = True,
    real_node: bool = False,
    state: Path | None = None,
) -> "ControlPlane":
    """A control plane that is ready for work; stop it with `stop()` or use it as a context manager.

    Ready is: the API server says so, its OpenAPI document parses, Pods are admitted, KubeVirt's CRDs are established
    (unless `virtual_machines` is False) and all nodes are Ready, each with `node_cpu` and `node_memory`, which are
    Kubernetes quantities. With `real_node` nothing pretends: no nodes and no kwok, whatever the other arguments say,
    but a way to the one node that `testbed.node.start` adds. With `state`, a file that `save` wrote, all objects are
    there that were there then, but nodes, Pods and Leases: nothing runs any more.
    Raises Unavailable when the binaries are not built, RuntimeError with the logs' ends when something does not start.
    """
    plane = ControlPlane(build.directory(), real_node, state)
    if real_node:
        nodes, virtual_machines = 0, False
    try:
        plane._start(virtual_machines)
        if state is not None:
            plane._forget_what_ran()
        for number in range(nodes):
            plane._create_node(f"node-{number}", {"cpu": node_cpu, "memory": node_memory, "pods": str(node_pods)})
        plane._wait("all nodes are Ready", lambda: plane._ready_nodes() == nodes)
        plane._wait("Pods are admitted", lambda: plane._exists("/api/v1/namespaces/default/serviceaccounts/default"))
    except BaseException:
        plane.stop()
        raise
    return plane


class ControlPlane:
    """etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, all ours."""

    def __init__(self, binaries: Path, real_node: bool = False, state: Path | None = None) -> None:
        self._binaries = binaries
        self._real_node = real_node
        self._scratch = Scratch("kubernetes")
        self.directory = self._scratch.path
        if state is not None:
            with tarfile.open(state) as kept:
                kept.extractall(self.directory, filter="data")
        self._processes: dict[str, Process] = {}
        self._etcd = f"http://{_HOST}:{free_port()}"
        self._authority = Authority(self.directory)
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        self._serving = self._authority.server("kube-apiserver", names, [_HOST, "10.96.0.1"])
        self.authority = self._authority.certificate
        self.tunnel = self.directory / "tunnel.sock"
        """Where the API server asks a real node to connect it to an address of the node's network (HTTP CONNECT)."""
        self._token_keys = signing_keys(self.directory, "service-accounts")
        administrator = self._authority.client("admin", "system:masters")
        self.port = free_port()
        self.url = f"https://{_HOST}:{self.port}"
        self._api = Api(self.url, self._authority.certificate, *administrator)
        certificate, key = administrator
        user = {"client-certificate": str(certificate), "client-key": str(key)}
        self.kubeconfig = self._write_kubeconfig("admin", user)
        self.api_version = ""
        self._virt_controller: VirtController | None = None

    @property
    def pids(self) -> Mapping[str, int]:
        return {name: process.pid for name, process in self._processes.items() if process.running}

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Its output; as administrator unless told otherwise. RuntimeError with its complaint when it fails."""
        done = subprocess.run(
            [self._binaries / "kubectl", "--cache-dir", self.directory / "kubectl-cache", *arguments],
            env={**os.environ, "KUBECONFIG": str(kubeconfig or self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def service_account(self, name: str, rules: Sequence[Mapping[str, Any]], namespace: str = "default") -> Path:
        """A kubeconfig for a ServiceAccount that may do, in all namespaces, exactly what the RBAC `rules` say.

        It is made when missing; one of that name that was made here before has these rules from now on.

        `rules` as in a ClusterRole, for example [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}].
        The token is good for a day.
        """
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        may = {**rbac, "kind": "ClusterRole", "rules": list(rules)}
        binding = {**rbac, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
        items = {"apiVersion": "v1", "kind": "List", "items": [account, may, binding]}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self._api.post(path, {"spec": {"expirationSeconds": 86_400}})
        return self._write_kubeconfig(name, {"token": token["status"]["token"]})

    def client_kubeconfig(self, name: str, group: str) -> Path:
        """A kubeconfig for user `name` of `group`, who proves it with a certificate."""
        certificate, key = self._authority.client(name, group)
        return self._write_kubeconfig(name, {"client-certificate": str(certificate), "client-key": str(key)})

    def save(self, target: Path) -> None:
        """For `start(state=…)`. The file holds keys: it is readable for its owner only."""
        target.touch(mode=0o600)
        etcd = self._processes["etcd"].pid
        # As after kill -9, from which etcd recovers: whatever it has written is in these files.
        os.kill(etcd, signal.SIGSTOP)
        try:
            with tarfile.open(target, "w:gz", compresslevel=1) as kept:
                for name in filter(lambda name: (self.directory / name).exists(), _STATE):
                    kept.add(self.directory / name, name)
        finally:
            os.kill(etcd, signal.SIGCONT)

    def kill_api_server(self) -> None:
        """kill -9; everything else goes on without it."""
        self._processes["kube-apiserver"].kill()

    def start_api_server(self) -> None:
        """Start it again where it was, and wait until it is ready."""
        self._spawn_api_server()
        self._wait("the API server is ready", self._answers)

    def stop(self) -> None:
        """End what was started, in reverse, and remove the directory."""
        if self._virt_controller is not None:
            self._virt_controller.stop()
        while self._processes:
            _, process = self._processes.popitem()
            # Nothing is kept, so nobody needs the time to end in good order.
            process.kill()
        self._scratch.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, virtual_machines: bool) -> None:
        self._spawn_etcd()
        self.start_api_server()
        self._check_openapi()
        self.api_version = self._api.get("/version")["gitVersion"]
        self._spawn_controllers()
        if virtual_machines:
            self._install_crds()
        if not self._real_node:
            self._spawn("kwok", "--kubeconfig", self.kubeconfig, "--config", self._stages(virtual_machines))
        if virtual_machines:
            self._virt_controller = VirtController(self._api, "node-0")
            self._virt_controller.start()

    def _forget_what_ran(self) -> None:
        """What comes to run in its place is not taken for it."""
        everything = ("--all", "--all-namespaces", "--wait=false")
        self.kubectl("delete", "nodes", "--all", "--wait=false")
        self.kubectl("delete", "pods", *everything, "--force", "--grace-period=0")
        self.kubectl("delete", "leases", *everything)

    def _spawn(self, name: str, *flags: str | Path) -> None:
        self._processes[name] = spawn(name, [self._binaries / name, *flags], self.directory)

    def _spawn_etcd(self) -> None:
        peer = f"http://{_HOST}:{free_port()}"
        self._spawn(
            "etcd",
            "--unsafe-no-fsync",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
        )

    def _spawn_api_server(self) -> None:
        certificate, key = self._serving
        public, private = self._token_keys
        self._spawn(
            "kube-apiserver",
            f"--etcd-servers={self._etcd}",
            f"--bind-address={_HOST}",
            f"--secure-port={self.port}",
            # Its own Service needs no endpoints: nothing runs inside this cluster.
            f"--advertise-address={_HOST}",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self._authority.certificate}",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            *(self._node_flags() if self._real_node else ()),
        )

    def _node_flags(self) -> Sequence[str]:
        """How the API server reaches, and proves itself to, a kubelet in a network of its own."""
        certificate, key = self._authority.client("kube-apiserver-kubelet-client", "system:masters")
        transport = {"uds": {"udsName": str(self.tunnel)}}
        connection = {"proxyProtocol": "HTTPConnect", "transport": transport}
        selection = self.directory / "egress.json"
        selection.write_text(
            json.dumps(
                {
                    "apiVersion": "apiserver.k8s.io/v1beta1",
                    "kind": "EgressSelectorConfiguration",
                    "egressSelections": [{"name": "cluster", "connection": connection}],
                }
            )
        )
        return (
            *self._aggregation_flags(),
            f"--kubelet-client-certificate={certificate}",
            f"--kubelet-client-key={key}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--egress-selector-config-file={selection}",
        )

    def _aggregation_flags(self) -> Sequence[str]:
        """How the API server proves itself, and whom it speaks for, to API servers that run as Pods."""
        folder = self.directory / "front-proxy"
        folder.mkdir(exist_ok=True)
        authority = Authority(folder)
        certificate, key = authority.client("front-proxy-client", "front-proxy")
        return (
            f"--requestheader-client-ca-file={authority.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={certificate}",
            f"--proxy-client-key-file={key}",
            "--enable-aggregator-routing=true",
        )

    def _spawn_controllers(self) -> None:
        pace = ("--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000", "--secure-port=0")
        self._spawn(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self._token_keys[1]}",
            f"--root-ca-file={self._authority.certificate}",
            "--concurrent-namespace-syncs=20",
            *pace,
        )
        self._spawn("kube-scheduler", f"--kubeconfig={self.kubeconfig}", *pace)

    def _check_openapi(self) -> None:
        """An API server built with the wrong Go is ready and yet serves this document malformed."""
        document = self._api.get("/openapi/v2")
        if "io.k8s.api.core.v1.Pod" not in document["definitions"]:
            raise RuntimeError("/openapi/v2 does not describe Pods: the API server was built wrongly")

    def _install_crds(self) -> None:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        crds = json.loads((self._binaries / build.CRDS).read_text())["items"]
        for crd in crds:
            self._api.post(path, crd)
        wanted = {crd["metadata"]["name"] for crd in crds}
        self._wait("KubeVirt's CRDs are established", lambda: wanted <= _established(self._api.get(path)["items"]))

    def _stages(self, virtual_machines: bool) -> Path:
        """Our stages; without those of kinds that this control plane does not have."""
        documents = _STAGES.read_text().split("\n---\n")
        kept = [text for text in documents if virtual_machines or "kind: VirtualMachine}" not in text]
        path = self.directory / "stages.yaml"
        path.write_text("\n---\n".join(kept))
        return path

    def _create_node(self, name: str, resources: Mapping[str, str]) -> None:
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        information = {"kubeletVersion": self.api_version, "operatingSystem": "linux", "architecture": "amd64"}
        blank = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion")
        status = {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": _HOST}, {"type": "Hostname", "address": name}],
            "nodeInfo": {**information, **dict.fromkeys((*blank, "kubeProxyVersion"), "")},
        }
        self._api.post("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}, "status": status})

    def _ready_nodes(self) -> int:
        """Ready, and open to Pods: the controllers take their "not ready" taint away a moment later."""
        nodes = self._api.get("/api/v1/nodes")["items"]
        return sum(_is(node, "Ready") and not node["spec"].get("taints") for node in nodes)

    def _answers(self) -> bool:
        try:
            return self._api.call("GET", "/readyz") == b"ok"
        except (OSError, Refused):
            return False

    def _exists(self, path: str) -> bool:
        try:
            self._api.get(path)
        except Refused as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        """Until `done`; RuntimeError with the logs' ends after a while, or when a process of ours has ended."""
        deadline = time.monotonic() + _TIMEOUT
        while not done():
            dead = [name for name, process in self._processes.items() if not process.running]
            if dead or time.monotonic() > deadline:
                why = f"{' and '.join(dead)} ended" if dead else f"not within {_TIMEOUT:.0f} s"
                tails = "\n".join(process.tail() for process in self._processes.values())
                raise RuntimeError(f"waiting until {what}: {why}\n{tails}")
            time.sleep(0.1)

    def _write_kubeconfig(self, name: str, user: Mapping[str, str]) -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self._authority.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": name}}],
            "current-context": "testbed",
        }
        path = self.directory / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))
        return path


def _established(crds: Sequence[Mapping[str, Any]]) -> set[str]:
    return {crd["metadata"]["name"] for crd in crds if _is(crd, "Established")}


def _is(thing: Mapping[str, Any], condition: str) -> bool:
    found = thing.get("status", {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in found)
