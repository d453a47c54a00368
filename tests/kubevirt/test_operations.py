"""The table of operations for VMs on the real KubeVirt: what holds them in each state is real as well."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from app.models import InstanceStatus as Is
from testbed.kubevirt import KubeVirt, guest, images
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.operations import LIMITS, Engine, differences
from tests.e2e.platform import Platform, user

pytestmark = [pytest.mark.kubevirt, pytest.mark.timeout(1200)]

RUNS = {"instance_type": "vm", "cpu_per_instance": "40m", "memory_per_instance": 128, "image": images.GUEST_DISK}
KERNEL = {
    "image": images.GUEST_KERNEL,
    "kernel_path": f"/{guest.KERNEL}",
    "initrd_path": f"/{guest.INITRD}",
    "kernel_args": f"{guest.CONSOLE} {guest.DEAF}",
}


async def test_every_operation_in_every_state(virtual: KubeVirt, platform: Platform, eyes: KubeEyes) -> None:
    """A pause goes through virt-handler: while that hangs, virt-api waits for it in vain."""

    @contextlib.contextmanager
    def hung() -> Iterator[None]:
        _signal_handler(virtual, "SIGSTOP")
        try:
            yield
        finally:
            _signal_handler(virtual, "SIGCONT")

    engine = Engine(eyes, RUNS, RUNS | {"vm": {"kernel_boot": KERNEL}}, {Is.SUSPENDING: hung})
    async with user(platform, "ada", **LIMITS) as ada:
        assert await differences(ada, engine) == []


def _signal_handler(virtual: KubeVirt, signal: str) -> None:
    found = virtual.node.control_plane.kubectl("get", "pods", "-A", "-l", "kubevirt.io=virt-handler", "-o", "json")
    (pod,) = json.loads(found)["items"]
    virtual.node.signal(pod["status"]["containerStatuses"][0]["containerID"], signal)
