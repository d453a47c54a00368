"""SSH keys that are saved under a name."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from app.rules import naming, ssh_keys
from app.schemas.fields import In, Out, example, not_an_id

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPw5XCHM4yNRuvR2YdDoXWwUKEsmfTbWvWL7LVQPDDPf ada@laptop"
SshKeyName = Annotated[
    str, Field(min_length=1, max_length=naming.NAME_MAX, pattern=naming.NAME_PATTERN), AfterValidator(not_an_id)
]


class SshKeyCreate(In):
    model_config = example({"name": "laptop", "public_key": _KEY})

    name: SshKeyName
    public_key: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=8192),
        Field(description="What the file that ends in .pub holds.", json_schema_extra={"pattern": ssh_keys.PATTERN}),
        AfterValidator(ssh_keys.checked),
    ]


class SshKeyRead(Out):
    id: uuid.UUID
    name: str
    public_key: str
    fingerprint: str = Field(description="As `ssh-keygen -lf` prints it: `SHA256:…`.")
    created_at: datetime
