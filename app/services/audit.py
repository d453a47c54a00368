"""The audit trail: a row before each change, completed after it, then sealed in a chain that a change would break.

Completing and sealing happen a moment later, together: a request waits for its first row only.
"""

import asyncio
import contextvars
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import structlog
import uuid_utils.compat as uuids

from app.database import Database, Row, Session, to_its_end
from app.errors import CmpError, Unavailable
from app.models import AuditOutcome
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
        self._begun: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._beginning: asyncio.Task[None] | None = None
        self._new: list[dict[str, Any]] = []
        self._done: list[tuple[uuid.UUID, str, int | None, datetime]] = []
        self._lost = 0

    async def begin(self, entry: dict[str, Any]) -> uuid.UUID:
        """Committed when this returns: no change is made that is not written down.

        What begins while others are written is written next, in one go.
        """
        row = {**_row(entry), "outcome": AuditOutcome.PENDING}
        written = asyncio.get_running_loop().create_future()
        self._begun.append((row, written))
        if self._beginning is None or self._beginning.done():
            self._beginning = asyncio.create_task(self._begin(), context=contextvars.Context())  # nobody's request
        await written
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
                await to_its_end(self._write())
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
            await audit.complete(session, done)

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
                    if not self._follows(row, before, after):
                        return checked, unkeyed, after + 1 if before is not None else row["seq"]
                    checked, before, after = checked + 1, row["chain"], row["seq"]
                    unkeyed += (row["chain"] or "").startswith(".")
        whole = (after, before or "") == last or after == 0
        return checked, unkeyed, None if whole else after + 1

    def _follows(self, row: Row, before: str | None, after: int) -> bool:
        """The first that is left cannot be checked: what it follows was pruned, unless it is the very first."""
        if before is None and row["seq"] != 1:
            return True
        return row["seq"] == after + 1 and self.sealer.follows(before or "", _text(row), row["chain"] or "")

    async def _begin(self) -> None:
        """Until nobody waits."""
        while begun := self._begun:
            self._begun = []
            await self._write_begun(begun)

    async def _write_begun(self, begun: list[tuple[dict[str, Any], asyncio.Future[None]]]) -> None:
        try:
            await audit.add_at_once(self._database, [row for row, _ in begun])
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            if len(begun) > 1 and not isinstance(error, Unavailable):  # one row's fault is not the others'
                for one in begun:
                    await self._write_begun([one])
                return
            for _, written in begun:
                if not written.done():
                    written.set_exception(error)
        else:
            for _, written in begun:
                if not written.done():
                    written.set_result(None)

    async def _seal(self, session: Session) -> tuple[int, str] | None:
        await platform.lock(session)
        rows = await audit.unsealed(session, _AT_A_TIME)
        if not rows:
            return None
        seq, chain = await audit.head(session)
        sealed = []
        for row in rows:
            seq, chain = seq + 1, self.sealer.chained(chain, _text(row))
            sealed.append((row["id"], seq, chain))
        await audit.seal(session, sealed)
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


def _text(row: Row) -> str:
    """All that is said, in one way only."""
    said = {name: value for name, value in row.items() if name not in ("seq", "chain")}
    return json.dumps(said, default=str, sort_keys=True)
