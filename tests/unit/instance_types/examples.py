"""Specs, Pods and VMs for the tests of the instance types, as a cluster shows them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.instance_types.values import ClusterRef, InstanceSpec, Surroundings
from app.models import InstanceType, Wanted
from app.schemas import ContainerSettings, VmSettings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

CLUSTER = ClusterRef(
    installation_id="0193a000-0000-7000-8000-000000000001",
    owner_id="0193a000-0000-7000-8000-000000000002",
    cluster_id="0193a000-0000-7000-8000-000000000003",
    cluster_name="web",
    namespace="web-ns",
    namespace_uid="ns-uid",
)

CONTAINER = InstanceSpec(
    cluster=CLUSTER,
    instance_type=InstanceType.CONTAINER,
    instance_id="0193a000-0000-7000-8000-000000000004",
    name="web-instance-1",
    cpu=500,
    memory=512,
    image="nginx:latest",
    wanted=Wanted.RUNNING,
    incarnation=1,
)

VM = replace(
    CONTAINER,
    instance_type=InstanceType.VM,
    cpu=2000,
    memory=2048,
    image="kubevirt/cirros-container-disk-demo:latest",
    incarnation=3,
)


FULL_SETTINGS = ContainerSettings.model_validate_json(
    """{
    "command": ["/bin/server"], "args": ["--quiet", ""], "env": {"MODE": "live"}, "secret_env": {"TOKEN": "s3cret"},
    "working_dir": "/srv", "user": 1000, "group": 2000,
    "ports": [{"port": 8080, "name": "http"}, {"port": 53, "protocol": "UDP"}],
    "volumes": [
        {"type": "empty", "name": "tmp", "mount_path": "/tmp", "size": "64Mi", "in_memory": true},
        {"type": "persistent", "name": "data", "mount_path": "/data", "size": "2Gi", "storage_class": "fast"},
        {"type": "persistent", "name": "old", "mount_path": "/old", "size": 100, "read_only": true}
    ],
    "restart_policy": "on-failure", "pull_policy": "if-not-present",
    "registry": {"server": "registry.example:5000", "username": "ada", "password": "pass:w\u00f6rd"},
    "health": {
        "readiness": {"http": {"path": "/ready", "port": 8080}, "interval_seconds": 5},
        "liveness": {"tcp": 8080, "failure_threshold": 5},
        "startup": {"command": ["/bin/check", "--fast"], "timeout_seconds": 2, "initial_delay_seconds": 1}
    }}"""
)
FULL_VM_SETTINGS = VmSettings.model_validate_json(
    """{
    "root_disk": {"type": "blank", "size": "1Gi"},
    "kernel_boot": {"image": "registry.example/kernel:6", "kernel_path": "/boot/vmlinuz", "initrd_path": "/boot/initrd",
                    "kernel_args": "console=ttyS0"},
    "volumes": [{"type": "persistent", "name": "data", "size": "2Gi", "storage_class": "fast"},
                {"type": "empty", "name": "scratch", "size": 100}],
    "cloud_init": {"user_data": "#cloud-config\\n", "network_data": "version: 2\\n"},
    "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVuZA== ada"],
    "run_strategy": "rerun-on-failure", "preference": "linux", "pull_policy": "always", "ports": [{"port": 22}],
    "registry": {"server": "registry.example", "username": "ada", "password": "s3cret"}
    }"""
)
FULL = replace(CONTAINER, settings=FULL_SETTINGS.stored(), revision=4)

FULL_VM = replace(VM, settings=FULL_VM_SETTINGS.stored())
IMPORTED_VM = replace(
    VM, settings=VmSettings.model_validate({"root_disk": {"type": "persistent", "size": "20Gi"}}).stored()
)


def around(*, ready: bool | None = True, agent: bool = False) -> Surroundings:
    return Surroundings(NOW, lambda _: ready, lambda _: agent)


def pod(
    *,
    node: str | None = "node-1",
    phase: str = "Running",
    state: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    restarts: int = 0,
    conditions: dict[str, str | dict[str, str]] | None = None,
    annotations: dict[str, str] | None = None,
    deleted_at: str | None = None,
    **status: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": "web-instance-1",
        "namespace": "web-ns",
        "uid": "pod-uid",
        "annotations": {"cmp.io/incarnation": "1", **(annotations or {})},
    }
    if deleted_at:
        metadata["deletionTimestamp"] = deleted_at
    shown: dict[str, Any] = {"phase": phase, "conditions": _conditions(conditions), **status}
    if state is not None:
        main = {"name": "main", "state": state, "lastState": last or {}, "restartCount": restarts}
        shown["containerStatuses"] = [main]
    spec = {"nodeName": node} if node else {}
    return {"metadata": metadata, "spec": spec, "status": shown}


def vm(
    *,
    strategy: str = "Always",
    printable: str | None = None,
    created: bool = False,
    conditions: dict[str, str | dict[str, str]] | None = None,
    deleted_at: str | None = None,
    incarnation: int = 3,
    **status: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": "web-instance-1",
        "uid": "vm-uid",
        "annotations": {"cmp.io/incarnation": str(incarnation)},
    }
    if deleted_at:
        metadata["deletionTimestamp"] = deleted_at
    shown: dict[str, Any] = {"conditions": _conditions(conditions), **status}
    if printable:
        shown["printableStatus"] = printable
    if created:
        shown["created"] = True
    return {"metadata": metadata, "spec": {"runStrategy": strategy}, "status": shown}


def vmi(
    phase: str = "Running",
    *,
    incarnation: int = 3,
    node: str | None = "node-1",
    ip: str | None = "10.0.0.7",
    conditions: dict[str, str | dict[str, str]] | None = None,
    deleted_at: str | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": "web-instance-1",
        "uid": "vmi-uid",
        "annotations": {"cmp.io/incarnation": str(incarnation), **(annotations or {})},
    }
    if deleted_at:
        metadata["deletionTimestamp"] = deleted_at
    status: dict[str, Any] = {"phase": phase, "conditions": _conditions(conditions)}
    if node:
        status["nodeName"] = node
    if ip:
        status["interfaces"] = [{"name": "default", "ipAddress": ip}]
    return {"metadata": metadata, "status": status}


def _conditions(wanted: dict[str, str | dict[str, str]] | None) -> list[dict[str, str]]:
    shown = []
    for kind, value in (wanted or {}).items():
        shown.append({"type": kind, "status": value} if isinstance(value, str) else {"type": kind, **value})
    return shown
