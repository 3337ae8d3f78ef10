"""Calls that are sent on: who sent whom where, and in which way.

FreeSWITCH has no event for it (sofia::transferor is off by default, and knows only REFER). What it
leaves behind is in the events that follow, as recorded in tests/captures/transfers:

- sent to a number (REFER, uuid_transfer): the channel has a new caller profile and, in
  `transfer_source`, `bl_xfer` with the number; a REFER is in `sip_refer_to`;
- two calls joined by whoever is in both (REFER with Replaces, sofia.c): the leg of theirs that
  asked for it has `transfer_to`, `att:` and the leg to talk to; while that one still rings, the
  leg of the second call has it, `satt:` and the leg that is sent on;
- taken over by another phone: our dialplan ran `intercept`, and the two are bridged;
- given back to the phone or the carrier, which calls elsewhere itself (uuid_deflect): the leg ends
  with BLIND_TRANSFER, and what the other side said to our REFER is in `sip_refer_status_code`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal
from uuid import UUID

import attrs

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call, Calls, Channel
from nizam.events.fields import destination, identifier, integer
from nizam.events.places import Places
from nizam.routing.tokens import read_token

Kind = Literal["blind", "attended", "deflect", "park", "pickup"]

_USER: Final = re.compile(r"<?sips?:([^@;?>]+)")


@attrs.frozen
class Transfer:
    """`channel` of `call` is sent on; `data` is that of the event."""

    call: Call
    channel: Channel
    data: dict[str, Any]


class Transfers:
    """Finds the transfers in the events of one FreeSWITCH process."""

    def __init__(self, calls: Calls, places: Places) -> None:
        self._calls = calls
        self._places = places

    def found(self, event: SwitchEvent, call: Call, channel: Channel) -> Iterator[Transfer]:
        """Those that `event` of this channel is the first to show."""
        sent = self._sent_to_a_number(event, call, channel)
        if sent is not None:
            yield sent
        if channel.sent_on:
            return
        to = event.get("variable_transfer_to") or ""
        joined = None
        if to.startswith("att:"):
            joined = self._joined(
                channel,
                identifier(event.get("variable_last_bridge_to")) or channel.partner,
                identifier(to.removeprefix("att:")),
            )
        elif to.startswith("satt:"):
            whom = identifier(to.removeprefix("satt:"))
            joined = self._joined(channel, whom, None)
        if joined is not None:
            channel.sent_on = True
            yield joined

    def taken_over(self, event: SwitchEvent, call: Call, channel: Channel) -> Transfer | None:
        """A bridge of `channel` with a call that was ringing elsewhere."""
        if event.get("variable_current_application") != "intercept" or channel.partner is None:
            return None
        found = self._leg(channel.partner)
        if found is None or found[0] is call or not _same_tenant(found[0], call):
            return None
        return Transfer(*found, _data("pickup", found[1], by=channel, target=(call, channel)))

    def deflected(self, event: SwitchEvent, call: Call, channel: Channel) -> Transfer | None:
        """The end of a leg whose other side was told to call elsewhere."""
        status = integer(event.get("variable_sip_refer_status_code"))
        if status is None or status >= 300 or event.get("Hangup-Cause") != "BLIND_TRANSFER":
            return None
        data = _data("deflect", channel)
        # Only the application says where to.
        if event.get("variable_last_app") == "deflect":
            data["to"] = event.get("variable_last_arg")
        return Transfer(call, channel, data)

    def _sent_to_a_number(
        self, event: SwitchEvent, call: Call, channel: Channel
    ) -> Transfer | None:
        """A connected channel has a new caller profile: it was sent to another number.

        Before it was connected it is only our own dialplan that goes on at another extension.
        """
        index = integer(event.get("Caller-Profile-Index")) or 1
        if index <= channel.profile_index:
            return None
        channel.profile_index = index
        source = event.get("variable_transfer_source") or ""
        if not channel.bridged or ":bl_xfer:" not in source:
            return None  # our dialplan going on, or a queue, park or fifo joining two channels
        if source.endswith("/inline"):
            return None  # FreeSWITCH itself, to play music until somebody answers
        to = destination(event.get("Caller-Destination-Number"))
        if to and read_token(to) is not None:
            return None  # as after it was parked too long: where our dialplan has sent it
        refer_to = event.get("variable_sip_refer_to") or ""
        kind: Kind = "blind"
        number, by = referrer(event, call)
        if number is not None and "replaces=" in refer_to.lower():
            kind = "attended"  # into a conference or a menu, where there is no leg to talk to
        elif call.tenant_id is not None and to and self._places.parks(call.tenant_id, to):
            kind = "park"
        data = _data(kind, channel, by=by) | {
            "to": to,
            "referred_by": event.get("variable_sip_h_Referred-By"),
        }
        data["by"] = data["by"] or number
        return Transfer(call, channel, data)

    def _joined(self, by: Channel, whom_id: UUID | None, target_id: UUID | None) -> Transfer | None:
        """`by` lets `whom` talk to the target: of a second call, or what `whom` has now."""
        whom = self._leg(whom_id)
        if whom is None:
            return None
        target = self._leg(target_id or whom[1].partner)
        if target is not None and (target[1] is by or not _same_tenant(*_both(whom, target))):
            target = None
        data = _data("attended", whom[1], by=by, target=target)
        if target is None and target_id is None:
            data["to"] = by.number  # nobody has answered there yet
        if target_id is None:
            # The second call is theirs: they are who called in it.
            data["by"] = by.own_number
        return Transfer(*whom, data)

    def _leg(self, leg_id: UUID | None) -> tuple[Call, Channel] | None:
        call = self._calls.of_leg(leg_id) if leg_id else None
        channel = call.channels.get(leg_id) if call and leg_id else None
        return None if call is None or channel is None else (call, channel)


def referrer(event: SwitchEvent, call: Call) -> tuple[str | None, Channel | None]:
    """Who has sent the event's channel to its present number by REFER: number and leg; None where
    that is not certain."""
    get = event.get
    refer_to = _USER.match(get("variable_sip_refer_to") or "")
    # An earlier transfer leaves its variables behind: this one led to the number of now.
    if refer_to is None or refer_to[1] != get("Caller-Destination-Number"):
        return None, None
    referred_by = _USER.match(get("variable_sip_h_Referred-By") or "")
    bridged_with = identifier(get("variable_last_bridge_to"))
    by = call.channels.get(bridged_with) if bridged_with else None
    number = by.own_number if by else None
    return number or (referred_by[1] if referred_by else None), by


def _data(
    kind: Kind,
    whom: Channel,
    *,
    by: Channel | None = None,
    target: tuple[Call, Channel] | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = whom.parties() | {
        "kind": kind,
        "blind": kind in ("blind", "park"),
        "whom": whom.own_number,
        "to": None,
        "to_extension_id": None,
        "to_leg_id": None,
        "to_call_id": None,
        "by": by.own_number if by else None,
        "by_extension_id": by.parties()["extension_id"] if by else None,
        "by_leg_id": str(by.leg_id) if by else None,
        "referred_by": None,
    }
    if target is not None:
        call, channel = target
        found |= {
            "to": channel.own_number,
            "to_extension_id": channel.parties()["extension_id"],
            "to_leg_id": str(channel.leg_id),
            "to_call_id": str(call.told_id),
        }
    return found


def _both(one: tuple[Call, Channel], other: tuple[Call, Channel]) -> tuple[Call, Call]:
    return one[0], other[0]


def _same_tenant(one: Call, other: Call) -> bool:
    return one.tenant_id is None or other.tenant_id is None or one.tenant_id == other.tenant_id
