"""`python -m testbed build | status | kubernetes up`: the real servers from the command line."""

import argparse
import signal
import sys

from testbed import Unavailable, build, kubernetes


def main() -> int:
    commands = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    words = commands.add_subparsers(dest="word", required=True)
    words.add_parser("build", help="build the control plane's binaries where they are missing")
    words.add_parser("status", help="what is there, what is missing and why")
    plane = words.add_parser("kubernetes", help="run a control plane in the foreground until Ctrl-C")
    plane.add_argument("up", choices=["up"])
    plane.add_argument("--nodes", type=int, default=3, help="how many nodes that pretend (default 3)")
    arguments = commands.parse_args()
    try:
        if arguments.word == "build":
            print(build.build())
            return 0
        return _status() if arguments.word == "status" else _up(arguments.nodes)
    except Unavailable as reason:
        print(f"testbed: {reason}", file=sys.stderr)
        return 1


def _status() -> int:
    folder = build.location()
    lacking = build.missing(folder)
    versions = {binary.name: binary.version for binary in build.BINARIES}
    versions[build.CRDS] = build.pinned("kubevirt", "kubevirt.io/kubevirt")
    print(folder)
    for name in build.FILES:
        print(f"  {name:24} {versions[name]:10} {'missing' if name in lacking else 'ready'}")
    if not lacking:
        return 0
    build.go_environment()
    print("missing: run `python -m testbed build` (about ten minutes on two cores, once)")
    return 1


def _up(nodes: int) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with kubernetes.start(nodes=nodes) as plane:
            print(f"Kubernetes {plane.api_version} at {plane.url} with {nodes} nodes that pretend; Ctrl-C stops it")
            print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
