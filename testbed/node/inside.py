"""Process 1 of a node's namespaces: makes the machine look like one of its own, says so, then only reaps.

Whatever the node writes outside of its folder goes to overlays in that folder, whatever it does to the network stays in
its network namespace, and the kernel's own settings are out of its reach.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from testbed.node import cgroups

ADDRESS = "10.89.0.1"
"""Of the first node."""
READY = "ready"
# https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables
_KUBELETS_WISHES = {
    "kernel/keys/root_maxbytes": 25_000_000,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}
_OVERLAID = ("/etc", "/opt", "/var")


def main() -> None:
    folder, name, address = Path(sys.argv[1]), *sys.argv[2:4]
    # Orphans become our children; ignored like this, the kernel buries them.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _run("mount", "--make-rshared", "/")
    _system_mounts()
    for path in _OVERLAID:
        _overlay(path, folder / "overlays")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _private_settings(folder / "settings")
    socket.sethostname(name)
    _network(address)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print(READY, flush=True)
    os.close(1)
    while True:
        signal.pause()


def _system_mounts() -> None:
    """/proc is the caller's business. What is mounted fresh shows these namespaces, not those of the machine."""
    known = cgroups.hierarchies()
    _run("mount", "-t", "sysfs", "sysfs", "/sys")
    if known[0].v2:
        _run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        return
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys/fs/cgroup")
    for hierarchy in known:
        target = Path("/sys/fs/cgroup") / hierarchy.mount.name
        target.mkdir()
        options = ",".join(sorted(f"name={o.removeprefix('name=')}" if "=" in o else o for o in hierarchy.options))
        # A hierarchy without a controller can only be mounted by its name.
        _run("mount", "-t", "cgroup", "-o", f"none,{options}" if "=" in options else options, "cgroup", str(target))


def _overlay(path: str, folder: Path) -> None:
    upper, work = folder / path.strip("/") / "upper", folder / path.strip("/") / "work"
    upper.mkdir(parents=True)
    work.mkdir()
    _run("mount", "-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "overlay", path)


def _private_settings(folder: Path) -> None:
    """Only this network's own may be written. What the kubelet would set on the whole machine looks set already."""
    folder.mkdir()
    for name, value in _KUBELETS_WISHES.items():
        pretended = folder / name.replace("/", ".")
        pretended.write_text(f"{value}\n")
        _run("mount", "--bind", str(pretended), f"/proc/sys/{name}")
    _run("mount", "--bind", "/proc/sys/net", "/proc/sys/net")
    _run("mount", "--rbind", "/proc/sys", "/proc/sys")
    _run("mount", "-o", "remount,bind,ro", "/proc/sys")


def _network(address: str) -> None:
    """An address on lo, and a default route to nowhere: Services are translated only in packets that have a route."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    _run("ip", "link", "add", "nowhere", "type", "veth", "peer", "name", "nobody")
    _run("ip", "link", "set", "nobody", "up")
    _run("ip", "link", "set", "nowhere", "up")
    _run("ip", "route", "add", "default", "dev", "nowhere", "src", address)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    bridged = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if bridged.exists():
        bridged.write_text("1")


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    main()
