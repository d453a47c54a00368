"""API tokens."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from app.rules.access import Scope
from app.schemas.fields import In, Out, TokenName


class TokenCreate(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ci", "scopes": ["read", "operate"], "expires_at": None}]}
    )

    name: TokenName
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=4)] | None = Field(
        None, description="What it is narrowed to; docs/permissions.md says what each leaves. None: all that you may."
    )
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(None, description="RFC 3339.")


class ApiTokenRead(Out):
    id: uuid.UUID
    name: str
    hint: str = Field(description="How it begins and ends.")
    scopes: list[Scope] | None = Field(description="None: all that the user may.")
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To about a minute.")
    created_at: datetime


class ApiTokenCreated(ApiTokenRead):
    token: str | None = Field(description="Shown this once. None in the repeated answer to an Idempotency-Key.")
