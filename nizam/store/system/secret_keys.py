"""The encryption key of a platform whose settings name none.

It is made once and kept in PostgreSQL, so that every instance has the same, with a copy in Redis
so that a process can start while PostgreSQL is away. That protects dumps of single tables and
logs, not a stolen database: NIZAM_SECRET_KEYS keeps the key apart. What the platform's own key has
encrypted can still be read once there are keys in the settings.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from psycopg2.errors import UndefinedTable

from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.settings import SecretKey
from nizam.store.pool import Pool

STORED_KEY_ID = "stored"
"""The id of that key; no key in the settings may have it."""

_COPY = b"nizam:secret-key"
_MAKE = "insert into secret_keys (id, key) values (%s, %s) on conflict (id) do nothing"


async def keys_in_use(
    pool: Pool, key_value: IKeyValue, configured: tuple[SecretKey, ...]
) -> tuple[SecretKey, ...]:
    """The keys of a process: those that are configured and, behind them, the platform's own while
    there is one; without any that are configured, the platform's own, made now if need be.

    Raises DatabaseUnavailable or KeyValueUnavailable when it cannot be known.
    """
    if not configured:
        return (await stored_key(pool, key_value),)
    try:
        found = await pool.query("select key from secret_keys where id = %s", (STORED_KEY_ID,))
    except DatabaseUnavailable:
        copy = await key_value.get(_COPY)
        return configured if copy is None else (*configured, SecretKey(STORED_KEY_ID, copy))
    except UndefinedTable:
        # Not migrated yet: there is nothing that the platform's own key has encrypted.
        return configured
    if not found:
        with suppress(KeyValueUnavailable):
            await key_value.delete(_COPY)
        return configured
    return (*configured, SecretKey(STORED_KEY_ID, bytes(found[0][0])))


async def stored_key(pool: Pool, key_value: IKeyValue) -> SecretKey:
    """The platform's key, made now if this is the first start.

    Raises DatabaseUnavailable when neither PostgreSQL nor Redis has it.
    """
    try:
        await pool.execute(_MAKE, (STORED_KEY_ID, secrets.token_bytes(32)))
        ((key,),) = await pool.query("select key from secret_keys where id = %s", (STORED_KEY_ID,))
    except DatabaseUnavailable:
        copy = await key_value.get(_COPY)
        if copy is None:
            raise
        return SecretKey(STORED_KEY_ID, copy)
    found = SecretKey(STORED_KEY_ID, bytes(key))
    try:
        await key_value.set(_COPY, found.key)
    except KeyValueUnavailable:
        # The copy only helps a later start; that start will try again.
        return found
    return found
