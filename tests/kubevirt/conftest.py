"""What CMP sees of the real KubeVirt."""

import pytest

from testbed.kubevirt import KubeVirt
from tests.e2e.kube_eyes import KubeEyes, on_control_plane


@pytest.fixture(scope="module")
def eyes(virtual: KubeVirt) -> KubeEyes:
    return on_control_plane(virtual.node.control_plane)
