"""What tenants use beside calls, booked on schedule: calls at once, storage, phones.

Each books only what is not booked yet, so that a turn may end anywhere and come again, on another
instance, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

import attrs

from nizam.ops.scheduler import Outcome, Turn
from nizam.store.system import usage
from nizam.switch.live import LiveState

HOURS_BACK: Final = 26
"""How far back calls at once are looked at: a call is known when it has ended, a day later at
most."""
_TENANTS: Final = 20
_FIRST: Final = UUID(int=0)


@attrs.define
class Peaks:
    """The most calls at once of each hour, one tenant after another."""

    _after: UUID = _FIRST

    async def __call__(self, turn: Turn) -> Outcome:
        """Go on where the last turn has ended."""
        while not turn.over:
            tenants = await usage.tenants_after(turn, self._after, _TENANTS)
            if not tenants:
                self._after = _FIRST
                return Outcome()
            for tenant_id in tenants:
                await usage.book_peaks(turn, tenant_id, HOURS_BACK)
                self._after = tenant_id
        return Outcome(more=True)


async def storage(turn: Turn) -> Outcome:
    """What the files of each tenant take."""
    await usage.book_storage(turn)
    return Outcome()


@attrs.frozen
class Devices:
    """How many phones are registered; `counts` says it of each tenant, as it is now."""

    counts: Callable[[], Mapping[UUID, int]]

    async def __call__(self, turn: Turn) -> Outcome:
        """Book it. Before any phone was seen, as just after a start, nothing is."""
        counts = self.counts()
        if counts:
            await usage.book_devices(turn, counts)
        return Outcome()


def registered(live: LiveState) -> Mapping[UUID, int]:
    """How many phones of each tenant are registered with any node."""
    return Counter(UUID(it["tenant_id"]) for it in live.registrations() if it.get("tenant_id"))
