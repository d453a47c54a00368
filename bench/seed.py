"""The rows that are there before anything is measured: many tenants, each with many clusters."""

import hashlib
import random
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg
import uuid_utils.compat as uuids

TENANTS = 100
CLUSTERS = 100
_PLENTY = 10**12
_DIMENSIONS = ("cpu", "memory", "instances", "clusters")


async def seed(url: str) -> list[str]:
    """Fills an empty schema; the answer is one token for each tenant. `url` is for asyncpg."""
    now = datetime.now(UTC)
    tokens = [f"cmp_pat_{secrets.token_urlsafe(32)}" for _ in range(TENANTS)]
    users = [_user(number, now) for number in range(TENANTS)]
    owners = [user["id"] for user in users for _ in range(CLUSTERS)]
    random.shuffle(owners)  # as they would have come: nobody's rows lie side by side
    connection = await asyncpg.connect(url)
    try:
        await _insert(connection, "users", users)
        await _insert(
            connection, "api_tokens", [_token(user, token, now) for user, token in zip(users, tokens, strict=True)]
        )
        await _insert(connection, "clusters", [_cluster(number, owner, now) for number, owner in enumerate(owners)])
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    return tokens


async def _insert(connection: asyncpg.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    names, places = ", ".join(rows[0]), ", ".join(f"${place}" for place in range(1, len(rows[0]) + 1))
    async with connection.transaction():
        await connection.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({places})", [list(row.values()) for row in rows]
        )


def _user(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": uuids.uuid7(),
        "username": f"tenant-{number}",
        "token": "cmp_pat_...",
        "role": "user",
        "quota_strategy": "allocated",
        **{f"quota_{dimension}": _PLENTY for dimension in _DIMENSIONS},
        **{f"used_{dimension}": 0 for dimension in _DIMENSIONS},
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }


def _token(user: dict[str, Any], token: str, now: datetime) -> dict[str, Any]:
    return {
        "id": uuids.uuid7(),
        "user_id": user["id"],
        "token_hash": hashlib.sha256(token.encode()).hexdigest(),
        "hint": "cmp_pat_...",
        "name": "bench",
        "created_at": now,
    }


def _cluster(number: int, owner: uuid.UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": uuids.uuid7(),
        "name": f"seed-{number}",
        "namespace": f"seed-{number}-ns",
        "instance_type": "container",
        "cpu_per_inst": 500,
        "memory_per_inst": 512,
        "instance_count": 3,
        "image": "nginx:latest",
        "labels": '{"team": "blue", "tier": "web"}',
        "owner_id": owner,
        "phase": "running",
        "ready_instances": 3,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "due_at": now,
        "attempts": 0,
    }
