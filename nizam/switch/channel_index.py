"""Which tenant and call a channel belongs to, as the dialplan lookups told.

A dialplan lookup may be answered by another instance than the one that listens to the event
socket, so what is recorded goes to Redis too, where it expires. Recording never waits: when Redis
is away the lookup is answered all the same, and only the memory of this process knows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable
from nizam.events.fields import identifier
from nizam.fsxml.served import Served
from nizam.kv.interface import IKeyValue

KEPT: Final = 100_000
KEPT_SECONDS: Final = 6 * 3600.0
_PREFIX: Final = "nizam:channel:"
_IN_FLIGHT: Final = 2_000


class ChannelIndex:
    """The index of one process, over the Redis that all processes share."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, key_value: IKeyValue | None = None) -> None:
        self._clock = clock
        self._key_value = key_value
        self._known: OrderedDict[str, tuple[UUID, UUID, float]] = OrderedDict()
        self._in_flight = 0

    def served(self, it: Served) -> None:
        """Remember whose channel it is that was routed."""
        if it.decision.tenant_id is not None and it.decision.call_id:
            self.record(it.call.unique_id, str(it.decision.tenant_id), it.decision.call_id)

    def record(self, channel_id: str, tenant_id: str, call_id: str) -> None:
        """Remember that the channel belongs to this tenant and call."""
        tenant, call = identifier(tenant_id), identifier(call_id)
        if tenant is None or call is None:
            return
        if not self._remember(channel_id, tenant, call):
            return
        if self._key_value is None or self._in_flight >= _IN_FLIGHT:
            return
        self._in_flight += 1
        Deferred.fromCoroutine(self._share(self._key_value, channel_id, f"{tenant} {call}"))

    def lookup(self, channel_id: str) -> tuple[UUID, UUID] | None:
        """(tenant id, call id) of the channel, as far as this process knows."""
        found = self._known.get(channel_id)
        return None if found is None else found[:2]

    async def find(self, channel_ids: Iterable[str]) -> dict[str, tuple[UUID, UUID]]:
        """The same for many channels, asking Redis about those that are not known here."""
        found: dict[str, tuple[UUID, UUID]] = {}
        unknown = []
        for channel_id in channel_ids:
            known = self.lookup(channel_id)
            if known is None:
                unknown.append(channel_id)
            else:
                found[channel_id] = known
        if not unknown or self._key_value is None:
            return found
        try:
            values = await self._key_value.mget([_PREFIX + it for it in unknown])
        except KeyValueUnavailable:
            return found
        for channel_id, value in zip(unknown, values, strict=True):
            tenant, _, call = (value or b"").decode("ascii", "replace").partition(" ")
            tenant_id, call_id = identifier(tenant), identifier(call)
            if tenant_id is not None and call_id is not None:
                self._remember(channel_id, tenant_id, call_id)
                found[channel_id] = (tenant_id, call_id)
        return found

    def _remember(self, channel_id: str, tenant_id: UUID, call_id: UUID) -> bool:
        """False when it was known already."""
        now = self._clock.seconds()
        if self.lookup(channel_id) == (tenant_id, call_id):
            return False
        self._known[channel_id] = (tenant_id, call_id, now)
        self._known.move_to_end(channel_id)
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) <= KEPT and now - self._known[oldest][2] < KEPT_SECONDS:
                break
            del self._known[oldest]
        return True

    async def _share(self, key_value: IKeyValue, channel_id: str, value: str) -> None:
        try:
            await key_value.set(_PREFIX + channel_id, value, seconds=KEPT_SECONDS)
        except KeyValueUnavailable as error:
            self._log.debug("a channel is known here only: {error}", error=str(error))
        finally:
            self._in_flight -= 1
