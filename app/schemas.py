"""What comes in and what goes out, on the wire. Stops at the routers.

Input is strict: unknown fields, numbers dressed as text and control characters are refused, and no answer repeats
what was sent. Output names are the document's.
"""

import uuid
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.models import (
    ClusterPhase,
    InstanceOperation,
    InstanceStatus,
    InstanceType,
    OperationKind,
    OperationStatus,
    QuotaStrategy,
    Role,
)
from app.rules import naming, units

T = TypeVar("T")
MAX_COUNT = 1_000_000


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _not_reserved(name: str) -> str:
    if naming.reserved(name):
        raise ValueError("names that begin with kube- belong to Kubernetes")
    return _not_an_id(name)


def _not_an_id(name: str) -> str:
    if naming.reads_as_id(name):
        raise ValueError("a name that reads as an id would be taken for one")
    return name


def _free_username(name: str) -> str:
    if name in naming.RESERVED_USERNAMES:
        raise ValueError("this name stands for whoever asks")
    return _not_an_id(name)


def _image(reference: str) -> str:
    if not naming.is_image(reference):
        raise ValueError("an image reference is needed, such as nginx:1.29 or registry.example/team/app@sha256:…")
    return reference


def _cpu_schema(lowest: float, highest: int, description: str) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "number", "minimum": lowest, "maximum": highest // 1000, "multipleOf": 0.001},
            {"type": "string", "pattern": r"^[1-9][0-9]{0,5}m$"},
        ],
        "description": description,
        "examples": [0.5, "500m"],
    }


def _memory_schema(lowest: int, highest: int, description: str) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "integer", "minimum": lowest, "maximum": highest},
            {"type": "string", "pattern": r"^([1-9][0-9]{0,6}Mi|[1-9][0-9]{0,3}Gi)$"},
        ],
        "description": description,
        "examples": [512, "4Gi"],
    }


Cpu = Annotated[
    int,
    BeforeValidator(units.millicores),
    WithJsonSchema(
        _cpu_schema(0.001, units.MAX_MILLICORES, "Cores, such as 0.5, or a quantity, such as 500m."), mode="validation"
    ),
]
Memory = Annotated[
    int,
    BeforeValidator(units.mebibytes),
    WithJsonSchema(
        _memory_schema(1, units.MAX_MIB, "MiB, such as 512, or a quantity, such as 4Gi."), mode="validation"
    ),
]
ClusterName = Annotated[
    str, Field(min_length=1, max_length=naming.NAME_MAX, pattern=naming.NAME_PATTERN), AfterValidator(_not_reserved)
]
Username = Annotated[
    str,
    Field(min_length=1, max_length=naming.USERNAME_MAX, pattern=naming.USERNAME_PATTERN),
    AfterValidator(_free_username),
]
Image = Annotated[
    str,
    Field(min_length=1, max_length=512, json_schema_extra={"pattern": naming.IMAGE_PATTERN}),
    AfterValidator(_image),
]
LabelKey = Annotated[str, Field(min_length=1, max_length=63, pattern=naming.LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, Field(max_length=63, pattern=naming.LABEL_VALUE_PATTERN)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=32, json_schema_extra={"additionalProperties": False})]
Limit = Annotated[int, Field(ge=0, le=MAX_COUNT)]


def _limit_cpu(value: Any) -> int:
    return 0 if _is_zero(value) else units.millicores(value, units.MAX_QUOTA_MILLICORES)


def _limit_memory(value: Any) -> int:
    return 0 if _is_zero(value) else units.mebibytes(value, units.MAX_QUOTA_MIB)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


LimitCpu = Annotated[
    int,
    BeforeValidator(_limit_cpu),
    WithJsonSchema(_cpu_schema(0, units.MAX_QUOTA_MILLICORES, "Cores, or a quantity such as 500m."), mode="validation"),
]
LimitMemory = Annotated[
    int,
    BeforeValidator(_limit_memory),
    WithJsonSchema(_memory_schema(0, units.MAX_QUOTA_MIB, "MiB, or a quantity such as 64Gi."), mode="validation"),
]


class ClusterCreate(_In):
    """A cluster to be: so many equal instances."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "web",
                    "instance_type": "container",
                    "cpu_per_instance": 0.5,
                    "memory_per_instance": 512,
                    "instance_count": 3,
                    "image": "nginx:latest",
                },
                {
                    "name": "lab",
                    "instance_type": "vm",
                    "cpu_per_instance": 1,
                    "memory_per_instance": "1Gi",
                    "instance_count": 1,
                },
            ]
        }
    )

    name: ClusterName
    instance_type: Annotated[InstanceType, Field(strict=False)]
    cpu_per_instance: Cpu = Field(validation_alias=AliasChoices("cpu_per_instance", "cpu_per_inst"))
    memory_per_instance: Memory = Field(validation_alias=AliasChoices("memory_per_instance", "memory_per_inst"))
    instance_count: int = Field(1, ge=1, le=3000)
    image: Image | None = Field(None, description="A container image, or a containerDisk image for VMs.")
    labels: Labels = Field(default_factory=dict)


class Operate(_In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"operation": "stop"}]})

    operation: Annotated[InstanceOperation, Field(strict=False)]


Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=500)]


class BulkDelete(_In):
    """Clusters by id or name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["web", "lab"]}]})

    ids: Ids


class BulkOperate(_In):
    """Instances by id or name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"operation": "stop", "ids": ["web-instance-1", "web-instance-2"]}]}
    )

    operation: Annotated[InstanceOperation, Field(strict=False)]
    ids: Ids


class UserCreate(_In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "ada", "quota_cpu": 8, "quota_memory": 16384}]}
    )

    username: Username
    role: Annotated[Role, Field(strict=False)] = Role.USER
    quota_cpu: LimitCpu | None = None
    quota_memory: LimitMemory | None = None
    quota_instances: Limit | None = None
    quota_clusters: Limit | None = None
    quota_strategy: Annotated[QuotaStrategy, Field(strict=False)] = QuotaStrategy.ALLOCATED


class UserChange(_In):
    """What is named changes; the rest stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"quota_cpu": 16}, {"disabled": True}]})

    role: Annotated[Role, Field(strict=False)] | None = None
    quota_cpu: LimitCpu | None = None
    quota_memory: LimitMemory | None = None
    quota_instances: Limit | None = None
    quota_clusters: Limit | None = None
    quota_strategy: Annotated[QuotaStrategy, Field(strict=False)] | None = None
    disabled: bool | None = None


_INSTANCE: dict[str, Any] = {
    "id": "01a20741-49b2-72e5-bbae-67bf16d55b29",
    "instance_name": "web-instance-1",
    "cluster_id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
    "status": "running",
    "reason": None,
    "message": None,
    "k8s_resource": "pods/web-instance-1",
    "node": "node-3",
    "ip": "10.244.0.3",
    "restarts": 0,
    "allowed_operations": ["stop", "suspend", "restart"],
    "capabilities": {"suspend": "freeze"},
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:09.413132Z",
}
_OPERATION: dict[str, Any] = {
    "id": "01a20741-49b2-72e5-bbae-67c20a857511",
    "kind": "cluster.create",
    "status": "succeeded",
    "actor": "ada",
    "cluster_id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
    "cluster_name": "web",
    "instance_id": None,
    "instance_name": None,
    "done": 1,
    "total": 1,
    "reason": None,
    "message": None,
    "request_id": "1c252d8fc31e4cd9aa64b53bdc100b14",
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:09.503405Z",
    "finished_at": "2026-11-23T07:14:09.503405Z",
}
_SUMMARY: dict[str, Any] = {
    "id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
    "name": "web",
    "namespace": "web-ns",
    "owner": "ada",
    "instance_type": "container",
    "cpu_per_instance": 0.5,
    "memory_per_instance": 512,
    "instance_count": 1,
    "ready_instances": 1,
    "image": "nginx:latest",
    "labels": {"team": "shop"},
    "phase": "running",
    "reason": None,
    "message": None,
    "created_at": "2026-11-23T07:14:08.946424Z",
    "updated_at": "2026-11-23T07:14:09.503405Z",
}


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]})


class Dimensions(_Out):
    cpu: float = Field(description="Cores.")
    memory: int = Field(description="MiB.")
    instances: int
    clusters: int


class QuotaRead(_Out):
    model_config = _example(
        {
            "total": {"cpu": 8, "memory": 16384, "instances": 100, "clusters": 20},
            "used": {"cpu": 0.5, "memory": 512, "instances": 1, "clusters": 1},
            "available": {"cpu": 7.5, "memory": 15872, "instances": 99, "clusters": 19},
            "strategy": "allocated",
        }
    )

    total: Dimensions
    used: Dimensions
    available: Dimensions
    strategy: QuotaStrategy


class UserRead(_Out):
    id: uuid.UUID
    username: str
    role: Role
    disabled: bool
    token_hint: str = Field(description="How the token in force begins and ends.")
    quota_cpu: float
    quota_memory: int
    quota_instances: int
    quota_clusters: int
    quota_strategy: QuotaStrategy
    used_cpu: float
    used_memory: int
    used_instances: int
    used_clusters: int
    created_at: datetime
    updated_at: datetime


class UserCreated(UserRead):
    token: str | None = Field(description="Shown this once. None in the repeated answer to an Idempotency-Key.")


class TokenRead(_Out):
    token: str | None = Field(description="Shown this once; earlier tokens no longer work.")


class Capabilities(_Out):
    suspend: str | None = Field(description="How it would be suspended: freeze, vm-pause, or not at all.")


class InstanceRead(_Out):
    model_config = _example(_INSTANCE)

    id: uuid.UUID
    instance_name: str
    cluster_id: uuid.UUID
    status: InstanceStatus
    reason: str | None
    message: str | None
    k8s_resource: str
    node: str | None
    ip: str | None
    restarts: int
    allowed_operations: list[InstanceOperation]
    capabilities: Capabilities
    created_at: datetime
    updated_at: datetime


class OperationRead(_Out):
    model_config = _example(_OPERATION)

    id: uuid.UUID
    kind: OperationKind
    status: OperationStatus
    actor: str
    cluster_id: uuid.UUID
    cluster_name: str
    instance_id: uuid.UUID | None
    instance_name: str | None
    done: int
    total: int
    reason: str | None
    message: str | None
    request_id: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class ClusterSummary(_Out):
    """A cluster as lists show it."""

    model_config = _example(_SUMMARY)

    id: uuid.UUID
    name: str
    namespace: str
    owner: str
    instance_type: InstanceType
    cpu_per_instance: float = Field(description="Cores.")
    memory_per_instance: int = Field(description="MiB.")
    instance_count: int
    ready_instances: int = Field(description="Instances that are as wished.")
    image: str
    labels: dict[str, str]
    phase: ClusterPhase
    reason: str | None
    message: str | None
    created_at: datetime
    updated_at: datetime


class ClusterRead(ClusterSummary):
    model_config = _example(_SUMMARY | {"instances": [_INSTANCE], "operation": _OPERATION})

    instances: list[InstanceRead]
    operation: OperationRead | None = Field(description="The newest operation on the cluster that is still known.")


class Accepted(_Out):
    message: str
    operation: OperationRead


class OperateResult(_Out):
    instance: InstanceRead
    operation: OperationRead


class Listing(_Out, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class Problem(BaseModel):
    """RFC 9457, with a stable `code`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class BulkItem(_Out):
    id: str = Field(description="As it was given.")
    operation: OperationRead | None
    problem: Problem | None


class BulkResult(_Out):
    succeeded: int
    failed: int
    items: list[BulkItem]


class EventRead(_Out):
    id: int
    kind: str
    actor: str
    cluster_id: uuid.UUID | None
    cluster_name: str | None
    instance_id: uuid.UUID | None
    instance_name: str | None
    operation_id: uuid.UUID | None
    status: str | None
    reason: str | None
    message: str | None
    request_id: str | None
    created_at: datetime


class Part(_Out):
    ok: bool
    detail: str


class Health(_Out):
    status: str = Field(description="ok, or degraded when a part is not.")
    version: str
    parts: dict[str, Part]
