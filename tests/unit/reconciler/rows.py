"""Rows, observations and pictures for deciding about, without a database."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.k8s_service import NamespaceState, Observed
from app.models import (
    Cluster,
    ClusterPhase,
    Instance,
    InstanceStatus,
    InstanceType,
    Operation,
    OperationKind,
    OperationStatus,
    Wanted,
)
from app.reconciler.decide import Outcome, Picture

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OURS = NamespaceState("ns-1")


def cluster(**more: Any) -> Cluster:
    values: dict[str, Any] = {
        "id": uuid.uuid4(), "name": "web", "namespace": "web-ns", "namespace_uid": "ns-1", "instance_type": "container",
        "cpu_per_inst": 100, "memory_per_inst": 64, "instance_count": 1, "image": "nginx", "labels": {},
        "flavour": None, "image_name": None, "spec": {}, "secrets": None, "revision": 1, "max_unavailable": 1,
        "owner_id": uuid.uuid4(), "phase": ClusterPhase.RUNNING, "reason": None, "message": None, "ready_instances": 0,
        "version": 1, "created_at": NOW, "updated_at": NOW, "due_at": NOW, "attempts": 0,
    }  # fmt: skip
    return Cluster(**values | more)


def instance(of: Cluster, ordinal: int = 1, **more: Any) -> Instance:
    values: dict[str, Any] = {
        "id": uuid.uuid4(), "cluster_id": of.id, "ordinal": ordinal, "instance_name": f"web-instance-{ordinal}",
        "k8s_resource": "pods/x", "wanted": Wanted.RUNNING, "incarnation": 1, "status": InstanceStatus.RUNNING,
        "reason": None, "message": None, "waiting_since": None, "suspend": None, "node": None, "ip": None,
        "restarts": 0, "grace": None, "cpu": of.cpu_per_inst, "memory": of.memory_per_inst, "revision": None,
        "restart_required": False, "migratable": False, "unmigratable": None, "guest": None,
        "version": 1, "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return Instance(**values | more)


def operation(of: Cluster, kind: OperationKind, about: Instance | None = None, **more: Any) -> Operation:
    values: dict[str, Any] = {
        "id": uuid.uuid4(), "kind": kind, "status": OperationStatus.RUNNING, "owner_id": of.owner_id,
        "actor_id": of.owner_id, "actor": "ann", "cluster_id": of.id, "cluster_name": of.name,
        "instance_id": about.id if about else None, "instance_name": about.instance_name if about else None,
        "done": 0, "total": 1, "incarnation": None, "reason": None, "message": None, "request_id": "r",
        "created_at": NOW, "updated_at": NOW, "finished_at": None,
    }  # fmt: skip
    return Operation(**values | more)


def seen(status: InstanceStatus = InstanceStatus.RUNNING, **more: Any) -> Observed:
    return Observed(status, **{"uid": "u-1", "incarnation": 1, "suspend": "freeze", **more})


def picture(
    of: Cluster,
    instances: Sequence[Instance] = (),
    observed: Sequence[Observed | None] = (),
    operations: Sequence[Operation] = (),
    **more: Any,
) -> Picture:
    by_id = {i.id: o for i, o in zip(instances, observed, strict=False) if o is not None}
    kept = of.instance_type == InstanceType.VM
    values: dict[str, Any] = {"namespace": OURS, "kept_when_stopped": kept}
    return Picture(cluster=of, instances=instances, operations=operations, seen=by_id, **values | more)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


NOTHING = Outcome()
