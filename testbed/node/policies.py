"""kube-router's controller of NetworkPolicies on the real node, and nothing else of it: packets are really refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed import build, packages
from testbed.kubernetes.control_plane import SERVICE_RANGE
from testbed.node.node import Node
from testbed.processes import spawn

_NAME = "kube-router"
_TIMEOUT = 60.0
_READING = ["get", "list", "watch"]
_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["namespaces", "pods", "services", "nodes", "endpoints"], "verbs": _READING},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _READING},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READING},
]


@contextmanager
def enforced(node: Node) -> Iterator[str]:
    """Its version, once it has taken over; at the end every packet goes everywhere again. Raises Unavailable."""
    program = build.directory(build.POLICIES) / _NAME
    _install_tools(node.directory / "bin")
    kubeconfig = node.control_plane.service_account(_NAME, _RULES, "kube-system")
    flags = ["--run-router=false", "--run-service-proxy=false", "--run-firewall=true", f"--kubeconfig={kubeconfig}"]
    flags += [f"--hostname-override={node.name}", f"--service-cluster-ip-range={SERVICE_RANGE}", "--metrics-port=0"]
    process = spawn(_NAME, node.enter(program, *flags), node.directory)
    try:
        process.wait_until(lambda: "KUBE-ROUTER-FORWARD" in node.run("iptables-save"), _TIMEOUT, "in charge")
        yield build.POLICIES.binaries[0].version
    finally:
        process.kill()
        # Its own --cleanup-config forgets them. Nobody else here uses the older tables.
        for argv in (["iptables", "-F"], ["iptables", "-X"], ["ipset", "destroy"]):
            node.run(*argv)


def _install_tools(folder: Path) -> None:
    """iptables and ipset under the plain names by which kube-router calls them."""
    root = packages.unpacked("iptables", None, "ipset")
    plugins = next(root.glob("usr/lib/*-linux-gnu*/xtables"))
    legacy = "usr/sbin/xtables-legacy-multi"
    tools = {"ipset": ("usr/sbin/ipset", "")}
    tools |= {name: (legacy, name) for name in ("iptables", "iptables-save", "iptables-restore")}
    for name, (path, word) in tools.items():
        program = " ".join(str(each) for each in packages.command(root, path))
        (folder / name).write_text(f'#!/bin/sh\nexport XTABLES_LIBDIR={plugins}\nexec {program} {word} "$@"\n')
        (folder / name).chmod(0o755)
