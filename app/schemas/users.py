"""Users, their limits and tokens."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from app.models import QuotaStrategy, Role, UserKind
from app.rules.access import Permission
from app.schemas.fields import In, Limit, LimitCpu, LimitMemory, Out, Username, amounts, example
from app.schemas.operations import OperationRead


class UserCreate(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "ada", "quota_cpu": 8, "quota_memory": 16384}]}
    )

    username: Username
    kind: Annotated[UserKind, Field(strict=False)] = Field(
        UserKind.PERSON, description="A service has tokens and OAuth clients, and never signs in."
    )
    role: Annotated[Role, Field(strict=False)] = Role.USER
    quota_cpu: LimitCpu | None = None
    quota_memory: LimitMemory | None = None
    quota_instances: Limit | None = None
    quota_clusters: Limit | None = None
    quota_storage: LimitMemory | None = Field(None, description="Persistent volumes: MiB, or a quantity such as 64Gi.")
    quota_strategy: Annotated[QuotaStrategy, Field(strict=False)] = QuotaStrategy.ALLOCATED


class UserChange(In):
    """What is named changes; the rest stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"quota_cpu": 16}, {"disabled": True}]})

    role: Annotated[Role, Field(strict=False)] | None = None
    quota_cpu: LimitCpu | None = None
    quota_memory: LimitMemory | None = None
    quota_instances: Limit | None = None
    quota_clusters: Limit | None = None
    quota_storage: LimitMemory | None = Field(None, description="Persistent volumes: MiB, or a quantity such as 64Gi.")
    quota_strategy: Annotated[QuotaStrategy, Field(strict=False)] | None = None
    disabled: bool | None = None
    instances: Literal["keep", "stop"] = Field(
        "keep", description="With `disabled`: what becomes of the user's instances. stop: each by an operation."
    )


class Dimensions(Out):
    cpu: float = Field(description="Cores.")
    memory: int = Field(description="MiB.")
    instances: int
    clusters: int
    storage: int = Field(description="MiB of persistent volumes.")


class QuotaRead(Out):
    model_config = example(
        {
            "total": amounts(cpu=8, memory=16384, instances=100, clusters=20, storage=102400),
            "used": amounts(cpu=0.5, memory=512, instances=1, clusters=1),
            "available": amounts(cpu=7.5, memory=15872, instances=99, clusters=19, storage=102400),
            "strategy": "allocated",
        }
    )

    total: Dimensions
    used: Dimensions
    available: Dimensions
    strategy: QuotaStrategy


class UserRead(Out):
    id: uuid.UUID
    username: str
    kind: UserKind
    role: Role
    disabled: bool
    has_password: bool
    token_hint: str = Field(description="How the token that it was made with, or that replaced it, begins and ends.")
    quota_cpu: float
    quota_memory: int
    quota_instances: int
    quota_clusters: int
    quota_storage: int
    quota_strategy: QuotaStrategy
    used_cpu: float
    used_memory: int
    used_instances: int
    used_clusters: int
    used_storage: int
    created_at: datetime
    updated_at: datetime


class MeRead(UserRead):
    permissions: list[Permission] = Field(description="What your role and the credential that you use let you do.")


class UserCreated(UserRead):
    token: str | None = Field(description="Shown this once. None in the repeated answer to an Idempotency-Key.")


class UserLeaving(Out):
    """The user is disabled and their clusters are being deleted; the same request again deletes the user then."""

    message: str
    operations: list[OperationRead]


class TokenRead(Out):
    token: str | None = Field(description="Shown this once; earlier tokens no longer work.")
