"""API keys across tenants: found by their hash when a request comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import attrs

from nizam.model.api_key import ApiKey
from nizam.model.identifiers import new_id
from nizam.model.key_text import key_hash, key_start, new_key
from nizam.store.audit import AuditEntry, record
from nizam.store.context import SYSTEM
from nizam.store.pool import Pool, Transaction

_FIND = """
select k.id, k.body, case when k.key_hash <> %(digest)s then k.previous_key_expires_at end
from api_keys k left join tenants t on t.id = k.tenant_id
where (k.key_hash = %(digest)s or k.previous_key_hash = %(digest)s) and k.enabled
  and (k.tenant_id is null or t.status <> 'terminated')
"""
_TOUCH = "update api_keys set last_used_at = now(), last_used_from = %s where id = %s"
_ADD = "insert into api_keys (id, body, key_hash, key_start) values (%s, %s, %s, %s)"


@attrs.frozen(kw_only=True)
class FoundKey:
    """What a key is allowed. Whether it has expired is for the caller's clock to say: a key that
    was rotated holds until its grace is over."""

    id: UUID
    name: str
    tenant_id: UUID | None
    scopes: frozenset[str]
    rate_limit_per_minute: int | None
    expires_at: datetime | None
    allowed_cidrs: tuple[str, ...]


async def find_api_key(pool: Pool, digest: str) -> FoundKey | None:
    """The enabled key with this hash (model.key_text.key_hash), or None. A key whose tenant is
    terminated is none any more."""
    rows = await pool.query(_FIND, {"digest": digest})
    if not rows:
        return None
    identifier, body, grace_ends_at = rows[0]
    key = ApiKey.model_validate(body, extra="ignore")
    ends = [it for it in (key.expires_at, grace_ends_at) if it is not None]
    return FoundKey(
        id=identifier,
        name=key.name,
        tenant_id=key.tenant_id,
        scopes=frozenset(key.scopes),
        rate_limit_per_minute=key.rate_limit_per_minute,
        expires_at=min(ends, default=None),
        allowed_cidrs=key.allowed_cidrs,
    )


async def touch_api_key(pool: Pool, key_id: UUID, address: str) -> None:
    """Note that a key was used now, from this address."""
    await pool.execute(_TOUCH, (address, key_id))


async def create_platform_key(
    pool: Pool, name: str, rate_limit_per_minute: int | None = None, environment: str = "dev"
) -> str:
    """Make a key of the platform that may do everything; its text, which is kept nowhere."""
    key = new_key(environment)
    body = ApiKey(name=name, scopes=("*",), rate_limit_per_minute=rate_limit_per_minute)
    identifier = new_id()

    async def add(transaction: Transaction) -> None:
        shown = body.model_dump(mode="json")
        await transaction.execute(_ADD, (identifier, shown, key_hash(key), key_start(key)))
        made = AuditEntry(
            action="created", resource_type="api_key", resource_id=identifier, after=shown
        )
        await record(transaction, SYSTEM, datetime.now(UTC), made)

    await pool.transaction(add)
    return key
