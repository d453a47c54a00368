"""From rows to what the schemas promise, as plain values ready for JSON."""

from collections.abc import Mapping
from typing import Any

from app.models import Cluster, ClusterPhase, Flavour, Image, Instance, InstanceType, Operation, Platform, User, Worker
from app.rules import lifecycle, naming, reach, units
from app.rules.access import Access, Permission, Viewer, allowed_actions
from app.rules.quota import DIMENSIONS, Account, Amounts, account_of
from app.schemas.clusters import DEFAULTS, SETTINGS
from app.services.clusters import ClusterView

_AS_THEY_ARE = (
    "id",
    "name",
    "namespace",
    "instance_type",
    "instance_count",
    "ready_instances",
    "image",
    "image_name",
    "flavour",
    "labels",
    "max_unavailable",
    "phase",
    "reason",
    "message",
    "created_at",
    "updated_at",
)
_OPERATION = (
    "id",
    "kind",
    "status",
    "actor",
    "cluster_id",
    "cluster_name",
    "instance_id",
    "instance_name",
    "done",
    "total",
    "reason",
    "message",
    "request_id",
    "created_at",
    "updated_at",
    "finished_at",
)
_WORKER = ("id", "host", "pid", "kubernetes", "kubernetes_error", "started_at", "seen_at")
_INSTANCE = (
    "id",
    "instance_name",
    "cluster_id",
    "status",
    "reason",
    "message",
    "k8s_resource",
    "node",
    "ip",
    "restarts",
    "memory",
    "restart_required",
    "guest",
    "created_at",
    "updated_at",
)
_ENTRY = ("name", "description", "instance_type", "default", "deprecated", "enabled", "created_at", "updated_at")
EVENT = (
    "id",
    "kind",
    "actor",
    "cluster_id",
    "cluster_name",
    "instance_id",
    "instance_name",
    "operation_id",
    "status",
    "reason",
    "message",
    "request_id",
    "created_at",
)


def cluster_summary(row: Mapping[str, Any], owner: str, access: Access) -> dict[str, Any]:
    """`row` has the cluster's columns; `access` is what the asker is to it."""
    view = {name: row[name] for name in _AS_THEY_ARE}
    view["owner"] = owner
    view["access"] = access
    view["cpu_per_instance"] = units.cores(row["cpu_per_inst"])
    view["memory_per_instance"] = row["memory_per_inst"]
    return view


def cluster(view: ClusterView) -> dict[str, Any]:
    going = view.cluster.phase == ClusterPhase.DELETING
    return {
        **cluster_summary(vars(view.cluster), view.owner, view.access),
        **_settings(view.cluster),
        "allowed_actions": allowed_actions(view.viewer, view.access) if not going else [],
        "instances": [instance(member, view.viewer, view.access) for member in view.instances],
        "operation": operation(view.operation) if view.operation is not None else None,
    }


def _settings(row: Cluster) -> dict[str, Any]:
    """Under the name of its type; what an older version did not write yet has its default."""
    shown: dict[str, Any] = dict.fromkeys(SETTINGS.values())
    own = SETTINGS.get(InstanceType(row.instance_type))
    if own is not None:
        shown[own] = DEFAULTS[InstanceType(row.instance_type)].stored() | row.spec
    return shown


def instance(row: Instance, viewer: Viewer, access: Access) -> dict[str, Any]:
    """What is possible: for this viewer, in its present state."""
    instance_type = naming.instance_type_of(row.k8s_resource)
    reboot = instance_type is InstanceType.VM
    operations = lifecycle.allowed_operations(row.status, row.suspend, reboot=reboot, migrate=row.migratable)
    ways = reach.open_now(instance_type, row.status)
    return {
        **{name: getattr(row, name) for name in _INSTANCE},
        "access": access,
        "allowed_operations": operations if viewer.may_with(access, Permission.INSTANCES_OPERATE) else [],
        "capabilities": {
            "suspend": row.suspend,
            "migrate": row.migratable,
            **{way: is_open and viewer.may_with(access, needed_for(way)) for way, is_open in ways.items()},
        },
        "cpu": units.cores(row.cpu),
    }


def needed_for(way: str) -> Permission:
    """By reach.Access."""
    return Permission.INSTANCES_LOGS if way == reach.Access.LOGS else Permission.INSTANCES_REACH


def grant(row: Mapping[str, Any]) -> dict[str, Any]:
    named = ("user_id", "username", "level", "granted_by", "created_at", "updated_at")
    return {name: row[name] for name in named}


def transfer(row: Mapping[str, Any]) -> dict[str, Any]:
    named = ("id", "cluster_id", "cluster_name", "instance_type", "instance_count", "owner", "to", "offered_by")
    return {name: row[name] for name in (*named, "created_at")} | {
        "needs": _dimensions(row["held"]),
    }


def operation(row: Operation) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _OPERATION}


def event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in EVENT}


def worker(row: Worker) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _WORKER}


def entry(row: Flavour | Image) -> dict[str, Any]:
    """Of the catalogue."""
    own = {"reference": row.reference} if isinstance(row, Image) else _size(row)
    return {name: getattr(row, name) for name in _ENTRY} | own


def policy(row: Platform) -> dict[str, Any]:
    return {"custom_sizes": row.custom_sizes, "allowed_images": row.allowed_images}


def _size(row: Flavour) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in ("instancetype", "preference", "runtime_class")}
    return {"cpu": units.cores(row.cpu), "memory": row.memory} | named


def user(row: User) -> dict[str, Any]:
    return {
        "id": row.id,
        "username": row.username,
        "kind": row.kind,
        "role": row.role,
        "disabled": row.disabled_at is not None,
        "has_password": row.password_hash is not None,
        "token_hint": row.token,
        "quota_strategy": row.quota_strategy,
        **{f"quota_{d}": shown(d, getattr(row, f"quota_{d}")) for d in DIMENSIONS},
        **{f"used_{d}": shown(d, getattr(row, f"used_{d}")) for d in DIMENSIONS},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def quota(row: Mapping[str, Any]) -> dict[str, Any]:
    account: Account = account_of(row)
    return {
        "total": _dimensions(account.quota),
        "used": _dimensions(account.used),
        "available": _dimensions(account.available),
        "strategy": account.strategy,
    }


def shown(dimension: str, amount: int) -> float | int:
    return units.cores(amount) if dimension == "cpu" else amount


def _dimensions(amounts: Amounts) -> dict[str, Any]:
    return {d: shown(d, getattr(amounts, d)) for d in DIMENSIONS}
