"""Ends calls when the minutes of their tenant's day are spent.

New calls are refused by routing; those that are up go on for as long as they like unless somebody
ends them. Calls for help are never ended, and neither are calls that began on a day of which
minutes are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable, NizamError
from nizam.esl import call_commands
from nizam.kv.interface import IKeyValue
from nizam.model.events import Event
from nizam.routing.facts import Limit
from nizam.routing.limits import LIMIT_REACHED, WHAT, of_tenant
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.time import day_of
from nizam.switch.call_legs import live_legs, node_of
from nizam.switch.call_limits import CallLimits
from nizam.switch.call_states import is_counted
from nizam.switch.command_links import Links
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document
from nizam.switch.side_by_side import side_by_side

LOOK_SECONDS: Final = 5.0
CAUSE: Final = "ALLOTTED_TIMEOUT"
COMMAND_SECONDS: Final = 5.0
CLAIMED_SECONDS: Final = 60.0
"""For how long one instance alone ends a call: another one takes over should it die meanwhile."""


class SpentMinutes(Service):
    """Looks every few seconds. With several instances one of them ends a call, and tells."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key_value: IKeyValue,
        *,
        snapshot: Snapshot,
        live: LiveState,
        counts: CallLimits,
        links: Links,
        tell: Callable[[Sequence[Event]], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key_value = key_value
        self._snapshot = snapshot
        self._live = live
        self._counts = counts
        self._links = links
        self._tell = tell
        self._now = now
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looking.start(LOOK_SECONDS, now=False)

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Look no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.look()).addErrback(
            lambda failure: self._log.failure("calls are not ended when minutes are spent", failure)
        )

    async def look(self) -> None:
        """End the calls of those whose minutes are spent."""
        up = list(self._calls())
        if not up:
            return
        limits = {limit.key: limit for _, _, limit in up}
        counted = await self._counts.count(list(limits.values()))

        async def check(it: tuple[TenantView, Document, Limit]) -> None:
            view, call, limit = it
            count = counted[limit.key][0]
            if count >= limit.most and await self._is_mine(call):
                await self._end(view, call, limit, count)

        # A switch that does not answer holds up no calls of others.
        await side_by_side(up, check)

    def _calls(self) -> Iterator[tuple[TenantView, Document, Limit]]:
        """The calls that count, of tenants whose minutes are limited, each with the limit of the
        day on which it began."""
        limited = {
            str(view.id): view
            for view in self._snapshot.tenants()
            if view.tenant.quotas.max_call_minutes_per_day
        }
        for call in self._live.calls() if limited else ():
            view = limited.get(call["tenant_id"])
            if view is not None and is_counted(self._snapshot, view.id, call["to"]):
                began = datetime.fromisoformat(call["started_at"])
                day = day_of(began, view.tenant.time_zone)
                found = of_tenant(view.id, view.tenant.quotas, day)
                yield view, call, next(it for it in found if it.kind == "minutes_per_day")

    async def _is_mine(self, call: Document) -> bool:
        """Whether no other instance has ended it a moment ago."""
        name = f"nizam:spent:{call['call_id']}"
        try:
            return await self._key_value.set(name, b"1", seconds=CLAIMED_SECONDS, only_new=True)
        except KeyValueUnavailable:
            return True

    async def _end(self, view: TenantView, call: Document, limit: Limit, count: int) -> None:
        ended = False
        for leg in live_legs(call):
            one = UUID(leg["leg_id"])
            line = call_commands.kill(one, CAUSE)
            try:
                link = self._links.command_link(node_of(call, one))
                await link.bgapi(line, COMMAND_SECONDS)
                ended = True
            except NizamError as error:
                # A leg that has gone with the one before is no longer there.
                self._log.debug("{line}: {error}", line=line, error=error.detail)
        if ended:
            self._tell([self._event(view, call, limit, count)])
        else:
            await self._leave(call)

    async def _leave(self, call: Document) -> None:
        """It could not be ended: the next look tries again."""
        try:
            await self._key_value.delete(f"nizam:spent:{call['call_id']}")
        except KeyValueUnavailable as error:
            self._log.debug("{error}", error=error.detail)

    def _event(self, view: TenantView, call: Document, limit: Limit, count: int) -> Event:
        data: dict[str, Any] = {
            "reason": f"the tenant has {count} of {limit.most} {WHAT[limit.kind]}",
            "cause": CAUSE,
            "from": call["from"],
            "to": call["to"],
            "extension_id": None,
            "scope": limit.scope,
            "kind": limit.kind,
            "id": str(limit.id),
            "limit": limit.most,
            "count": count,
        }
        return Event(
            type=LIMIT_REACHED,
            occurred_at=self._now(),
            core_id=str(call["call_id"]),
            sequence=0,
            node=call["node"],
            tenant_id=view.id,
            call_id=UUID(call["call_id"]),
            data=data,
        )
