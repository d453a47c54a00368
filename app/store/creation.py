"""Every row of a new cluster, its quota claim included, as one statement: PostgreSQL's short way.

For success only: whatever stands against it leaves nothing behind, and the caller goes the long way, which knows why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.database import Database, utc_now
from app.models import Base, Cluster, Event, Instance, LedgerEntry, Operation, User
from app.rules.quota import DIMENSIONS, Amounts
from app.store import ledger
from app.store.sent_rows import defaults, parameter, record, sent


@dataclass(frozen=True, slots=True)
class NewCluster:
    """`ledger` and `event` are columns by name."""

    cluster: Cluster
    instances: list[Instance]
    ledger: list[dict[str, Any]]
    operation: Operation
    event: dict[str, Any]


async def at_once(database: Database, amounts: Amounts, new: NewCluster) -> bool:
    """True when it fitted and is committed. False: nothing was written, for whatever reason."""
    tables: dict[type[Base], Sequence[Mapping[str, Any]]] = {
        Cluster: [vars(new.cluster)],
        Instance: [vars(instance) for instance in new.instances],
        LedgerEntry: new.ledger,
        Operation: [vars(new.operation)],
        Event: [new.event],
    }
    parameters = {parameter(table): [record(table, row) for row in rows] for table, rows in tables.items()}
    claimed = await database.write_at_once(
        _statement(), {"account_id": new.cluster.owner_id, **amounts.as_dict(), **parameters}
    )
    return bool(claimed)


@lru_cache
def _statement() -> sa.Select[Any]:
    asked = {dimension: sa.bindparam(dimension, type_=sa.BigInteger()) for dimension in DIMENSIONS}
    account_id = sa.bindparam("account_id", type_=User.id.type)
    claim = ledger.claiming(account_id, asked).returning(User.id).cte("claim")
    inserts = [_insert(table, claim) for table in (Cluster, Instance, LedgerEntry, Operation, Event)]
    return sa.select(claim.c.id).add_cte(*inserts)


def _insert(table: type[Base], claim: sa.CTE) -> sa.CTE:
    """Of nothing where the claim did not fit."""
    fields = sent(table)
    now = {"due_at": utc_now()}  # by the clock of those who claim it
    columns = list(defaults(table))
    chosen = sa.select(*(now.get(name, fields.c[name]) for name in columns)).join_from(claim, fields, sa.true())
    return sa.insert(table).from_select(columns, chosen).cte(f"insert_{table.__tablename__}")
