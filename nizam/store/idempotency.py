"""Idempotency keys, kept in the transaction of the change that they name."""

from __future__ import annotations

import base64
from typing import Any, Final
from uuid import UUID

from nizam.errors import IdempotencyMismatch
from nizam.store.connection import Statement
from nizam.store.context import Idempotency
from nizam.store.pool import Transaction
from nizam.store.secrets import SecretBox

KEPT_HOURS: Final = 24
"""How long a key stands for its first request."""

_CLAIM = f"""
insert into idempotency_keys as it (owner, key, tenant_id, request_hash)
values (%(owner)s, %(key)s, %(tenant_id)s, %(request_hash)s)
on conflict (owner, key) do update
set request_hash = excluded.request_hash, tenant_id = excluded.tenant_id,
    answer = null, created_at = now()
where it.created_at < now() - interval '{KEPT_HOURS} hours'
returning true
"""  # noqa: S608 - our own number
_FIND = "select request_hash, answer from idempotency_keys where owner = %s and key = %s"
_SAVE = "update idempotency_keys set answer = %s where owner = %s and key = %s"


async def earlier_answer(
    transaction: Transaction, it: Idempotency, tenant_id: UUID | None, box: SecretBox
) -> tuple[bool, Any]:
    """(True, the answer given before), or (False, None) and the key is now this request's.

    Another request with the same key that runs at this moment is waited for. Raises
    IdempotencyMismatch when the key was used for a different request.
    """
    claimed = await transaction.query(
        _CLAIM,
        {
            "owner": it.owner,
            "key": it.key,
            "tenant_id": tenant_id,
            "request_hash": it.request_hash,
        },
    )
    if claimed:
        return False, None
    found = await transaction.query(_FIND, (it.owner, it.key))
    if not found or bytes(found[0][0]) != it.request_hash or found[0][1] is None:
        raise IdempotencyMismatch("the Idempotency-Key was used for another request")
    text = box.decrypt(found[0][1], "idempotency", it.owner, it.key)
    return True, it.restore(base64.b64decode(text))


def kept_answer(it: Idempotency, answer: Any, box: SecretBox) -> Statement:
    """The statement that stores the answer, encrypted: it can hold a secret that is shown once."""
    text = base64.b64encode(it.save(answer)).decode()
    sealed = box.encrypt(text, "idempotency", it.owner, it.key)
    return _SAVE, (sealed, it.owner, it.key)
