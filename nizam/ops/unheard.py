"""Tells the end of calls that nobody heard hang up, once their CDR has come.

The event link was away, or the instance that listened died, and what told of the call is in its CDR
alone. A call that the switch still has is left alone: its end is still to come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.ops.scheduler import Outcome, Turn
from nizam.store.pool import Transaction
from nizam.store.system.events import write_events
from nizam.store.system.unheard import Unheard, ends_of, unheard_calls

PATIENCE_SECONDS: Final = 20.0
"""For how long the event may come after the CDR: the link, the switch's queue and the intake's
buffer are all quicker when they are there."""
SOON_SECONDS: Final = 600.0
LATE_HOURS: Final = 26
_SPAN_SECONDS: Final = 3600.0
_MOST: Final = 200


@attrs.frozen
class UnheardCalls:
    """The task. `links` are the nodes' links as they are shown, `is_live` whether any node has
    the call now, `seconds` how far back it looks."""

    links: Callable[[], Mapping[str, Mapping[str, Any]]]
    is_live: Callable[[UUID], bool]
    seconds: float = SOON_SECONDS

    async def __call__(self, turn: Turn) -> Outcome:
        """Tell of those that are over, as far as that is known."""
        since = self.seconds
        while since > PATIENCE_SECONDS:
            until = max(PATIENCE_SECONDS, since - _SPAN_SECONDS)
            found = await unheard_calls(turn, since, until, _MOST)
            over = [it for it in found if self._is_over(it)]
            if over:
                await turn.transaction(partial(_tell, over=over))
            if turn.over:
                break
            if not over or len(found) < _MOST:
                since = until
        return Outcome()

    def _is_over(self, it: Unheard) -> bool:
        """Whether the node can be asked, and no longer has the call."""
        if it.node is None or not self.links().get(it.node, {}).get("connected"):
            return False
        return not self.is_live(it.call_id)


async def _tell(transaction: Transaction, *, over: Sequence[Unheard]) -> None:
    await write_events(transaction, await ends_of(transaction, over))
