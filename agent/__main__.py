"""python -m agent: as the DaemonSet of deploy/kubernetes/node-agent.yaml starts it."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from agent.agent import Agent
from agent.freezer import Freezer
from agent.kube import Kube

# Far longer than any turn of its loop takes: whoever hangs is ended, and started again by the kubelet.
_PATIENCE = 120


def main() -> None:
    parser = argparse.ArgumentParser(prog="agent", description="Suspends the containers of CMP on one node.")
    parser.add_argument("--node", default=os.environ.get("NODE_NAME"), help="this node's name; else from NODE_NAME")
    parser.add_argument("--cgroups", type=Path, default=Path("/host/cgroup"), help="the node's /sys/fs/cgroup")
    parser.add_argument(
        "--credentials",
        type=Path,
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount"),
        help="a folder with token, ca.crt and namespace",
    )
    chosen = parser.parse_args()
    if not chosen.node:
        parser.error("which node is this? Set NODE_NAME or --node")
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Process 1 of a container gets no signal that it has not asked for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
    freezer = Freezer(chosen.cgroups)
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    namespace = (chosen.credentials / "namespace").read_text().strip()
    agent = Agent(Kube(host, port, chosen.credentials), freezer, chosen.node, namespace)
    logging.getLogger("agent").info("on node %s, cgroups of version %d", chosen.node, freezer.version)
    agent.start()
    while True:
        signal.alarm(_PATIENCE)
        agent.step()


if __name__ == "__main__":
    main()
