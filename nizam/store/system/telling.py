"""Writing events together with what they tell of, and handing on the webhook deliveries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

from nizam.store.pool import Pool, Transaction
from nizam.store.system.events import WriteResult

DEADLINE_SECONDS: Final = 5.0

Told = Callable[[Iterable[tuple[UUID, UUID]]], None]
"""Gets (delivery id, webhook id) of the webhook deliveries that were committed."""


async def write_and_tell(
    pool: Pool, told: Told, work: Callable[[Transaction], Awaitable[WriteResult]]
) -> WriteResult:
    """Commit what `work` writes, then say which deliveries wait now; what it gave.

    Raises DatabaseUnavailable, and what `work` raises.
    """
    written = await pool.transaction(work, DEADLINE_SECONDS)
    if written.deliveries:
        told(written.deliveries)
    return written
