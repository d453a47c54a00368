"""The audit trail."""

import uuid
from datetime import datetime

from pydantic import Field

from app.models import AuditOutcome, CredentialKind
from app.schemas.fields import Out


class AuditRead(Out):
    id: uuid.UUID
    actor_id: uuid.UUID | None
    actor: str | None = Field(description="None: nobody knew who asked.")
    credential_id: uuid.UUID | None
    credential: CredentialKind | None
    address: str
    method: str
    path: str
    request_id: str = Field(description="Operations and events of the request carry it too.")
    outcome: AuditOutcome = Field(description="unknown: the process ended before the request did.")
    status: int | None = Field(description="Of the HTTP answer.")
    created_at: datetime
    finished_at: datetime | None
    seq: int | None
    chain: str | None = Field(description="Covers this entry and the chain of the one before.")


class AuditVerified(Out):
    entries: int = Field(description="How many fit together.")
    unkeyed: int = Field(
        description="How many of them were sealed without CMP_SECRET_KEY: who writes the database could forge these."
    )
    broken_at: int | None = Field(description="The first `seq` that was changed, is missing, or follows another.")
