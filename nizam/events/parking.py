"""valet_parking::info: calls that are parked, fetched, and sent back when nobody comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call, Calls, Channel
from nizam.events.fields import channel_id, identifier, integer, milliseconds, moment
from nizam.events.places import Place, Places
from nizam.events.told import Shown, Told
from nizam.events.transfers import referrer
from nizam.model.events import timestamp
from nizam.routing.tokens import ParkedTooLong, read_token

MOST_KEPT: Final = 20_000
"""Parked calls whose end may not have been heard."""

_KIND: Final = "parked_calls"


@attrs.frozen
class _Parked:
    """A call in a slot; the lot may be deleted meanwhile. `since` is None when its beginning was
    not heard."""

    lot: Place
    slot: str | None
    since: datetime | None
    call: Call
    channel: Channel
    by: Mapping[str, Any] = attrs.field(factory=dict)

    def document(self, node: str) -> dict[str, Any] | None:
        """As the live state shows it; None in the lot of another tenant."""
        if self.call.tenant_id != self.lot.tenant_id:
            return None
        return {
            "leg_id": str(self.channel.leg_id),
            "call_id": str(self.call.call_id),
            "tenant_id": str(self.lot.tenant_id),
            "parking_lot_id": str(self.lot.id),
            "number": self.lot.number,
            "name": self.lot.name,
            "slot": self.slot,
            "node": node,
            "parked_at": timestamp(self.since) if self.since else None,
            "caller_number": self.channel.own_number,
            "extension_id": self.channel.parties()["extension_id"],
            "timeout_seconds": self.by.get("timeout_seconds"),
            "parked_by": self.by.get("parked_by"),
            "parked_by_extension_id": self.by.get("parked_by_extension_id"),
        }


class Parking:
    """Knows the calls that are parked in one FreeSWITCH process, and since when. `shown` is what of
    them has changed since it was taken."""

    def __init__(self, places: Places, node: str) -> None:
        self._places = places
        self._node = node
        self._parked: OrderedDict[UUID, _Parked] = OrderedDict()
        self.shown: list[Shown] = []

    def listed(self, slots: Iterable[tuple[str, str, str]], calls: Calls, asked: datetime) -> None:
        """The switch has these calls in its lots and no others: names of lots, slots and channels,
        by its `valet_info` (valet_info_function in mod_valet_parking.c), beside what was parked
        since it was `asked`."""
        there = OrderedDict(
            (leg_id, it)
            for leg_id, it in self._parked.items()
            if it.since is not None and it.since >= asked
        )
        for name, slot, unique_id in slots:
            leg_id = channel_id(unique_id)
            parked = self._parked.get(leg_id)
            lot, call = self._places.lot(name), calls.of_leg(leg_id)
            channel = call.channels.get(leg_id) if call else None
            if parked is None and lot is not None and call is not None and channel is not None:
                parked = _Parked(lot, slot, None, call, channel)
            if parked is not None and not parked.channel.ended:
                there[leg_id] = parked
        self._parked = there
        self.shown.clear()

    def documents(self) -> dict[str, dict[str, Any]]:
        """The calls that are parked, by their legs."""
        found = ((str(it.channel.leg_id), it.document(self._node)) for it in self._parked.values())
        return {key: document for key, document in found if document is not None}

    def change(self, event: SwitchEvent, calls: Calls) -> Told | None:
        """What follows from the event; None for lots that are no tenant's.

        Source: valet_parking_function in FreeSWITCH's mod_valet_parking.c. It says `hold` when a
        call comes into a slot, `bridge` when somebody fetches it, and `exit` when it has left the
        slot, for whatever reason.
        """
        get = event.get
        at, unique_id = moment(get("Event-Date-Timestamp")), get("Unique-ID")
        if at is None or not unique_id:
            return None
        leg_id, action = channel_id(unique_id), get("Action")
        parked = self._parked.get(leg_id)
        lot = self._places.lot(get("Valet-Lot-Name") or "") or (parked.lot if parked else None)
        member = None if lot is None else calls.find(event)
        if lot is None or member is None:
            return None
        call, channel = member
        data: dict[str, Any] = {
            "parking_lot_id": str(lot.id),
            "number": lot.number,
            "name": lot.name,
            "slot": get("Valet-Extension"),
            **channel.parties(),
        }
        kind = "parking.retrieved"
        if action == "hold":
            kind = "parking.parked"
            by = {
                "timeout_seconds": integer(get("variable_valet_parking_timeout")),
                **_parked_by(event, call, channel),
            }
            self._park(leg_id, _Parked(lot, get("Valet-Extension"), at, call, channel, by))
            data |= by
        elif action == "bridge":
            fetched = _retrieved_by(event, calls, lot)
            self.shown.append(Shown(_KIND, str(leg_id), None))
            if fetched is None:
                return None
            data |= {"outcome": "retrieved", "duration_ms": _since(parked, at), **fetched}
        elif action == "exit":
            self._parked.pop(leg_id, None)
            self.shown.append(Shown(_KIND, str(leg_id), None))
            # The switch has sent the call to what we told it to, and says so before it asks us.
            if read_token(get("Caller-Destination-Number") or "") != ParkedTooLong(lot.id):
                return None
            data |= {"outcome": "returned", "duration_ms": _since(parked, at), **_NOBODY}
        else:
            return None
        return Told(kind, lot.tenant_id, data, call, channel, in_call_only=True)

    def _park(self, leg_id: UUID, parked: _Parked) -> None:
        self._parked[leg_id] = parked
        self.shown.append(Shown(_KIND, str(leg_id), parked.document(self._node)))
        if len(self._parked) > MOST_KEPT:
            old, _ = self._parked.popitem(last=False)
            self.shown.append(Shown(_KIND, str(old), None))


_NOBODY: Final = {
    "retrieved_by": None,
    "retrieved_by_extension_id": None,
    "retrieved_by_leg_id": None,
    "retrieved_by_call_id": None,
}


def _since(parked: _Parked | None, at: datetime) -> int | None:
    since = None if parked is None else parked.since
    return None if since is None else milliseconds(since, at)


def _parked_by(event: SwitchEvent, call: Call, channel: Channel) -> dict[str, Any]:
    """Who sent the call here: whoever transferred it (REFER), or its caller, who dialled the lot.

    Nobody, where neither is certain.
    """
    number, by = referrer(event, call)
    if number is None and by is None and channel.direction == "inbound":
        dialled_it = integer(event.get("Caller-Profile-Index")) == 1
        by = channel if dialled_it else None
        number = channel.own_number if dialled_it else None
    return {
        "parked_by": number,
        "parked_by_extension_id": by.parties()["extension_id"] if by else None,
    }


def _retrieved_by(event: SwitchEvent, calls: Calls, lot: Place) -> dict[str, Any] | None:
    """Who fetched the call; None when that is somebody of another tenant."""
    other = identifier(event.get("Bridge-To-UUID"))
    call = calls.of_leg(other) if other else None
    channel = call.channels.get(other) if call and other else None
    if call is None or channel is None or call.tenant_id is None:
        return _NOBODY | {"retrieved_by_leg_id": str(other) if other else None}
    if call.tenant_id != lot.tenant_id:
        return None
    return {
        "retrieved_by": channel.own_number,
        "retrieved_by_extension_id": channel.parties()["extension_id"],
        "retrieved_by_leg_id": str(channel.leg_id),
        "retrieved_by_call_id": str(call.call_id),
    }
