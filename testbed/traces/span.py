"""One span, as either of them has it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Span:
    """Ids in hexadecimal; `parent` is empty for the first of a trace."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    attributes: dict[str, str] = field(default_factory=dict)
