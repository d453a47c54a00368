"""`python -m simulator`: one process that serves until SIGTERM or SIGINT.

The last line it prints at start is `simulator ready on http://HOST:PORT`.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path

import uvloop

from simulator.cluster import serve
from simulator.settings import NodeShape, Settings

PR_SET_PDEATHSIG = 1


def main() -> None:
    arguments = _arguments()
    if arguments.exit_with_parent:
        _exit_with_parent()
    # Objects are trees of dicts that live long and hold no cycles: looking through them often is wasted.
    gc.set_threshold(100_000, 50, 100)
    uvloop.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settings = _settings(arguments)
    async with serve(settings, arguments.host, arguments.port, arguments.state) as simulator:
        if arguments.kubeconfig:
            arguments.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
            arguments.kubeconfig.write_text(simulator.kubeconfig)
            print(f"kubeconfig written to {arguments.kubeconfig}")
        print(f"simulator ready on {simulator.url}", flush=True)
        await stop.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=sys.modules["simulator"].__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--state", "--data-file", type=Path, help="keep the objects in this file across restarts")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig for this server here")
    parser.add_argument("--nodes", type=int, default=Settings().nodes)
    parser.add_argument("--node-cpu", default=NodeShape().cpu)
    parser.add_argument("--node-memory", default=NodeShape().memory)
    parser.add_argument("--node-pods", type=int, default=NodeShape().pods)
    parser.add_argument("--seed", type=int, default=Settings().seed, help="for the jitter of delays")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast simulated delays pass")
    parser.add_argument("--no-node-agent", action="store_true", help="no Leases, frozen Pods are never suspended")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="any number of settings.py, e.g. start_delay=2",
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="die when the process that started this dies")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> Settings:
    shape = NodeShape(arguments.node_cpu, arguments.node_memory, arguments.node_pods)
    settings = Settings(
        nodes=arguments.nodes,
        node_shape=shape,
        seed=arguments.seed,
        speed=arguments.speed,
        node_agent=not arguments.no_node_agent,
    )
    numbers = {field.name for field in fields(Settings) if isinstance(getattr(settings, field.name), int | float)}
    for item in arguments.set:
        name, _, value = item.partition("=")
        if name not in numbers:
            raise SystemExit(f"--set {name}: no such number; there are {', '.join(sorted(numbers))}")
        settings = replace(settings, **{name: type(getattr(settings, name))(float(value))})
    return settings


def _exit_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent dies."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise SystemExit("the parent is gone already")


if __name__ == "__main__":
    main()
