"""The engine, the dialects' quirks, and the only commit in the house. Holds no statement about our tables.

Every dialect runs at READ COMMITTED with bounded waits; SQLite, which has no such thing, writes one transaction at a
time (BEGIN IMMEDIATE) and belongs to one process.
"""

from app.database.dialects import utc_now
from app.database.errors import SqliteInUse, TryAgain, is_retryable, violates
from app.database.replica import Reads, replica_at
from app.database.transactions import Database, Row, Session, affected, after_commit, to_its_end

__all__ = [
    "Database",
    "Reads",
    "Row",
    "Session",
    "SqliteInUse",
    "TryAgain",
    "affected",
    "after_commit",
    "is_retryable",
    "replica_at",
    "to_its_end",
    "utc_now",
    "violates",
]
