"""Operations, and the answers to requests that start one or many."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from app.models import OperationKind, OperationStatus
from app.schemas.fields import Out, example
from app.schemas.platform import Problem

OPERATION: dict[str, Any] = {
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


class OperationRead(Out):
    model_config = example(OPERATION)

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


class Accepted(Out):
    message: str
    operation: OperationRead


class BulkItem(Out):
    id: str = Field(description="As it was given.")
    operation: OperationRead | None
    problem: Problem | None


class BulkResult(Out):
    succeeded: int
    failed: int
    items: list[BulkItem]
