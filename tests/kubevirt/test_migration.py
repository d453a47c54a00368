"""A virtual machine that moves to another node while its guest runs on, on a real KubeVirt with two nodes."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from testbed import node as nodes
from testbed.kubevirt import KubeVirt, images
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import eventually
from tests.e2e.sockets import Streams
from tests.kubevirt.test_errands import _machine, _migratable, _nothing_left
from tests.kubevirt.test_virtual_machines import _delete, _made, _operate, _typed

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(600)]


@pytest.fixture
async def second(virtual: KubeVirt) -> AsyncIterator[nodes.Node]:
    """A node that joins while KubeVirt is up, and leaves again."""
    plane = virtual.node.control_plane
    with nodes.start(plane, "second", beside=virtual.node) as joined:
        images.lend(joined.directory / "images")

        async def takes_machines() -> bool:
            labels = json.loads(plane.kubectl("get", "node", "second", "-o", "json"))["metadata"]["labels"]
            return bool(labels.get("kubevirt.io/schedulable") == "true")

        await eventually(takes_machines, "KubeVirt takes the second node", 180)
        yield joined
    plane.kubectl("delete", "node", "second")


async def test_it_moves_and_its_guest_does_not_notice(
    ada: httpx.AsyncClient, streams: Streams, eyes: KubeEyes, second: nodes.Node
) -> None:
    cluster = await _made(ada, "moves")
    namespace, name = cluster["namespace"], "moves-instance-1"
    await _migratable(ada, name)
    before = _machine(eyes, namespace)
    await _typed(streams, name, "touch /run/mark")
    await _operate(ada, name, "migrate", "running")
    after = _machine(eyes, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["nodeName"] != before["status"]["nodeName"]

    async def followed() -> bool:
        found = (await ada.get(f"/instances/{name}")).json()
        return bool(found["node"] == after["status"]["nodeName"])

    await eventually(followed, "its new node is told", 30)
    assert "mark-is-there" in await _typed(streams, name, "[ -e /run/mark ] && echo mark-is''-there")
    assert (await ada.get(f"/instances/{name}/logs", params={"tail": 5})).status_code == 200
    await _nothing_left(eyes, namespace, launchers=2)
    await _operate(ada, name, "migrate", "running")
    assert _machine(eyes, namespace)["status"]["nodeName"] == before["status"]["nodeName"]
    await _delete(ada, eyes, cluster)
