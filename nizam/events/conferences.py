"""conference::maintenance: rooms that open and close, and who comes and goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call, Calls, Channel
from nizam.events.fields import channel_id, integer, milliseconds, moment
from nizam.events.places import Place, Places
from nizam.events.recordings import RECORDING_TYPES, began_conference, of_conference
from nizam.events.told import Shown, Told
from nizam.model.events import timestamp

MOST_KEPT: Final = 10_000
"""Conferences whose end may not have been heard."""

_TYPES: Final = {
    "conference-create": "conference.started",
    "add-member": "conference.joined",
    "del-member": "conference.left",
    "conference-destroy": "conference.ended",
}
_CHANGES: Final = frozenset({"mute-member", "unmute-member"})
_KIND: Final = "conferences"


@attrs.define
class _Member:
    """Somebody in a conference. `told` says that an event told of being muted, or not any more."""

    call: Call
    channel: Channel
    moderator: bool
    muted: bool
    joined_at: datetime | None
    told: bool = False

    def since(self, moment: datetime) -> bool:
        """Whether the member has come since then."""
        return self.joined_at is not None and self.joined_at >= moment

    def document(self) -> dict[str, Any]:
        """As the live state shows it."""
        parties = self.channel.parties()
        return {
            "leg_id": str(self.channel.leg_id),
            "call_id": str(self.call.call_id),
            "extension_id": parties["extension_id"],
            "number": self.channel.own_number,
            "name": self.channel.caller_name if self.channel.direction == "inbound" else None,
            "moderator": self.moderator,
            "muted": self.muted,
            "joined_at": timestamp(self.joined_at) if self.joined_at else None,
        }


@attrs.define
class _Conference:
    """A conference under way; the room may be deleted meanwhile."""

    id: str
    room: Place
    started_at: datetime | None = None
    members: dict[UUID, _Member] = attrs.field(factory=dict)
    first: tuple[Call, Channel] | None = None
    """Whoever it began with, if it is recorded."""

    def document(self, node: str) -> dict[str, Any]:
        """As the live state shows it; members of other tenants' calls are not shown."""
        mine = [it for it in self.members.values() if it.call.tenant_id == self.room.tenant_id]
        return {
            "conference_id": self.id,
            "tenant_id": str(self.room.tenant_id),
            "conference_room_id": str(self.room.id),
            "number": self.room.number,
            "name": self.room.name,
            "node": node,
            "started_at": timestamp(self.started_at) if self.started_at else None,
            "members": [it.document() for it in mine],
        }


class Conferences:
    """Knows the conferences of one FreeSWITCH process, and since when each member is in one.

    Only those of the tenants' rooms are told of: not the pages, and nothing that somebody has
    started on the switch by hand. `shown` is what of them has changed since it was taken.
    """

    def __init__(self, places: Places, node: str) -> None:
        self._places = places
        self._node = node
        self._running: OrderedDict[str, _Conference] = OrderedDict()
        self.shown: list[Shown] = []

    def change(self, event: SwitchEvent, calls: Calls) -> Told | None:
        """What follows from the event, if it begins or ends something.

        Source: conference_event_add_data and conference_member_add_event_data in FreeSWITCH's
        mod_conference.
        """
        get = event.get
        action = get("Action") or ""
        if action in RECORDING_TYPES:
            return self._recorded(event, calls)
        kind = _TYPES.get(action)
        conference, at = get("Conference-Unique-ID"), moment(get("Event-Date-Timestamp"))
        if (kind is None and action not in _CHANGES) or not conference or at is None:
            return None
        found = self._known(conference, get("Conference-Name") or "")
        if found is None:
            return None
        told = None
        if kind is None:
            member = found.members.get(channel_id(get("Unique-ID") or ""))
            if member is not None:
                member.muted, member.told = action == "mute-member", True
        else:
            told = self._told(event, calls, kind, found, at)
        over = kind == "conference.ended"
        document = None if over else found.document(self._node)
        self.shown.append(Shown(_KIND, conference, document))
        return told

    def listed(
        self, rows: Iterable[Mapping[str, Any]], calls: Calls, asked: datetime, now: datetime
    ) -> None:
        """The switch has these conferences and no others, by its `conference json_list`
        (conference_jlist in mod_conference.c), beside what has begun since it was `asked`."""
        there: set[str] = set()
        for row in rows:
            conference = str(row.get("conference_uuid") or "")
            found = self._known(conference, str(row.get("conference_name") or ""))
            if found is None:
                continue
            if found.started_at is None:
                found.started_at = _ago(now, row.get("run_time"))
            there.add(conference)
            members = {it: member for it, member in found.members.items() if member.since(asked)}
            for it in row.get("members") or ():
                if it.get("type") == "caller":
                    leg_id = channel_id(str(it.get("uuid") or ""))
                    member = _listed_member(found.members.get(leg_id), leg_id, it, calls, now)
                    if member is not None:
                        members[leg_id] = member
            found.members = members
        for conference in self._running.keys() - there:
            started_at = self._running[conference].started_at
            if started_at is None or started_at < asked:
                del self._running[conference]
        self.shown.clear()

    def documents(self) -> dict[str, dict[str, Any]]:
        """Those that are under way, by their ids."""
        return {it.id: it.document(self._node) for it in self._running.values()}

    def _recorded(self, event: SwitchEvent, calls: Calls) -> Told | None:
        found = self._known(
            event.get("Conference-Unique-ID") or "", event.get("Conference-Name") or ""
        )
        if found is None:
            return None
        if found.first is None:
            found.first = began_conference(event, found.room, calls)
        return of_conference(event, found.room, found.first)

    def _told(
        self, event: SwitchEvent, calls: Calls, kind: str, found: _Conference, at: datetime
    ) -> Told | None:
        data: dict[str, Any] = {
            "conference_room_id": str(found.room.id),
            "number": found.room.number,
            "name": found.room.name,
            "conference_id": found.id,
            "members": integer(event.get("Conference-Size")),
        }
        if kind in ("conference.joined", "conference.left"):
            return self._of_member(event, calls, kind, found, at, data)
        if kind == "conference.started":
            found.started_at = at
        else:
            data["duration_ms"] = _since(found.started_at, at)
            self._running.pop(found.id, None)
        return Told(kind, found.room.tenant_id, data)

    def _known(self, conference: str, name: str) -> _Conference | None:
        found = self._running.get(conference)
        if found is None:
            room = self._places.room(name)
            if room is None or not conference:
                return None
            found = self._running[conference] = _Conference(conference, room)
            if len(self._running) > MOST_KEPT:
                old, _ = self._running.popitem(last=False)
                self.shown.append(Shown(_KIND, old, None))
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
        moderator = event.get("Member-Type") == "moderator"
        data |= {"moderator": moderator, **channel.parties()}
        leg_id = channel_id(event.get("Unique-ID") or "")
        if kind == "conference.joined":
            if moderator and not any(it.moderator for it in conference.members.values()):
                # Whoever has waited for a moderator is heard now, and no event says so.
                for it in conference.members.values():
                    it.muted = it.muted and it.told
            muted = event.get("Speak") == "false"
            conference.members[leg_id] = _Member(call, channel, moderator, muted, at)
        else:
            before = conference.members.pop(leg_id, None)
            data["duration_ms"] = _since(before.joined_at if before else None, at)
        return Told(kind, conference.room.tenant_id, data, call, channel, in_call_only=True)


def _since(start: datetime | None, end: datetime) -> int | None:
    return None if start is None else milliseconds(start, end)


def _ago(now: datetime, seconds: Any) -> datetime | None:
    return now - timedelta(seconds=seconds) if isinstance(seconds, int | float) else None


def _listed_member(
    known: _Member | None, leg_id: UUID, row: Mapping[str, Any], calls: Calls, now: datetime
) -> _Member | None:
    """A member as the list has it; None for a leg that nothing is known of."""
    flags = row.get("flags") or {}
    muted = not flags.get("can_speak", True)
    if known is None:
        call = calls.of_leg(leg_id)
        channel = call.channels.get(leg_id) if call else None
        if call is None or channel is None or channel.ended:
            return None
        joined_at = _ago(now, row.get("join_time"))
        known = _Member(call, channel, bool(flags.get("is_moderator")), muted, joined_at)
    known.muted = muted
    return known
