"""Every mutating call that arrived, in order: what it aimed at, with which precondition, and what came of it."""

from collections import deque
from dataclasses import asdict, dataclass

from simulator.types import Json


@dataclass(slots=True)
class Entry:
    number: int
    verb: str
    path: str
    resource: str
    namespace: str
    name: str
    subresource: str
    user_agent: str
    field_manager: str
    dry_run: bool
    precondition_uid: str
    precondition_revision: str
    target_uid: str
    """The uid of the object as it was before the call; empty when there was none."""
    target_labels: Json
    status: int = 0
    """0: no reply was sent."""
    applied: bool = False
    """The call was carried out, whatever the client was told."""
    fault: str = ""


class Journal:
    def __init__(self, kept: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._number = 0

    def begin(self, **fields: object) -> Entry:
        self._number += 1
        entry = Entry(number=self._number, **fields)  # type: ignore[arg-type]
        self._entries.append(entry)
        return entry

    def since(self, number: int) -> list[Json]:
        return [asdict(entry) for entry in self._entries if entry.number > number]

    def reset(self) -> None:
        self._entries.clear()
