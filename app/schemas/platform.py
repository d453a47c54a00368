"""What every list and every error looks like, and how the platform is."""

import uuid
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.fields import Out

T = TypeVar("T")


class Listing(Out, Generic[T]):
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


class Part(Out):
    ok: bool
    detail: str


class Health(Out):
    status: str = Field(description="ok, or degraded when a part is not.")
    version: str
    parts: dict[str, Part]


class WorkerRead(Out):
    id: uuid.UUID
    host: str
    pid: int
    kubernetes: str | None = Field(description="Which API server it speaks to, and its version.")
    kubernetes_error: str | None = Field(description="Why that cannot be reached at present.")
    started_at: datetime
    seen_at: datetime


class LeaseRead(Out):
    """A worker is at this cluster."""

    cluster_id: uuid.UUID
    cluster_name: str
    owner: str
    until: datetime = Field(description="When another worker takes over if nothing is heard of the one that has it.")


class InvariantRead(Out):
    """What must always be so, looked at now."""

    name: str
    holds: bool
    found: list[str] = Field(description="Names of those for whom it is not so; twenty at most.")


class RepairRead(Out):
    """What a worker found when it last swept, and what it did about it."""

    kind: str
    message: str | None
    created_at: datetime


class PlatformRead(Out):
    workers: list[WorkerRead] = Field(description="Those that were heard of within a minute.")
    leases_held: int
    leases: list[LeaseRead] = Field(description="The first twenty to run out.")
    invariants: list[InvariantRead]
    repairs: list[RepairRead] = Field(description="The newest first, twenty at most.")
