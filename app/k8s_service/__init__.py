"""What CMP does with Kubernetes, for the reconciler: the verbs, their failures, the registry of instance types.

`KubernetesService` is the only door; nothing above it knows that Kubernetes speaks HTTP.
"""

from app.instance_types.values import ClusterRef, InstanceDriver, InstanceSpec, Observed
from app.k8s_service.errors import ForeignNamespace, ForeignObject, NamespaceTerminating, Raced, Refused
from app.k8s_service.observation import ClusterObservation, NamespaceState, OwnedNamespace, OwnedObject
from app.k8s_service.reach import KubernetesReach
from app.k8s_service.service import INSTANCE_TYPES, KubernetesService
from app.k8s_service.tenancy import Isolation, Room
from app.kube.cache import Timing
from app.kube.client import Limits
from app.kube.credentials import KubeTarget
from app.kube.errors import BadTarget

__all__ = [
    "INSTANCE_TYPES",
    "BadTarget",
    "ClusterObservation",
    "ClusterRef",
    "ForeignNamespace",
    "ForeignObject",
    "InstanceDriver",
    "InstanceSpec",
    "Isolation",
    "KubeTarget",
    "KubernetesReach",
    "KubernetesService",
    "Limits",
    "NamespaceState",
    "NamespaceTerminating",
    "Observed",
    "OwnedNamespace",
    "OwnedObject",
    "Raced",
    "Refused",
    "Room",
    "Timing",
]
