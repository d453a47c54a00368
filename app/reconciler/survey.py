"""From what there is in the database to the numbers that a worker exports about the whole platform."""

import itertools
import time
from collections.abc import Iterator

from app.database import Database
from app.models import Channel, ClusterPhase, InstanceStatus, InstanceType, OperationKind
from app.rules.quota import Amounts
from app.store import survey
from app.telemetry import metrics

_UNITS = {"cpu": 0.001, "memory": 2.0**20, "storage": 2.0**20}
"""Of one millicore and of one MiB."""
# What there is none of is told too.
_Counts = dict[tuple[str, ...], int]
_PHASES: _Counts = dict.fromkeys(itertools.product(InstanceType, ClusterPhase), 0)
_STATUSES: _Counts = dict.fromkeys(itertools.product(InstanceType, InstanceStatus), 0)
_CHANNELS: _Counts = dict.fromkeys([(channel,) for channel in Channel], 0)
_KINDS: _Counts = dict.fromkeys([(kind,) for kind in OperationKind], 0)


async def show(database: Database, accounts: int) -> None:
    async with database.reading() as session:
        found = await survey.all_of(session, accounts)
    others_used, others_quota = found.others
    used = {name: account.used for name, account in found.accounts.items()} | {metrics.OTHERS: others_used}
    limits = {name: account.quota for name, account in found.accounts.items()} | {metrics.OTHERS: others_quota}
    metrics.PLATFORM.show(
        {
            "cmp_clusters": _PHASES | found.clusters,
            "cmp_instances": _STATUSES | found.instances,
            "cmp_operations_open": _KINDS | {(kind,): n for kind, n in found.operations.items()},
            "cmp_operations_oldest_seconds": _KINDS | {(kind,): seconds for kind, seconds in found.oldest.items()},
            "cmp_clusters_overdue": {(): found.overdue},
            "cmp_clusters_overdue_seconds": {(): found.overdue_seconds},
            "cmp_notifications_waiting": _CHANNELS | {(channel,): n for channel, (n, _) in found.waiting.items()},
            "cmp_notifications_overdue_seconds": _CHANNELS
            | {(channel,): seconds for channel, (_, seconds) in found.waiting.items()},
            "cmp_leases": {(): found.leases},
            "cmp_workers": {("up",): found.workers - found.blind, ("away",): found.blind},
            "cmp_quota_used": dict(_amounts(used)),
            "cmp_quota_limit": dict(_amounts(limits)),
            "cmp_survey_timestamp_seconds": {(): time.time()},
        }
    )


def _amounts(of: dict[str, Amounts]) -> Iterator[tuple[tuple[str, str], float]]:
    for name, amounts in of.items():
        for dimension, amount in amounts.as_dict().items():
            yield (name, dimension), amount * _UNITS.get(dimension, 1)
