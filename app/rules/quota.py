"""Amounts of what is limited: CPU in millicores, memory and persistent storage in MiB, instances, clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Amounts:
    cpu: int = 0
    memory: int = 0
    instances: int = 0
    clusters: int = 0
    storage: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(getattr(self, d) + getattr(other, d) for d in DIMENSIONS))

    def __mul__(self, times: int) -> "Amounts":
        return Amounts(*(getattr(self, d) * times for d in DIMENSIONS))

    def __bool__(self) -> bool:
        return any(getattr(self, d) for d in DIMENSIONS)

    def as_dict(self) -> dict[str, int]:
        return {d: getattr(self, d) for d in DIMENSIONS}


DIMENSIONS = tuple(field.name for field in fields(Amounts))


@dataclass(frozen=True, slots=True)
class Account:
    """An account's limits and what is charged to it."""

    quota: Amounts
    used: Amounts
    strategy: str

    @property
    def available(self) -> Amounts:
        """What is left; never below zero, though a lowered limit may stand below usage."""
        return Amounts(*(max(0, getattr(self.quota, d) - getattr(self.used, d)) for d in DIMENSIONS))


def account_of(row: Mapping[str, object]) -> Account:
    """From the quota_*, used_* and quota_strategy columns of an account's row."""
    return Account(
        quota=Amounts(**{d: int(str(row[f"quota_{d}"])) for d in DIMENSIONS}),
        used=Amounts(**{d: int(str(row[f"used_{d}"])) for d in DIMENSIONS}),
        strategy=str(row["quota_strategy"]),
    )
