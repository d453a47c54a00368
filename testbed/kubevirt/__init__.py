"""A real KubeVirt on the real node: built here, deployed by its own operator, running virtual machines by emulation."""

from testbed.kubevirt.deployment import KubeVirt, running
from testbed.kubevirt.images import prepared as available

__all__ = ["KubeVirt", "available", "running"]
