"""The least that could answer the same two requests: Starlette, asyncpg, orjson, and nothing that CMP is for.

No validation, no roles, no pages, no ETag, no request ids, no problem answers. Run as a program with a PostgreSQL URL
and a port; the tables must be there.
"""

import asyncio
import hashlib
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import uuid_utils.compat as uuids
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

POOL = 16

_FIELDS = (
    "id", "name", "namespace", "instance_type", "instance_count", "ready_instances", "image", "image_name",
    "flavour", "max_unavailable", "labels", "phase", "reason", "message", "created_at", "updated_at",
)  # fmt: skip
_LIST = f"""
SELECT u.id AS viewer, u.username AS owner, {", ".join(f"c.{name}" for name in _FIELDS)},
       c.cpu_per_inst, c.memory_per_inst
FROM api_tokens t JOIN users u ON u.id = t.user_id
LEFT JOIN LATERAL (SELECT * FROM clusters WHERE owner_id = u.id ORDER BY id DESC LIMIT $2) c ON true
WHERE t.token_hash = $1 AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.disabled_at IS NULL
ORDER BY c.id DESC
"""
_TOKEN = """
SELECT u.id, u.username FROM api_tokens t JOIN users u ON u.id = t.user_id
WHERE t.token_hash = $1 AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.disabled_at IS NULL
"""
_CLAIM = """
UPDATE users SET used_cpu = used_cpu + $2, used_memory = used_memory + $3, used_instances = used_instances + $4,
       used_clusters = used_clusters + 1, version = version + 1
WHERE id = $1 AND used_cpu + $2 <= quota_cpu AND used_memory + $3 <= quota_memory
  AND used_instances + $4 <= quota_instances AND used_clusters + 1 <= quota_clusters
RETURNING id
"""
_CLUSTER = """
INSERT INTO clusters (id, name, namespace, instance_type, cpu_per_inst, memory_per_inst, instance_count, image, labels,
                      owner_id, phase, ready_instances, version, created_at, updated_at, due_at, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'pending', 0, 1, $11, $11, $11, 0)
"""
_INSTANCE = """
INSERT INTO instances (id, cluster_id, ordinal, instance_name, k8s_resource, wanted, incarnation, status, restarts,
                       version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, 'running', 1, 'pending', 0, 1, $6, $6)
"""
_OPERATION = """
INSERT INTO operations (id, kind, status, owner_id, actor_id, actor, cluster_id, cluster_name, done, total, request_id,
                        created_at, updated_at)
VALUES ($1, 'cluster.create', 'pending', $2, $2, $3, $4, $5, 0, $6, '', $7, $7)
"""
_EVENT = """
INSERT INTO events (kind, owner_id, actor, cluster_id, cluster_name, operation_id, status, created_at)
VALUES ('cluster.created', $1, $2, $3, $4, $5, 'pending', $6)
"""


async def list_clusters(request: Request) -> Response:
    limit = int(request.query_params["limit"])
    rows = await _pool(request).fetch(_LIST, _token_hash(request), limit + 1)
    if not rows:
        return Response(status_code=401)
    items = [_summary(row, row["owner"]) for row in rows[:limit] if row["id"] is not None]
    return _json({"items": items, "next_cursor": items[-1]["id"] if len(rows) > limit else None})


async def create(request: Request) -> Response:
    wish = orjson.loads(await request.body())
    count, cpu, memory = wish["instance_count"], int(wish["cpu_per_instance"] * 1000), wish["memory_per_instance"]
    now = datetime.now(UTC)
    async with _pool(request).acquire() as connection:
        user = await connection.fetchrow(_TOKEN, _token_hash(request))
        if user is None:
            return Response(status_code=401)
        cluster = {"id": uuids.uuid7(), "name": wish["name"], "namespace": f"{wish['name']}-ns"}
        cluster |= {"instance_type": wish["instance_type"], "instance_count": count, "ready_instances": 0}
        cluster |= {"image": wish["image"], "labels": wish["labels"], "phase": "pending", "reason": None}
        cluster |= {"message": None, "created_at": now, "updated_at": now, "cpu_per_inst": cpu}
        cluster |= {"memory_per_inst": memory, "image_name": None, "flavour": None, "max_unavailable": 1}
        members = [_instance(cluster, ordinal) for ordinal in range(1, count + 1)]
        operation = uuids.uuid7()
        async with connection.transaction():
            if await connection.fetchrow(_CLAIM, user["id"], cpu * count, memory * count, count) is None:
                return Response(status_code=409)
            values = [cluster["name"], cluster["namespace"], cluster["instance_type"], cpu, memory, count]
            await connection.execute(
                _CLUSTER, cluster["id"], *values, cluster["image"], cluster["labels"], user["id"], now
            )
            await connection.executemany(_INSTANCE, members)
            await connection.execute(
                _OPERATION, operation, user["id"], user["username"], cluster["id"], cluster["name"], count, now
            )
            await connection.execute(
                _EVENT, user["id"], user["username"], cluster["id"], cluster["name"], operation, now
            )
    shown = _summary(cluster, user["username"])
    shown["instances"] = [
        {"id": id, "instance_name": name, "k8s_resource": resource, "status": "pending", "created_at": now}
        for id, _, _, name, resource, _ in members
    ]
    shown["operation"] = {"id": operation, "kind": "cluster.create", "status": "pending", "total": count}
    return _json(shown, 201)


def _instance(cluster: dict[str, Any], ordinal: int) -> tuple[uuid.UUID, uuid.UUID, int, str, str, datetime]:
    name = f"{cluster['name']}-instance-{ordinal}"
    return uuids.uuid7(), cluster["id"], ordinal, name, f"pods/{name}", cluster["created_at"]


def _summary(row: Any, owner: str) -> dict[str, Any]:
    shown = {name: row[name] for name in _FIELDS}
    cpu = {"cpu_per_instance": row["cpu_per_inst"] / 1000, "memory_per_instance": row["memory_per_inst"]}
    return shown | cpu | {"owner": owner, "access": "owner"}


def _token_hash(request: Request) -> str:
    return hashlib.sha256(request.headers["authorization"].removeprefix("Bearer ").encode()).hexdigest()


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z, default=str), status, media_type="application/json")


def _pool(request: Request) -> asyncpg.Pool:
    pool: asyncpg.Pool = request.app.state.pool
    return pool


async def _connected(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


async def serve(url: str, port: int) -> None:
    routes = [Route("/api/v1/clusters/", list_clusters), Route("/api/v1/clusters/", create, methods=["POST"])]
    app = Starlette(routes=routes)
    async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL, init=_connected) as pool:
        app.state.pool = pool
        config = uvicorn.Config(app, port=port, lifespan="off", log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2])))
