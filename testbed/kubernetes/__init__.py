"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler, and nodes that pretend (kwok).

No container and no virtual machine really runs: kwok plays the kubelet and KubeVirt's controllers, as far as
`stages.yaml` says.
"""

from testbed.kubernetes.control_plane import ControlPlane, start

__all__ = ["ControlPlane", "start"]
