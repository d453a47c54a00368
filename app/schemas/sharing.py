"""Sharing clusters, and giving them away."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from app.models import GrantLevel, InstanceType
from app.schemas.fields import In, Out, amounts, example
from app.schemas.users import Dimensions

_WHEN = "2026-11-23T07:14:08.946424Z"


class GrantPut(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"level": "operate"}]})

    level: Annotated[GrantLevel, Field(strict=False)] = Field(
        description="view: see it and its logs. operate: also start, stop, enter its instances. manage: also change "
        "and scale it, and delete instances. Each as far as the user's own role and token go."
    )


class GrantRead(Out):
    model_config = example(
        {
            "user_id": "01a20741-49b2-72e5-bbae-67bf16d55b29",
            "username": "grace",
            "level": "operate",
            "granted_by": "ada",
            "created_at": _WHEN,
            "updated_at": _WHEN,
        }
    )

    user_id: uuid.UUID
    username: str
    level: GrantLevel
    granted_by: str
    created_at: datetime
    updated_at: datetime


class TransferCreate(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "grace"}]})

    to: str = Field(min_length=1, max_length=100, description="The receiver's username or id.")


class TransferRead(Out):
    """An offer, until it is accepted, declined or withdrawn."""

    model_config = example(
        {
            "id": "01a20741-49b2-72e5-bbae-67bf16d55b2a",
            "cluster_id": "01a20741-49b2-72e5-bbae-67be4d1f1794",
            "cluster_name": "web",
            "instance_type": "container",
            "instance_count": 1,
            "owner": "ada",
            "to": "grace",
            "offered_by": "ada",
            "needs": amounts(cpu=0.5, memory=512, instances=1, clusters=1),
            "created_at": _WHEN,
        }
    )

    id: uuid.UUID
    cluster_id: uuid.UUID
    cluster_name: str
    instance_type: InstanceType
    instance_count: int
    owner: str
    to: str
    offered_by: str
    needs: Dimensions = Field(description="What it takes of the receiver's quota as it stands.")
    created_at: datetime
