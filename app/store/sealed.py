"""What is sealed in the database, wherever it is: to be sealed anew when the key changes."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from app.database import Session, affected
from app.models import Cluster, SigningKey, Subscription

# (rows, column, what names the row it is bound to)
_WHERE: tuple[tuple[Any, Any, Callable[[Any], str]], ...] = (
    (Cluster.id, Cluster.secrets, str),
    (Subscription.id, Subscription.secret, str),
    (SigningKey.kid, SigningKey.private, lambda kid: f"signing key {kid}"),
)


async def all_sealed_otherwise(session: Session, key_id: str, limit: int) -> Sequence[tuple[int, Any, str, str]]:
    """(which, id, sealed text, what it is bound to) of what another key sealed."""
    found: list[tuple[int, Any, str, str]] = []
    for which, (id, column, bound) in enumerate(_WHERE):
        statement = sa.select(id, column).where(column.is_not(None), sa.not_(column.startswith(f"{key_id}.")))
        rows = (await session.execute(statement.order_by(id).limit(limit))).all()
        found += [(which, row[0], row[1], bound(row[0])) for row in rows]
    return found


async def replace(session: Session, which: int, row_id: Any, before: str, after: str) -> bool:
    """Unless somebody changed it meanwhile: theirs is sealed with the new key already."""
    id, column, _ = _WHERE[which]
    return (
        await affected(session, sa.update(id.class_).where(id == row_id, column == before).values({column: after})) == 1
    )
