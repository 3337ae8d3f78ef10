"""The peer of `api`: FastAPI, uvicorn and asyncpg over the same PostgreSQL and Redis.

    python benchmarks/api_peer.py PORT DSN REDIS_URL

It does what NIZAM does for each request and is written as such handlers are: the key is looked up
by its hash (and kept for 5 s), the rate limit counted in Redis by the same script, the row read or
written under row-level security; a change also writes its audit row, its place in the change feed
and its event, in one transaction under the tenant's lock. It lacks idempotency, references,
quotas, webhooks and the audit log's chain.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import redis.asyncio as redis
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

LIMIT_SCRIPT = Path(__file__).parent.parent / "nizam/kv/scripts/rate_limit.lua"
KEY_SECONDS = 5.0
_EXTENSION = (
    "select id, tenant_id, version, created_at, updated_at, body from extensions "
    "where id = $1 and tenant_id = $2"
)
_EXTENSIONS = (
    "select id, tenant_id, version, created_at, updated_at, body from extensions "
    "where tenant_id = $1 order by created_at, id limit $2"
)
_GATEWAY = "select id, tenant_id, version, created_at, updated_at, body from gateways where id = $1"


class Gateway(BaseModel):
    """What a client may say of a gateway, as far as the benchmark says it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=120)]
    host: Annotated[str, Field(max_length=253, pattern=r"^[a-zA-Z0-9_.-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 5060
    transport: Annotated[str, Field(pattern="^(udp|tcp|tls)$")] = "udp"
    register_: Annotated[bool, Field(alias="register")] = False
    enabled: bool = True


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(sys.argv[2], min_size=8, max_size=8) as pool:
        app.state.pool = pool
        app.state.redis = redis.from_url(sys.argv[3])
        app.state.limit = app.state.redis.register_script(LIMIT_SCRIPT.read_text())
        app.state.keys = {}
        print("ready", flush=True)
        yield


app = FastAPI(lifespan=_lifespan)


async def principal(request: Request, response: Response) -> dict[str, Any]:
    """Whose key it is; counted against its limit."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    digest = hashlib.sha256(key.encode()).hexdigest()
    known = app.state.keys.get(digest)
    if known is None or known[0] < time.monotonic():
        row = await app.state.pool.fetchrow(
            "select id, body from api_keys where key_hash = $1 and enabled", digest
        )
        if row is None:
            raise HTTPException(401)
        known = (time.monotonic() + KEY_SECONDS, {"id": row[0], **orjson.loads(row[1])})
        app.state.keys[digest] = known
    found: dict[str, Any] = known[1]
    limit = found["rate_limit_per_minute"] or 60
    interval = 60_000_000 // limit
    ((allowed, remaining, _, _),) = await app.state.limit(
        keys=[f"peer:{{{found['id']}}}"], args=[interval, interval * limit, 1]
    )
    if not allowed:
        raise HTTPException(429)
    response.headers["X-RateLimit-Remaining"] = str(remaining)
    return found


def permitted(scope: str) -> Any:
    """The dependency that lets keys with `scope` through, to their own tenant."""

    def check(tenant_id: UUID, who: Annotated[dict[str, Any], Depends(principal)]) -> None:
        if who["tenant_id"] not in (None, str(tenant_id)):
            raise HTTPException(404)
        if "*" not in who["scopes"] and scope not in who["scopes"]:
            raise HTTPException(403)

    return Depends(check)


async def _enter(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    await connection.execute(
        "select set_config('role', 'nizam_tenant', true), set_config('nizam.tenant', $1, true)",
        str(tenant_id),
    )


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": row["id"],
        "tenant_id": row["tenant_id"],
        "version": row["version"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        **orjson.loads(row["body"]),
    }


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")


@app.get(
    "/api/v1/tenants/{tenant_id}/extensions/{identifier}",
    dependencies=[permitted("extensions:read")],
)
async def get_extension(tenant_id: UUID, identifier: UUID) -> Response:
    """One extension."""
    async with app.state.pool.acquire() as connection, connection.transaction():
        await _enter(connection, tenant_id)
        row = await connection.fetchrow(_EXTENSION, identifier, tenant_id)
    if row is None:
        raise HTTPException(404)
    return _json(_shown(row))


@app.get("/api/v1/tenants/{tenant_id}/extensions", dependencies=[permitted("extensions:read")])
async def list_extensions(
    tenant_id: UUID, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Response:
    """The first page."""
    async with app.state.pool.acquire() as connection, connection.transaction():
        await _enter(connection, tenant_id)
        rows = await connection.fetch(_EXTENSIONS, tenant_id, limit + 1)
    return _json({"data": [_shown(it) for it in rows[:limit]], "has_more": len(rows) > limit})


@app.post("/api/v1/tenants/{tenant_id}/gateways", dependencies=[permitted("gateways:write")])
async def create_gateway(tenant_id: UUID, gateway: Gateway) -> Response:
    """Make one."""
    identifier, now = uuid4(), datetime.now(UTC)
    body = orjson.dumps(gateway.model_dump(mode="json", by_alias=True)).decode()
    async with app.state.pool.acquire() as connection, connection.transaction():
        revision = await connection.fetchval(
            "update tenants set revision = revision + 1 where id = $1 returning revision",
            tenant_id,
        )
        if revision is None:
            raise HTTPException(404)
        await connection.execute(
            "insert into gateways (id, tenant_id, body) values ($1, $2, $3)",
            identifier,
            tenant_id,
            body,
        )
        await connection.execute(
            "insert into changes (tenant_id, revision, resource_type, resource_id, operation) "
            "values ($1, $2, 'gateway', $3, 'created')",
            tenant_id,
            revision,
            identifier,
        )
        await connection.execute(
            "insert into benchmark_audit values ($1, $2, $3)", uuid4(), now, body
        )
        await connection.execute(
            "insert into benchmark_events values ($1, $2, $3)", uuid4(), now, body
        )
        row = await connection.fetchrow(_GATEWAY, identifier)
    return _json(_shown(row), 201)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", backlog=1024)
