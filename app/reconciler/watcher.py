"""From "something of this cluster changed in Kubernetes" to its key. What changed is not passed on: a hint says when to
look, never what to write.
"""

import uuid
from collections.abc import Callable

import structlog

from app.k8s_service import KubernetesService

log = structlog.get_logger(__name__)


def watch(service: KubernetesService, nudge: Callable[[uuid.UUID], None]) -> None:
    """From now on every change nudges its cluster."""

    def changed(label: str) -> None:
        try:
            cluster_id = uuid.UUID(label)
        except ValueError:
            log.debug("object with a cluster label that is no id", label=label)
            return
        nudge(cluster_id)

    service.on_change(changed)
