"""CDRs that mod_json_cdr posts: any instance takes them, whoever listens to the switch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import attrs
import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from nizam.errors import DatabaseUnavailable, MalformedJson
from nizam.events.legs import Leg, leg_from_json_cdr
from nizam.events.normalise import Normaliser
from nizam.events.told import Output
from nizam.switch.batch import Batch
from nizam.switch.channel_index import ChannelIndex

CDR_SECONDS: Final = 5.0
EARLY_CDRS: Final = 20_000
"""CDRs kept in memory for legs whose hang-up was not heard: reconciliation needs them."""


class CdrIntake:
    """Stores records, placed by what this process knows of their calls.

    `normaliser` gives the one of a node; `store` takes a batch over; `take` what follows when a
    record tells the tenant of a call.
    """

    def __init__(
        self,
        clock: IReactorTime,
        index: ChannelIndex,
        normaliser: Callable[[str], Normaliser],
        store: Callable[[Batch], None],
        take: Callable[[Output, str], None],
    ) -> None:
        self._clock = clock
        self._index = index
        self._normaliser = normaliser
        self._store = store
        self._take = take
        self._early: OrderedDict[UUID, Leg] = OrderedDict()

    def early(self, leg_id: UUID) -> Leg | None:
        """The CDR of a leg whose hang-up was not heard, if it has come."""
        return self._early.get(leg_id)

    def heard(self, leg_id: UUID) -> None:
        """The hang-up of this leg was heard."""
        self._early.pop(leg_id, None)

    async def accept(self, node: str, uuid: str, record: Mapping[str, Any] | bytes | str) -> None:
        """Store a record of mod_json_cdr; returns when it is stored or safe in Redis.

        `uuid` is what the request's address says. Raises MalformedJson or ValidationFailed for
        what is no CDR, DatabaseUnavailable when it is not safe yet: the same record may come
        again, any number of times.
        """
        if not isinstance(record, Mapping):
            try:
                record = orjson.loads(record)
            except orjson.JSONDecodeError as error:
                raise MalformedJson(f"the CDR of {uuid} is not JSON: {error}") from None
            if not isinstance(record, Mapping):
                raise MalformedJson(f"the CDR of {uuid} is not a JSON object")
        leg = self._placed(leg_from_json_cdr(record, node), node)
        waiter: Deferred[None] = Deferred()
        self._store(Batch([], [leg], [waiter]))

        def give_up() -> None:
            if not waiter.called:
                waiter.errback(DatabaseUnavailable("the CDR is not stored yet"))

        timer = self._clock.callLater(CDR_SECONDS, give_up)
        try:
            await waiter
        finally:
            if timer.active():
                timer.cancel()

    def _placed(self, leg: Leg, node: str) -> Leg:
        """The leg with its call and tenant, as far as memory knows better than the record."""
        calls = self._normaliser(node).calls
        call = calls.of_leg(leg.leg_id)
        if call is None and leg.originator_id is not None:
            call = calls.of_leg(leg.originator_id)
        call_id = call.told_id if call else leg.call_id
        if call_id is None and leg.direction == "inbound" and leg.originator_id is None:
            call_id = leg.leg_id
        tenant_id = leg.tenant_id or (call.tenant_id if call else None)
        if tenant_id is None:
            found = self._index.lookup(str(call_id or leg.leg_id))
            tenant_id = found[0] if found else None
        leg = attrs.evolve(leg, call_id=call_id, tenant_id=tenant_id)
        channel = call.channels.get(leg.leg_id) if call else None
        if channel is None or not channel.ended:
            self._early[leg.leg_id] = leg
            if len(self._early) > EARLY_CDRS:
                self._early.popitem(last=False)
        if call is not None and call.tenant_id is None and tenant_id is not None:
            self._take(self._normaliser(node).learn(call.call_id, tenant_id), node)
        return leg
