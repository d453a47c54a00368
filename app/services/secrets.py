"""A new CMP_SECRET_KEY: what an earlier key sealed is sealed with the new one, while everything runs."""

from dataclasses import dataclass

from app.database import Database, Session
from app.errors import Unsupported
from app.rules.sealing import NoKey, Sealer
from app.store import sealed

_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class Resealed:
    """`unreadable`: sealed with a key that is not known here; those stay as they are."""

    resealed: int
    unreadable: int


async def reseal(database: Database, sealer: Sealer) -> Resealed:
    """Raises Unsupported."""
    if not sealer.ready:
        raise Unsupported("There is no key to seal with. An administrator sets CMP_SECRET_KEY.")
    done, unreadable = 0, 0
    while True:
        changed, failed = await database.run(lambda session: _some(session, sealer))
        done, unreadable = done + changed, failed
        if not changed:
            return Resealed(done, unreadable)


async def _some(session: Session, sealer: Sealer) -> tuple[int, int]:
    changed = failed = 0
    for which, id, text, bound in await sealed.all_sealed_otherwise(session, sealer.key_id, _AT_A_TIME):
        try:
            plain = sealer.open(text, bound)
        except NoKey:
            failed += 1
            continue
        changed += await sealed.replace(session, which, id, text, sealer.seal(plain, bound))
    return changed, failed
