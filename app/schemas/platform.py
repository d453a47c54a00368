"""What every list and every error looks like, and how the platform is."""

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
