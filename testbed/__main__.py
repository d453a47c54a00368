"""`python -m testbed build | status | kubernetes up | node up | kubevirt up`: the real servers from a shell."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testbed import Unavailable, build, kubernetes, kubevirt, node


def main() -> int:
    commands = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    words = commands.add_subparsers(dest="word", required=True)
    making = words.add_parser("build", help="build the control plane's binaries where they are missing")
    making.add_argument(
        "more",
        nargs="?",
        choices=["node", "kubevirt", "collector"],
        help="also those of a real node, or KubeVirt's too; or no more than a collector of traces",
    )
    words.add_parser("status", help="what is there, what is missing and why")
    plane = words.add_parser("kubernetes", help="run a control plane in the foreground until Ctrl-C")
    plane.add_argument("up", choices=["up"])
    plane.add_argument("--nodes", type=int, default=3, help="how many nodes that pretend (default 3)")
    real = words.add_parser("node", help="run a control plane with one real node in the foreground until Ctrl-C")
    real.add_argument("up", choices=["up"])
    virt = words.add_parser("kubevirt", help="run a real node with KubeVirt in the foreground until Ctrl-C")
    virt.add_argument("up", choices=["up"])
    arguments = commands.parse_args()
    try:
        if arguments.word == "build":
            if arguments.more == "collector":
                print(build.build(build.COLLECTOR))
                return 0
            print(build.build())
            for suite in (build.HELM, build.COMPOSE):
                print(build.build(suite))
            if arguments.more is not None:
                for suite in (build.NODE, build.METRICS, build.POLICIES, build.RUNC):
                    print(build.build(suite))
            if arguments.more == "kubevirt":
                print(build.build(build.KUBEVIRT))
            return 0
        if arguments.word == "status":
            return _status(build.CONTROL_PLANE) | _status(build.NODE) | _status(build.KUBEVIRT)
        if arguments.word == "kubernetes":
            return _kubernetes_up(arguments.nodes)
        return _node_up() if arguments.word == "node" else _kubevirt_up()
    except Unavailable as reason:
        print(f"testbed: {reason}", file=sys.stderr)
        return 1


def _status(suite: build.Suite) -> int:
    folder = build.location(suite)
    lacking = build.missing(folder, suite)
    versions = {binary.name: binary.version for binary in suite.binaries}
    versions[build.CRDS] = build.pinned("kubevirt", "kubevirt.io/kubevirt")
    print(f"{suite.name}: {folder}")
    for name in suite.files:
        print(f"  {name:24} {versions[name]:10} {'missing' if name in lacking else 'ready'}")
    if not lacking:
        return 0
    build.go_environment()
    print(f"missing: run `{suite.command}` (about ten minutes on two cores, once)")
    return 1


def _kubernetes_up(nodes: int) -> int:
    with _until_interrupted(), kubernetes.start(nodes=nodes) as plane:
        _announce(plane, f"{nodes} nodes that pretend")
    return 0


def _node_up() -> int:
    with _until_interrupted(), kubernetes.start(real_node=True) as plane, node.start(plane) as real:
        _announce(plane, f"the real node {real.name} in {real.directory}")
    return 0


def _kubevirt_up() -> int:
    with _until_interrupted(), kubevirt.running() as deployed:
        real = deployed.node
        _announce(real.control_plane, f"KubeVirt {deployed.version} on the real node {real.name} in {real.directory}")
    return 0


@contextmanager
def _until_interrupted() -> Iterator[None]:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("stopped")


def _announce(plane: kubernetes.ControlPlane, with_what: str) -> None:
    print(f"Kubernetes {plane.api_version} at {plane.url} with {with_what}; Ctrl-C stops it")
    print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
