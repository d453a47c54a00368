"""A real node beside the control plane: containerd, kubelet and kube-proxy in namespaces and cgroups of their own.

Containers really run. Nothing of it touches the machine's network, settings or folders, and all of it goes with the
process that started it, however that ends. `images` says what can be run without any registry.
"""

from testbed.node.node import Node, available, start

__all__ = ["Node", "available", "start"]
