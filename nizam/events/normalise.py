"""From FreeSWITCH's events to ours: one switch event in, what follows from it out.

A `Normaliser` stands for one FreeSWITCH process. It does no I/O and reads no clock: `now` is any
clock in seconds that only goes forward. Feeding it an event twice does no harm, and neither does
a little disorder: FreeSWITCH itself delivers about one event in a hundred out of turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent
from nizam.events import recordings
from nizam.events.channels import Call, Calls, Channel, Lookup, TenantOfDomain
from nizam.events.conferences import Conferences
from nizam.events.customs import Customs
from nizam.events.endings import endings
from nizam.events.fields import channel_id, integer, moment
from nizam.events.legs import Leg, leg_from_event
from nizam.events.missed import missed
from nizam.events.parking import Parking
from nizam.events.places import NO_PLACES, Places
from nizam.events.told import Output
from nizam.events.transfers import Transfer, Transfers
from nizam.events.waiting import PATIENCE_SECONDS, Waiting
from nizam.model.events import Event


class Normaliser:
    """Turns the events of one FreeSWITCH process into ours.

    `node` is the switch node's name. `tenant_of_domain` and `lookup` tell which tenant a SIP
    domain, and which tenant and call a channel belongs to; `gateway_owner` which tenant a gateway
    of sofia.conf belongs to; `places` whose a conference room or a parking lot is.
    """

    def __init__(
        self,
        node: str,
        *,
        tenant_of_domain: TenantOfDomain,
        lookup: Lookup,
        gateway_owner: Callable[[str], UUID | None] = lambda _name: None,
        places: Places = NO_PLACES,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.node = node
        self.calls = Calls(tenant_of_domain, lookup)
        self._customs = Customs(self.calls, tenant_of_domain, gateway_owner, places, node)
        self._transfers = Transfers(self.calls, places)
        self._waiting = Waiting(patience)

    @property
    def waiting(self) -> Iterable[Call]:
        """The calls whose tenant is not known yet."""
        return self._waiting.calls

    def feed(self, event: SwitchEvent, now: float) -> Output:
        """What follows from `event`."""
        output = Output()
        handler = _CHANNEL_EVENTS.get(event.name)
        if handler is not None:
            found = self.calls.find(event)
            if found is not None:
                call, channel = found
                while self.calls.dropped:
                    dropped = self.calls.dropped.pop()
                    output.changed[dropped.call_id] = dropped
                handler(self, event, call, channel, output, now)
                output.changed[call.call_id] = call
                if call.tenant_id is not None and call.waits_since is not None:
                    self._waiting.release(call, output)
        elif event.name == "CHANNEL_UUID":
            old, new = event.get("Old-Unique-ID"), event.get("Unique-ID")
            if old and new:
                self.calls.rename(channel_id(old), channel_id(new))
        elif event.name == "CUSTOM":
            self._custom(event, output, now)
        return output

    def learn(self, call_id: UUID, tenant_id: UUID, part_of: UUID | None = None) -> Output:
        """The tenant of a call has become known from elsewhere, and which call it is a part of."""
        output = Output()
        call = self.calls.get(call_id)
        if call is not None and call.tenant_id is None:
            call.tenant_id = tenant_id
            self.calls.learn_part(call, part_of)
            self._waiting.release(call, output)
            output.changed[call_id] = call
        return output

    def tick(self, now: float) -> Output:
        """What waited long enough goes out as it is; finished calls are forgotten."""
        output = Output()
        self._waiting.release_old(output, now)
        self.calls.forget_finished(now)
        return output

    def flush(self) -> Output:
        """Everything that waits, at once: this process ends."""
        output = Output()
        self._waiting.release_all(output)
        return output

    def end_leg(self, leg: Leg, at: datetime, sequence: int, now: float) -> Output:
        """A leg is over although no event said so: reconciliation found it gone."""
        output = Output()
        call = self.calls.of_leg(leg.leg_id)
        channel = call.channels.get(leg.leg_id) if call else None
        if call is not None and channel is not None and not channel.ended:
            self._leg_ended(call, channel, leg, output, at, str(leg.leg_id), sequence, now)
            output.changed[call.call_id] = call
        return output

    def gateway_changed(self, name: str, up: bool) -> bool:
        """Whether a gateway's state, seen on the switch, is another than the last one known."""
        return self._customs.gateways.changed(name, up)

    @property
    def conferences(self) -> Conferences:
        """The conferences of the process."""
        return self._customs.conferences

    @property
    def parking(self) -> Parking:
        """The calls that are parked in the process."""
        return self._customs.parking

    def adopt(self, dump: SwitchEvent, there: Collection[UUID], now: float) -> Output:
        """A channel is there that no event told of, or not of how it began: `uuid_dump` did.

        `there` are all channels of the switch: the first leg of a call that is not among them has
        ended. The events that were missed are made from the channel's own times, with sequence 0.
        """
        output = Output()
        known = self.calls.of_leg(channel_id(dump.get("Unique-ID") or ""))
        found = self.calls.find(dump)
        if found is None:
            return output
        call, channel = found
        is_first = channel.leg_id == call.call_id
        if known is not None and (call.begun or not is_first or channel.ended):
            return output
        channel.bridged = moment(dump.get("Caller-Channel-Bridged-Time")) is not None
        channel.held = dump.get("Channel-Call-State") == "HELD"
        output.changed[call.call_id] = call
        if is_first:
            call.begun = True
            for event in missed(call, channel, self.node):
                self._waiting.put(output, call, event, now)
        elif call.first is None and call.call_id not in there:
            self.calls.first_has_ended(call, channel)
        return output

    # -- channel events ---------------------------------------------------------------------

    def _created(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        if channel.leg_id == call.call_id and not channel.ended:
            call.begun = True
            self._emit(output, event, "call.started", call, channel, channel.parties(), now)

    def _progress(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        if channel.direction == "outbound" and not channel.ringing and not channel.ended:
            channel.ringing = True
            media = event.name == "CHANNEL_PROGRESS_MEDIA"
            data = channel.parties() | {"early_media": media}
            self._emit(output, event, "call.ringing", call, channel, data, now)

    def _answered(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        channel.answered_at = channel.answered_at or _time(event)
        if channel.dialled is not None and call.answered_by is None:
            call.answered_by = channel.leg_id
        if channel is call.first:
            self._emit(output, event, "call.answered", call, channel, channel.parties(), now)

    def _bridged(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        other_id = event.get("Bridge-B-Unique-ID")
        if other_id == event.get("Unique-ID"):
            other_id = event.get("Bridge-A-Unique-ID")
        other_id = other_id or event.get("Other-Leg-Unique-ID")
        data: dict[str, Any] = channel.parties()
        other_call = None
        if other_id:
            other_leg = channel_id(other_id)
            other_call = self.calls.of_leg(other_leg)
            other = other_call.channels.get(other_leg) if other_call else None
            data["other_leg_id"] = str(other_leg)
            channel.partner = other_leg
            if other is not None:
                other.bridged = True
                other.partner = channel.leg_id
                data["other_extension_id"] = _string(other.extension_id)
                data["other_number"] = other.number
        self._moved(event, call, channel, output, now)
        self._sent_on(event, self._transfers.taken_over(event, call, channel), output, now)
        channel.bridged = True
        if other_call is not None and other_call is not call:
            # Two calls meet, as in an attended transfer: both keep their ids.
            data["other_call_id"] = str(other_call.told_id)
            if call.tenant_id is None:
                call.tenant_id = other_call.tenant_id
        self._emit(output, event, "call.bridged", call, channel, data, now)

    def _held(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        channel.held = event.name == "CHANNEL_HOLD"
        kind = "call.held" if channel.held else "call.resumed"
        self._moved(event, call, channel, output, now)
        self._emit(output, event, kind, call, channel, channel.parties(), now)

    def _dtmf(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        if (channel.number or "").startswith(("*", "#")):
            return  # what is typed after a feature code is a mailbox and its PIN
        data = {
            "digit": event.get("DTMF-Digit"),
            # In samples of 8 kHz, whatever the codec.
            "duration_ms": (integer(event.get("DTMF-Duration")) or 0) // 8,
            "source": (event.get("DTMF-Source") or "").lower() or None,
        }
        self._emit(output, event, "call.dtmf", call, channel, data, now)

    def _record(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        found = recordings.recording(event)
        if found is not None:
            kind, data = found
            call.recording = data["path"] if kind == "recording.started" else None
            data |= channel.parties() | {"direction": recordings.direction(call)}
            self._emit(output, event, kind, call, channel, data, now)

    def _moved(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        for found in self._transfers.found(event, call, channel):
            self._sent_on(event, found, output, now)

    def _sent_on(
        self, event: SwitchEvent, found: Transfer | None, output: Output, now: float
    ) -> None:
        if found is not None:
            found.call.moved = True
            self._emit(
                output, event, "call.transferred", found.call, found.channel, found.data, now
            )

    def _hung_up(
        self, event: SwitchEvent, call: Call, channel: Channel, output: Output, now: float
    ) -> None:
        leg = leg_from_event(event, self.node)
        if leg is None or channel.ended:
            return
        if event.get("Caller-Channel-Created-Time") is None:
            # An INVITE that was refused before it had a caller, as with a wrong password.
            channel.ended = True
            self.calls.finish(call, now)
            return
        self._moved(event, call, channel, output, now)
        self._sent_on(event, self._transfers.deflected(event, call, channel), output, now)
        at, core_id, sequence = _time(event), event.get("Core-UUID") or "", _sequence(event)
        if at is not None:
            self._leg_ended(call, channel, leg, output, at, core_id, sequence, now)

    def _leg_ended(
        self,
        call: Call,
        channel: Channel,
        leg: Leg,
        output: Output,
        at: datetime,
        core_id: str,
        sequence: int,
        now: float,
    ) -> None:
        channel.ended = True
        sent_here = call.part_of if leg.leg_id == call.call_id else None
        leg = attrs.evolve(
            leg,
            call_id=call.told_id,
            originator_id=leg.originator_id or sent_here,
            # The first one: a transfer between contexts does not change where a call came from.
            context=channel.context or leg.context,
            tenant_id=leg.tenant_id or call.tenant_id,
            extension_id=leg.extension_id or channel.extension_id,
        )
        call.legs[leg.leg_id] = leg
        if call.tenant_id is None:
            call.waiting_legs.append(leg)
        output.legs.append(leg)
        first = call.first
        if first is not None and first.ended and not call.live and call.finished_at is None:
            for event in endings(call, leg, at, core_id, sequence, self.node):
                self._waiting.put(output, call, event, now)
            self.calls.finish(call, now)

    # -- everything else --------------------------------------------------------------------

    def _custom(self, event: SwitchEvent, output: Output, now: float) -> None:
        told, at = self._customs.read(event), _time(event)
        output.shown += self._customs.take_shown()
        if told is None or at is None:
            return
        was_transferred = event.get("variable_transfer_source")  # as into a slot
        if was_transferred and told.call is not None and told.channel is not None:
            self._moved(event, told.call, told.channel, output, now)
        ours = Event(
            type=told.type,
            occurred_at=at,
            core_id=event.get("Core-UUID") or "",
            sequence=_sequence(event),
            node=self.node,
            tenant_id=told.tenant_id,
            call_id=told.call.told_id if told.call else None,
            leg_id=told.channel.leg_id if told.channel else None,
            data=told.data,
        )
        if told.in_call_only and told.call is not None:
            self._waiting.put(output, told.call, ours, now)
        else:
            output.events.append(ours)

    def _emit(
        self,
        output: Output,
        event: SwitchEvent,
        kind: str,
        call: Call,
        channel: Channel,
        data: dict[str, Any],
        now: float,
    ) -> None:
        at = _time(event)
        if at is None:
            return
        ours = Event(
            type=kind,
            occurred_at=at,
            core_id=event.get("Core-UUID") or "",
            sequence=_sequence(event),
            node=self.node,
            tenant_id=call.tenant_id,
            call_id=call.call_id,
            leg_id=channel.leg_id,
            data=data,
        )
        self._waiting.put(output, call, ours, now)


_Handler = Callable[[Normaliser, SwitchEvent, Call, Channel, Output, float], None]
_CHANNEL_EVENTS: Final[dict[str, _Handler]] = {
    "CHANNEL_CREATE": Normaliser._created,
    "CHANNEL_PROGRESS": Normaliser._progress,
    "CHANNEL_PROGRESS_MEDIA": Normaliser._progress,
    "CHANNEL_ANSWER": Normaliser._answered,
    "CHANNEL_BRIDGE": Normaliser._bridged,
    "CHANNEL_HOLD": Normaliser._held,
    "CHANNEL_UNHOLD": Normaliser._held,
    "CHANNEL_ORIGINATE": Normaliser._moved,
    "CHANNEL_OUTGOING": Normaliser._moved,
    "CHANNEL_UNBRIDGE": Normaliser._moved,
    "CHANNEL_PARK": Normaliser._moved,
    "CHANNEL_UNPARK": Normaliser._moved,
    "CALL_UPDATE": Normaliser._moved,
    "DTMF": Normaliser._dtmf,
    "RECORD_START": Normaliser._record,
    "RECORD_STOP": Normaliser._record,
    "CHANNEL_HANGUP_COMPLETE": Normaliser._hung_up,
}


def _string(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _time(event: SwitchEvent) -> datetime | None:
    return moment(event.get("Event-Date-Timestamp"))


def _sequence(event: SwitchEvent) -> int:
    return integer(event.get("Event-Sequence")) or 0
