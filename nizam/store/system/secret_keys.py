"""The encryption key of a platform whose settings name none.

It is made once and kept in PostgreSQL, so that every instance has the same, with a copy in Redis
so that a process can start while PostgreSQL is away. That protects dumps of single tables and
logs, not a stolen database: NIZAM_SECRET_KEYS keeps the key apart.
"""

from __future__ import annotations

import secrets

from nizam.errors import DatabaseUnavailable, KeyValueUnavailable
from nizam.kv.interface import IKeyValue
from nizam.settings import SecretKey
from nizam.store.pool import Pool

_ID = "stored"
_COPY = b"nizam:secret-key"
_MAKE = "insert into secret_keys (id, key) values (%s, %s) on conflict (id) do nothing"


async def stored_key(pool: Pool, key_value: IKeyValue) -> SecretKey:
    """The platform's key, made now if this is the first start.

    Raises DatabaseUnavailable when neither PostgreSQL nor Redis has it.
    """
    try:
        await pool.execute(_MAKE, (_ID, secrets.token_bytes(32)))
        ((key,),) = await pool.query("select key from secret_keys where id = %s", (_ID,))
    except DatabaseUnavailable:
        copy = await key_value.get(_COPY)
        if copy is None:
            raise
        return SecretKey(_ID, copy)
    found = SecretKey(_ID, bytes(key))
    try:
        await key_value.set(_COPY, found.key)
    except KeyValueUnavailable:
        # The copy only helps a later start; that start will try again.
        return found
    return found
