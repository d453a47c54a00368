"""Events, as history and as a stream."""

import uuid
from datetime import datetime

from app.schemas.fields import Out


class EventRead(Out):
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
