"""What the node's daemons are told: containerd, CNI plug-ins, kubelet and kube-proxy. Writes files, starts nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed.node import images

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
REGISTRY_PORT = 5000
# Of all nodes together.
_POD_RANGE = "10.84.0.0/14"


def write(folder: Path, *, binaries: Path, runc: Path, authority: Path, kube_proxy: Path, pods: str) -> None:
    """Into `folder`: containerd.toml, kubelet.json, kube-proxy.json, cni/, registries/.

    `authority` signs whoever may ask the kubelet for logs; `kube_proxy` is the kubeconfig of that program; `pods` the
    range of this node's Pods.
    """
    _write_containerd(folder, binaries, runc)
    _write_network(folder / "cni", pods)
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(folder, authority)))
    (folder / "kube-proxy.json").write_text(json.dumps(_kube_proxy(kube_proxy)))


def _write_containerd(folder: Path, binaries: Path, runc: Path) -> None:
    registries = folder / "registries" / "_default"
    registries.mkdir(parents=True)
    ours = f"http://127.0.0.1:{REGISTRY_PORT}"
    (registries / "hosts.toml").write_text(f'server = "{ours}"\n[host."{ours}"]\ncapabilities = ["pull", "resolve"]\n')
    # JSON's strings are TOML's. Without CAP_SYS_RESOURCE no process may protect itself from the OOM killer any more.
    (folder / "containerd.toml").write_text(
        f"""
version = 3
root = {json.dumps(str(folder / "containerd"))}
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "docker.io/{images.PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = {json.dumps(str(folder / "registries"))}

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = {json.dumps(str(runc))}
SystemdCgroup = false
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{json.dumps(str(binaries))}]
conf_dir = {json.dumps(str(folder / "cni"))}
"""
    )


def _write_network(folder: Path, pods: str) -> None:
    folder.mkdir()
    addresses = {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": True}}
    network = {"cniVersion": "1.0.0", "name": "testbed", "plugins": [bridge, ports]}
    (folder / "10-testbed.conflist").write_text(json.dumps(network))


def _kubelet(folder: Path, authority: Path) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "resolvConf": "",
        # Nobody answers there; but without a domain to search, KubeVirt's DHCP has nothing valid to tell its guests.
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        # The disk is the machine's, and how full that is says nothing about this node.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "nodeStatusUpdateFrequency": "2s",
        # Kubernetes' own is 5 minutes: longer than any test waits.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "10s"},
    }


def _kube_proxy(kubeconfig: Path) -> Mapping[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": _POD_RANGE,
        # The machine's connection tracking is not ours to size.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }
