"""Root in a container is nobody on its node where the node can do that, and where it cannot CMP says so."""

import json
from collections.abc import Iterator

import httpx
import pytest

from testbed import Unavailable, build, kubernetes
from testbed import node as nodes
from testbed.node import Node, images

pytestmark = pytest.mark.node

BODY = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 32, "image": images.WEB}
SCRATCH = {"volumes": [{"type": "empty", "name": "scratch", "mount_path": "/scratch"}]}


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """With a runc that can."""
    try:
        runc = build.directory(build.RUNC) / "runc"
        with kubernetes.start(real_node=True) as plane, nodes.start(plane, runc=runc) as started:
            yield started
    except Unavailable as reason:
        pytest.skip(str(reason))


async def test_root_inside_is_nobody_outside(ada: httpx.AsyncClient, node: Node) -> None:
    said = json.loads(node.control_plane.kubectl("get", "node", node.name, "-o", "json"))["status"]["runtimeHandlers"]
    assert all(handler["features"]["userNamespaces"] for handler in said), said
    made = await ada.post("/clusters/", params={"wait": 60}, json={"name": "own", "container": SCRATCH, **BODY})
    assert made.status_code == 201, made.text
    cluster = made.json()
    assert cluster["phase"] == "running", cluster
    pod = json.loads(
        node.control_plane.kubectl("get", "-n", cluster["namespace"], "pod", "own-instance-1", "-o", "json")
    )
    assert pod["spec"]["hostUsers"] is False

    def inside(*command: str) -> str:
        return node.control_plane.kubectl("exec", "-n", cluster["namespace"], "own-instance-1", "--", *command)

    assert inside("id", "-u").strip() == "0"
    inside_first, outside_first, count = inside("cat", "/proc/self/uid_map").split()
    assert inside_first == "0"
    assert int(outside_first) >= 65536, "not of the node's own users"
    assert int(count) == 65536
    inside("touch", "/scratch/file")
    assert (await ada.delete("/clusters/own", params={"wait": 60})).status_code == 202
