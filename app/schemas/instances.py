"""Instances and what can be done to them."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.models import InstanceOperation, InstanceStatus
from app.rules.access import Access
from app.schemas.fields import Ids, In, Out, example
from app.schemas.operations import OperationRead

Grace = Annotated[
    int | None,
    Field(
        ge=0,
        le=3600,
        description="For stop and restart: seconds in which it must have ended, 0 at once. Also for a stop under way.",
    ),
]


class Operate(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"operation": "stop"}]})

    operation: Annotated[InstanceOperation, Field(strict=False)]
    grace_seconds: Grace = None


class BulkOperate(In):
    """Instances by id or name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"operation": "stop", "ids": ["web-instance-1", "web-instance-2"]}]}
    )

    operation: Annotated[InstanceOperation, Field(strict=False)]
    grace_seconds: Grace = None
    ids: Ids


INSTANCE: dict[str, Any] = {
    "id": "01a20741-49b2-72e5-bbae-67bf16d55b29",
    "instance_name": "web-instance-1",
    "cluster_id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
    "access": "owner",
    "status": "running",
    "reason": None,
    "message": None,
    "k8s_resource": "pods/web-instance-1",
    "node": "node-3",
    "ip": "10.244.0.3",
    "restarts": 0,
    "cpu": 0.5,
    "memory": 512,
    "restart_required": False,
    "guest": None,
    "allowed_operations": ["stop", "suspend", "restart"],
    "capabilities": {"suspend": "freeze", "migrate": False, "logs": True, "exec": True, "port_forward": True}
    | {"console": False, "vnc": False},
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:09.413132Z",
}


class Capabilities(Out):
    suspend: str | None = Field(description="How it would be suspended: freeze, vm-pause, or not at all.")
    migrate: bool = Field(description="Whether it could move to another node while it runs.")
    logs: bool = Field(description="Whether its log can be read now.")
    exec: bool = Field(description="Whether a command can be run in it now.")
    port_forward: bool = Field(description="Whether its ports can be reached now.")
    console: bool = Field(description="Whether its serial console can be opened now.")
    vnc: bool = Field(description="Whether its screen can be opened now.")


class InstanceRead(Out):
    model_config = example(INSTANCE)

    id: uuid.UUID
    instance_name: str
    cluster_id: uuid.UUID
    access: Access = Field(description="What you are to its cluster.")
    status: InstanceStatus
    reason: str | None
    message: str | None
    k8s_resource: str
    node: str | None
    ip: str | None
    restarts: int
    cpu: float = Field(description="Cores that it is charged for, or would be if it ran.")
    memory: int = Field(description="MiB, likewise.")
    restart_required: bool = Field(description="Whether a change of its cluster waits for its next start.")
    guest: dict[str, Any] | None = Field(description="What a guest agent tells of the system inside a VM.")
    allowed_operations: list[InstanceOperation] = Field(description="What you may do with it now.")
    capabilities: Capabilities
    created_at: datetime
    updated_at: datetime


class UsageRead(Out):
    """What it uses, as last measured."""

    model_config = example(
        {
            "cpu": 0.031,
            "memory": 24,
            "timestamp": "2026-11-23T07:14:08Z",
            "window_seconds": 15.2,
            "source": "metrics.k8s.io",
        }
    )

    cpu: float = Field(description="Cores.")
    memory: int = Field(description="MiB. A virtual machine's includes what KubeVirt itself needs.")
    timestamp: datetime = Field(description="When the window ended.")
    window_seconds: float = Field(description="What CPU is averaged over.")
    source: Literal["metrics.k8s.io"]


class OperateResult(Out):
    instance: InstanceRead
    operation: OperationRead
