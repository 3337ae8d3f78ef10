"""Events that wait until the tenant of their call is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import attrs

from nizam.events.channels import Call
from nizam.events.told import Output
from nizam.model.events import Event

PATIENCE_SECONDS: Final = 5.0
"""How long events of a call wait for its tenant; then they are stored without one."""
MOST_WAITING: Final = 20_000
"""Events that wait for a tenant at the same time, over all calls."""

_TOLD_WHERE_IT_BEGAN: Final = frozenset(
    {
        "call.started",
        "call.ringing",
        "call.answered",
        "call.bridged",
        "call.dtmf",
        "call.ended",
        "call.missed",
    }
)
"""What happens at both switches of a call."""
_SINCE_MOVED: Final = frozenset({"call.ringing", "call.bridged"})


class Waiting:
    """The calls of one FreeSWITCH process whose tenant is not known yet, and their events.

    An event that has a tenant already, as one of a tenant's conference room has, is told if the
    call turns out to be of the same tenant, and not at all otherwise.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._calls: dict[UUID, Call] = {}
        self._events = 0

    @property
    def calls(self) -> Iterable[Call]:
        """Those calls."""
        return self._calls.values()

    def put(self, output: Output, call: Call, event: Event, now: float) -> None:
        """Hand on the event of a call, at once or when the call's tenant is known."""
        if call.tenant_id is None and self._events < MOST_WAITING:
            if call.waits_since is None:
                call.waits_since = now
            if now - call.waits_since < self._patience:
                self._calls[call.call_id] = call
                self._events += 1
                call.waiting.append(event)
                return
        output.events += _of_tenant(call, [event])

    def release(self, call: Call, output: Output) -> None:
        """Hand on what waited, with the tenant if it is known by now; legs go again with it."""
        self._calls.pop(call.call_id, None)
        waiting, call.waiting = call.waiting, []
        self._events -= len(waiting)
        output.events[:0] = _of_tenant(call, waiting)
        if call.tenant_id is not None:
            call.waits_since = None
            legs, call.waiting_legs = call.waiting_legs, []
            output.legs += [
                attrs.evolve(leg, tenant_id=call.tenant_id, call_id=call.told_id) for leg in legs
            ]

    def release_old(self, output: Output, now: float) -> None:
        """Hand on what waited long enough, as it is."""
        for call in list(self._calls.values()):
            if call.waits_since is not None and now - call.waits_since >= self._patience:
                self.release(call, output)

    def release_all(self, output: Output) -> None:
        """Hand on everything."""
        for call in list(self._calls.values()):
            self.release(call, output)


def _of_tenant(call: Call, events: Iterable[Event]) -> list[Event]:
    """The events with the call's tenant; without those that are another's, or may be, and without
    those that another switch tells."""
    unsaid = _TOLD_WHERE_IT_BEGAN if call.part_of is not None else frozenset[str]()
    if call.moved:
        unsaid -= _SINCE_MOVED
    tenant_id, call_id = call.tenant_id, call.told_id
    return [
        it
        if it.tenant_id == tenant_id and it.call_id == call_id
        else attrs.evolve(it, tenant_id=tenant_id, call_id=call_id)
        for it in events
        if (it.tenant_id is None or it.tenant_id == tenant_id) and it.type not in unsaid
    ]
