"""RECORD_START and RECORD_STOP: recording.started and recording.stopped.

FreeSWITCH closes a file before it says RECORD_STOP (record_callback in switch_ivr_async.c). Whether
the file is there and whole is found out where the media root is: that is recording.completed.
"""

from __future__ import annotations

from typing import Any, Final

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Call
from nizam.events.fields import integer

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


def direction(call: Call) -> str:
    """inbound, outbound or internal, as far as it is known while the call goes on."""
    first = call.first
    if first is not None and first.extension_id is None:
        from_outside = (first.direction, first.context) == ("inbound", "public")
        if from_outside:
            return "inbound"
    return "outbound" if any(it.gateway for it in call.channels.values()) else "internal"
