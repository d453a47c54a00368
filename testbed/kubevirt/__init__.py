"""A real KubeVirt on the real node: built here, deployed by its own operator, running virtual machines by emulation."""

from testbed.kubevirt.deployment import KubeVirt, start

__all__ = ["KubeVirt", "start"]
