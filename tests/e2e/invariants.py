"""What must hold whenever nothing is under way, whatever happened before."""

from typing import Any

import sqlalchemy as sa

from app.database import Database
from app.models import Cluster, Instance, LedgerEntry, Operation, OperationStatus, User
from app.rules.quota import DIMENSIONS

OPEN = [OperationStatus.PENDING, OperationStatus.RUNNING]


async def broken(database_url: str, kubernetes: "list[dict[str, Any]]") -> list[str]:
    """Sentences about what does not hold. `kubernetes`: the namespaces that carry an installation label of CMP."""
    database = Database(database_url, pool_size=2)
    try:
        async with database.reading() as session:
            found = [
                *await _quota(session),
                *await _operations(session),
                *await _claims(session),
                *await _objects(session, kubernetes),
            ]
    finally:
        await database.close()
    return found


async def _quota(session: Any) -> list[str]:
    found = []
    for user in (await session.execute(sa.select(User))).scalars():
        sums = [sa.func.coalesce(sa.func.sum(getattr(LedgerEntry, d)), 0) for d in DIMENSIONS]
        row = (await session.execute(sa.select(*sums).where(LedgerEntry.account_id == user.id))).one()
        for dimension, held in zip(DIMENSIONS, row, strict=True):
            used = getattr(user, f"used_{dimension}")
            if used != int(held):
                found.append(f"{user.username}: used {dimension} is {used}, the ledger holds {held}")
    return found


async def _operations(session: Any) -> list[str]:
    rows = (await session.execute(sa.select(Operation).where(Operation.status.in_(OPEN)))).scalars()
    return [f"operation {row.kind} on {row.cluster_name} is still {row.status}: {row.message}" for row in rows]


async def _claims(session: Any) -> list[str]:
    """Each ledger row belongs to a cluster or instance that is there, and each of those has its row."""
    held = set((await session.execute(sa.select(LedgerEntry.resource_id))).scalars())
    there = set((await session.execute(sa.select(Cluster.id))).scalars())
    there |= set((await session.execute(sa.select(Instance.id))).scalars())
    return [f"charged for {id}, which is gone" for id in held - there] + [
        f"not charged for {id}" for id in there - held
    ]


async def _objects(session: Any, kubernetes: "list[dict[str, Any]]") -> list[str]:
    rows = {str(row.id): row for row in (await session.execute(sa.select(Cluster))).scalars()}
    found = []
    for namespace in kubernetes:
        cluster_id = namespace["metadata"]["labels"].get("cmp.io/cluster")
        row = rows.get(str(cluster_id))
        if row is None:
            found.append(f"namespace {namespace['metadata']['name']} has no cluster")
        elif row.namespace != namespace["metadata"]["name"]:
            found.append(f"namespace {namespace['metadata']['name']} is not the one of cluster {row.name}")
    return found
