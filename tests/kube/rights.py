"""CMP on a real control plane as its own account: with its rights, and inside its fence."""

from app.k8s_service import KubeTarget
from testbed.kubernetes import ControlPlane
from tests.e2e.kube_eyes import account


def with_our_rights(plane: ControlPlane) -> KubeTarget:
    return KubeTarget.kubeconfig(account(plane))
