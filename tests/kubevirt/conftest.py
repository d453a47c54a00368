"""What CMP sees of the real KubeVirt, and its ways into what runs there."""

import httpx
import pytest

from testbed.kubevirt import KubeVirt
from tests.e2e.kube_eyes import KubeEyes, on_control_plane
from tests.e2e.platform import Platform
from tests.e2e.sockets import Streams


@pytest.fixture(scope="module")
def eyes(virtual: KubeVirt) -> KubeEyes:
    return on_control_plane(virtual.node.control_plane)


@pytest.fixture(scope="module")
def streams(platform: Platform, ada: httpx.AsyncClient) -> Streams:
    return Streams(platform.url, ada.headers["Authorization"].removeprefix("Bearer "))
