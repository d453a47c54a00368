"""API tokens and the other ways in; passwords and identities."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from app.models import CredentialKind
from app.rules.access import Scope
from app.schemas.fields import In, Out, TokenName


class TokenCreate(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ci", "scopes": ["read", "operate"], "expires_at": None}]}
    )

    name: TokenName
    kind: Literal["bearer", "client"] = Field(
        "bearer", description="bearer: sent as it is. client: an id and a secret for OAuth's client credentials grant."
    )
    scopes: Annotated[list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=4)] | None = Field(
        None, description="What it is narrowed to; docs/permissions.md says what each leaves. None: all that you may."
    )
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(None, description="RFC 3339.")


class ApiTokenRead(Out):
    id: uuid.UUID
    name: str
    kind: CredentialKind = Field(description="oauth and browser are sign-ins: of a program, and of a browser.")
    hint: str = Field(description="How it begins and ends; empty for sign-ins.")
    scopes: list[Scope] | None = Field(description="None: all that the user may.")
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To about a minute.")
    created_at: datetime


class ApiTokenCreated(ApiTokenRead):
    """Secrets are shown this once, and are None in the repeated answer to an Idempotency-Key."""

    token: str | None = Field(description="Of a bearer token.")
    client_id: uuid.UUID | None = Field(description="Of a client.")
    client_secret: str | None = Field(description="Of a client.")


class PasswordChange(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "four words nobody guesses"}]})

    password: Annotated[str, Field(min_length=12, max_length=128)] = Field(description="Not easily guessed.")
    current_password: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="Needed to change one's own where there is one."
    )


class Resealed(Out):
    resealed: int = Field(description="What an earlier key had sealed.")
    unreadable: int = Field(description="Sealed with a key that is not in CMP_SECRET_KEY; left as it is.")


class IdentityCreate(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"issuer": "https://sso.example.org", "subject": "8f14e45f"}]}
    )

    issuer: Annotated[str, Field(min_length=8, max_length=255, pattern=r"^https?://[\x21-\x7e]+$")]
    subject: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] = Field(
        description="`sub` of the provider's identity tokens."
    )


class IdentityRead(Out):
    id: uuid.UUID
    issuer: str
    subject: str
    created_at: datetime
