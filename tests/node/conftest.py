"""What CMP sees of the real node, and the node agent on it."""

from collections.abc import Iterator

import pytest

from testbed.node import Node
from tests.e2e.kube_eyes import KubeEyes, on_control_plane
from tests.node.agent import Agent


@pytest.fixture(scope="module")
def eyes(node: Node) -> KubeEyes:
    return on_control_plane(node.control_plane)


@pytest.fixture(scope="module")
def agent(node: Node) -> Iterator[Agent]:
    agent = Agent(node)
    agent.install()
    yield agent
    print(agent.log())
    node.control_plane.kubectl("delete", "-f", "-", "--timeout=60s", stdin=agent.manifest)
