"""Commands that are carried out once, whatever the client sends again.

What changes rows keeps its Idempotency-Key in the same transaction (nizam.store.idempotency). A
command to a switch has no transaction: its key is taken in Redis before it is sent, and keeps the
answer afterwards. Of one whose outcome is not known the key stays taken: it is not sent again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import orjson

from nizam.errors import (
    Conflict,
    IdempotencyMismatch,
    KeyValueUnavailable,
    NizamError,
    TimeoutExceeded,
)
from nizam.http.changes import change_context, restore_reply, save_reply
from nizam.http.reply import Reply
from nizam.http.route import Call
from nizam.kv.interface import IKeyValue

KEPT_SECONDS: Final = 86_400.0


async def once(key_value: IKeyValue, call: Call, work: Callable[[], Awaitable[Reply]]) -> Reply:
    """What `work` answers, or has answered to an earlier request with the same key.

    Raises IdempotencyMismatch for a key of another request, Conflict while the first one is under
    way or its outcome is not known, KeyValueUnavailable when the key cannot be looked up.
    """
    it = change_context(call).idempotency
    if it is None:
        return await work()
    name = f"nizam:once:{it.owner}:{hashlib.sha256(it.key.encode()).hexdigest()}"
    request = it.request_hash.hex()
    taken = orjson.dumps({"request": request, "answer": None})
    if not await key_value.set(name, taken, seconds=KEPT_SECONDS, only_new=True):
        earlier = await key_value.get(name)
        known = orjson.loads(earlier) if earlier is not None else {"request": request}
        if known["request"] != request:
            raise IdempotencyMismatch("the Idempotency-Key was used for another request")
        if known.get("answer") is None:
            raise Conflict("the same command is under way, or its outcome is not known")
        return restore_reply(known["answer"].encode())
    try:
        reply = await work()
    except NizamError as error:
        if not (isinstance(error, TimeoutExceeded) or error.extra.get("maybe_executed")):
            # Should Redis be gone by now, the key stays taken: nothing is sent twice.
            with suppress(KeyValueUnavailable):
                await key_value.delete(name)
        raise
    answer = {"request": request, "answer": save_reply(reply).decode()}
    with suppress(KeyValueUnavailable):
        await key_value.set(name, orjson.dumps(answer), seconds=KEPT_SECONDS)
    return reply
