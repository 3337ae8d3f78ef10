"""Commands to calls under way, over the command link of the switch that has the call."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import attrs

from nizam import metrics
from nizam.errors import NizamError, NotFound, SwitchError
from nizam.switch.command_links import Links
from nizam.switch.commanding import COMMAND_SECONDS, run_on
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document
from nizam.switch.originations import Originations

_GONE: Final = re.compile(r"no such channel|cannot locate session|invalid uuid", re.IGNORECASE)


@attrs.frozen
class CallControl:
    """Finds calls and runs commands on them.

    Whose a call is, is what our own live state says of it, whichever instance heard of it; a call
    that was placed a moment ago is known by its own record.
    """

    links: Links
    live: LiveState
    originations: Originations

    async def call(self, tenant_id: UUID, call_id: UUID) -> Document:
        """The tenant's call under way; NotFound for every other."""
        found = await self.live.look_up(call_id, tenant_id)
        if found is None:
            placed = await self.originations.find(call_id)
            if placed is not None and placed.tenant_id == tenant_id:
                found = placed.as_call()
        if found is None:
            raise NotFound("no such call is under way")
        return found

    async def run(self, verb: str, node: str, line: str, seconds: float = COMMAND_SECONDS) -> str:
        """What the switch says to the command; `verb` is for the metric.

        Raises NotFound when the leg has ended meanwhile, SwitchError with what else the switch
        refused, SwitchUnavailable or TimeoutExceeded with `maybe_executed`.
        """
        outcome = "failed"
        try:
            said = await self._run(node, line, seconds)
            outcome = "done"
        except NizamError as error:
            outcome = error.code
            raise
        finally:
            metrics.CALL_COMMANDS_TOTAL.labels(verb, outcome).inc()
        return said

    async def _run(self, node: str, line: str, seconds: float) -> str:
        try:
            return await run_on(self.links, node, line, seconds)
        except SwitchError as error:
            if _GONE.search(error.detail):
                said = error.detail.removeprefix("FreeSWITCH says: ")
                raise NotFound(f"the leg is no longer there: {said}") from None
            raise
