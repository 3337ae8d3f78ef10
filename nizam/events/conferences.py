"""conference::maintenance: rooms that open and close, and who comes and goes."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Calls
from nizam.events.fields import channel_id, integer, milliseconds, moment
from nizam.events.places import Place, Places
from nizam.events.told import Told

MOST_KEPT: Final = 10_000
"""Conferences whose end may not have been heard."""

_TYPES: Final = {
    "conference-create": "conference.started",
    "add-member": "conference.joined",
    "del-member": "conference.left",
    "conference-destroy": "conference.ended",
}


@attrs.define
class _Conference:
    """A conference under way; the room may be deleted meanwhile."""

    room: Place
    started_at: datetime | None = None
    joined_at: dict[UUID, datetime] = attrs.field(factory=dict)


class Conferences:
    """Knows the conferences of one FreeSWITCH process, and since when each member is in one.

    Only those of the tenants' rooms are told of: not the pages, and nothing that somebody has
    started on the switch by hand.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._running: OrderedDict[str, _Conference] = OrderedDict()

    def change(self, event: SwitchEvent, calls: Calls) -> Told | None:
        """What follows from the event, if it begins or ends something.

        Source: conference_event_add_data and conference_member_add_event_data in FreeSWITCH's
        mod_conference.
        """
        get = event.get
        kind = _TYPES.get(get("Action") or "")
        conference, at = get("Conference-Unique-ID"), moment(get("Event-Date-Timestamp"))
        if kind is None or not conference or at is None:
            return None
        found = self._known(conference, get("Conference-Name") or "")
        if found is None:
            return None
        data: dict[str, Any] = {
            "conference_room_id": str(found.room.id),
            "number": found.room.number,
            "name": found.room.name,
            "conference_id": conference,
            "members": integer(get("Conference-Size")),
        }
        if kind in ("conference.joined", "conference.left"):
            return self._of_member(event, calls, kind, found, at, data)
        if kind == "conference.started":
            found.started_at = at
        else:
            data["duration_ms"] = _since(found.started_at, at)
            self._running.pop(conference, None)
        return Told(kind, found.room.tenant_id, data)

    def _known(self, conference: str, name: str) -> _Conference | None:
        found = self._running.get(conference)
        if found is None:
            room = self._places.room(name)
            if room is None:
                return None
            found = self._running[conference] = _Conference(room)
            if len(self._running) > MOST_KEPT:
                self._running.popitem(last=False)
        return found

    @staticmethod
    def _of_member(
        event: SwitchEvent,
        calls: Calls,
        kind: str,
        conference: _Conference,
        at: datetime,
        data: dict[str, Any],
    ) -> Told | None:
        member = calls.find(event)
        if member is None:
            return None
        call, channel = member
        data |= {"moderator": event.get("Member-Type") == "moderator", **channel.parties()}
        leg_id = channel_id(event.get("Unique-ID") or "")
        if kind == "conference.joined":
            conference.joined_at[leg_id] = at
        else:
            data["duration_ms"] = _since(conference.joined_at.pop(leg_id, None), at)
        return Told(kind, conference.room.tenant_id, data, call, channel, in_call_only=True)


def _since(start: datetime | None, end: datetime) -> int | None:
    return None if start is None else milliseconds(start, end)
