"""RECORD_START and RECORD_STOP, and those of conferences: recording.started and recording.stopped.

FreeSWITCH closes a file before it says RECORD_STOP (record_callback in switch_ivr_async.c). Whether
the file is there and whole is found out where the media root is: that is recording.completed.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Final

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call, Calls, Channel
from nizam.events.fields import identifier, integer
from nizam.events.places import Place
from nizam.events.told import Told

_DISCARDED: Final = frozenset({"empty-file", "input-too-short"})
"""Why FreeSWITCH removes a file again by itself."""


def recording(event: SwitchEvent) -> tuple[str, dict[str, Any]] | None:
    """The type and data of our event; None for what mod_voicemail records for itself."""
    path = event.get("Record-File-Path")
    if not path or event.get("variable_current_application") == "voicemail":
        return None
    if "/voicemail/" in path:
        return None
    if event.name == "RECORD_START":
        return "recording.started", {"path": path}
    completion = event.get("variable_record_completion_cause")
    ended = (event.get("Channel-State") or "") in ("CS_HANGUP", "CS_REPORTING", "CS_DESTROY")
    ended = ended or event.get("Answer-State") == "hangup"
    return "recording.stopped", {
        "path": path,
        # A call recorded only once answered, and never answered, leaves no file: 0 ms say so.
        "duration_ms": integer(event.get("variable_record_ms")) or 0,
        "size_bytes": integer(event.get("variable_record_file_size")),
        "completion": completion,
        "discarded": completion in _DISCARDED,
        # With RECORD_APPEND the same leg adds to the file when it is recorded again.
        "may_continue": not ended and event.get("variable_RECORD_APPEND") == "true",
    }


RECORDING_TYPES: Final = {
    "start-recording": "recording.started",
    "stop-recording": "recording.stopped",
}
"""The actions of conference::maintenance that are about a file."""


def began_conference(event: SwitchEvent, room: Place, calls: Calls) -> tuple[Call, Channel] | None:
    """Whoever the conference in the room began with, by whose leg its file is named
    (conference.conf); None if it is not known here, or is another tenant's."""
    leg_id = identifier(PurePosixPath(event.get("Path") or "").stem)
    call = None if leg_id is None else calls.of_leg(leg_id)
    channel = None if call is None or leg_id is None else call.channels.get(leg_id)
    if call is None or channel is None or call.tenant_id not in (None, room.tenant_id):
        return None
    return call, channel


def of_conference(
    event: SwitchEvent, room: Place, first: tuple[Call, Channel] | None
) -> Told | None:
    """What the event tells of the file of a conference in the room of a tenant.

    The file belongs to the call of the `first` leg, and goes on when that leg is gone: so it is no
    leg's. Source: conference_record_thread_run in FreeSWITCH's mod_conference.
    """
    path = event.get("Path")
    if not path or event.get("Error"):
        return None
    kind = RECORDING_TYPES[event.get("Action") or ""]
    call, channel = first or (None, None)
    data: dict[str, Any] = {
        "path": path,
        "leg_direction": "inbound",
        "from": None if channel is None else channel.own_number,
        "from_name": None if channel is None else channel.caller_name,
        "to": room.number,
        "extension_id": None,
        "direction": "internal" if call is None else direction(call),
        "conference_room_id": str(room.id),
    }
    if kind == "recording.stopped":
        data |= {
            "duration_ms": integer(event.get("Milliseconds-Elapsed")) or 0,
            "size_bytes": integer(event.get("Record-File-Size")),
            "completion": None,
            "discarded": False,
            "may_continue": False,
        }
    return Told(kind, room.tenant_id, data, call)


def direction(call: Call) -> str:
    """inbound, outbound or internal, as far as it is known while the call goes on."""
    first = call.first
    if first is not None and first.extension_id is None:
        from_outside = (first.direction, first.context) == ("inbound", "public")
        if from_outside:
            return "inbound"
    return "outbound" if any(it.gateway for it in call.channels.values()) else "internal"
