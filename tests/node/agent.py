"""The node agent on the real node."""

import json
from typing import Any

from testbed.node import Node, images
from tests.e2e.platform import ROOT

MANIFEST = ROOT / "deploy/kubernetes/node-agent.yaml"


class Agent:
    """As an operator installs it: what deploy/ says, only the image has the name that it has here."""

    def __init__(self, node: Node) -> None:
        self._node = node
        text = MANIFEST.read_text()
        assert text.count("cmp-node-agent:0.1.0") == 1
        self.manifest = text.replace("cmp-node-agent:0.1.0", images.AGENT)

    def install(self) -> None:
        kubectl = self._node.control_plane.kubectl
        kubectl("apply", "-f", "-", stdin=self.manifest)
        kubectl("rollout", "status", "-n", "cmp-system", "daemonset/cmp-node-agent", "--timeout=60s")

    def remove(self) -> None:
        """Its Pods only: its last word, the Lease, stays."""
        self._node.control_plane.kubectl(
            "delete", "daemonset", "-n", "cmp-system", "cmp-node-agent", "--cascade=foreground", "--timeout=60s"
        )

    def pod(self) -> Any:
        said = self._node.control_plane.kubectl("get", "pods", "-n", "cmp-system", "-o", "json")
        return json.loads(said)["items"][0]

    def status(self) -> Any:
        return self.pod()["status"]["containerStatuses"][0]

    def log(self) -> str:
        return self._node.control_plane.kubectl("logs", "-n", "cmp-system", "daemonset/cmp-node-agent")

    def signal(self, name: str) -> None:
        self._node.signal(self.status()["containerID"], name)
