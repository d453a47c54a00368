"""The audit trail: a row before each change, completed after it, then sealed in a chain that a change would break.

Completing and sealing happen a moment later, together: a request waits for its first row only.
"""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import structlog
import uuid_utils.compat as uuids

from app.database import Database, Session
from app.errors import CmpError
from app.models import AuditEntry, AuditOutcome
from app.rules.sealing import Sealer
from app.store import audit, platform

log = structlog.get_logger("cmp.audit")

_EVERY = 1.0
_AT_A_TIME = 500
_REMEMBERED = 20_000


class Audit:
    def __init__(self, database: Database) -> None:
        self.sealer = Sealer()
        self._database = database
        self._new: list[dict[str, Any]] = []
        self._done: list[tuple[uuid.UUID, str, int | None, datetime]] = []
        self._lost = 0

    async def begin(self, entry: dict[str, Any]) -> uuid.UUID:
        """Committed when this returns: no change is made that is not written down."""
        row = {**_row(entry), "outcome": AuditOutcome.PENDING}
        await self._database.run(lambda session: audit.add(session, [row]))
        return uuid.UUID(str(row["id"]))

    def complete(self, id: uuid.UUID, status: int) -> None:
        self._done.append((id, outcome_of(status), status, datetime.now(UTC)))

    def note(self, entry: dict[str, Any], status: int) -> None:
        """An attempt that was refused before anybody knew whose it is."""
        if len(self._new) >= _REMEMBERED:
            self._lost += 1
            return
        now = datetime.now(UTC)
        self._new.append({**_row(entry), "outcome": outcome_of(status), "status": status, "finished_at": now})

    async def run(self) -> None:
        """Until cancelled; what is left is then written too."""
        try:
            while True:
                await asyncio.sleep(_EVERY)
                await self._write()
        finally:
            await self._write()

    async def write(self) -> None:
        new, self._new = self._new, []
        done, self._done = self._done, []
        if self._lost:
            log.error("audit.lost", refused_attempts=self._lost)
            self._lost = 0

        async def work(session: Session) -> None:
            await audit.add(session, new)
            for id, outcome, status, at in done:
                await audit.complete(session, id, outcome, status, at)

        try:
            if new or done:
                await self._database.run(work)
        except CmpError:
            self._new, self._done = new + self._new, done + self._done
            raise
        if new or done:
            await self.seal()

    async def seal(self) -> None:
        """One process at a time; the head goes to the log, which keeps it where the database cannot change it."""
        sealed = await self._database.run(self._seal)
        if sealed is not None:
            log.info("audit.sealed", seq=sealed[0], chain=sealed[1])

    async def verify(self) -> tuple[int, int, int | None]:
        """(entries that fit together, those of them that were sealed without a key, the first that does not fit)."""
        async with self._database.reading() as session:
            last = await audit.head(session)
            checked, unkeyed, before, after = 0, 0, None, 0
            while rows := await audit.all_sealed(session, after, _AT_A_TIME):
                for row in rows:
                    assert row.seq is not None
                    if not self._follows(row, before, after):
                        return checked, unkeyed, after + 1 if before is not None else row.seq
                    checked, before, after = checked + 1, row.chain, row.seq
                    unkeyed += (row.chain or "").startswith(".")
        whole = (after, before or "") == last or after == 0
        return checked, unkeyed, None if whole else after + 1

    def _follows(self, row: AuditEntry, before: str | None, after: int) -> bool:
        """The first that is left cannot be checked: what it follows was pruned, unless it is the very first."""
        if before is None and row.seq != 1:
            return True
        return row.seq == after + 1 and self.sealer.follows(before or "", _text(row), row.chain or "")

    async def _seal(self, session: Session) -> tuple[int, str] | None:
        await platform.lock(session)
        rows = await audit.unsealed(session, _AT_A_TIME)
        if not rows:
            return None
        seq, chain = await audit.head(session)
        for row in rows:
            seq, chain = seq + 1, self.sealer.chained(chain, _text(row))
            await audit.seal(session, row, seq, chain)
        await audit.set_head(session, seq, chain)
        return seq, chain

    async def _write(self) -> None:
        try:
            await self.write()
        except CmpError as error:
            log.warning("audit.not_written", why=error.message)


def outcome_of(status: int) -> AuditOutcome:
    if status < 400:
        return AuditOutcome.DONE
    return AuditOutcome.REFUSED if status < 500 else AuditOutcome.FAILED


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "actor_id": None,
        "actor": None,
        "credential_id": None,
        "credential": None,
        "status": None,
        "finished_at": None,
        **entry,
        "id": uuids.uuid7(),
        "created_at": datetime.now(UTC),
    }


def _text(row: AuditEntry) -> str:
    """All that is said, in one way only."""
    said = {name: value for name, value in audit.as_row(row).items() if name not in ("seq", "chain")}
    return json.dumps(said, default=str, sort_keys=True)
