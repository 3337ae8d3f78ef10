"""RECORD_START and RECORD_STOP: recording.started and recording.completed."""

from __future__ import annotations

from typing import Any

from nizam.esl.event import SwitchEvent
from nizam.events.fields import integer


def recording(event: SwitchEvent) -> tuple[str, dict[str, Any]] | None:
    """The type and data of our event; None for what mod_voicemail records for itself."""
    path = event.get("Record-File-Path")
    if not path or event.get("variable_current_application") == "voicemail":
        return None
    if "/voicemail/" in path:
        return None
    if event.name == "RECORD_START":
        return "recording.started", {"path": path}
    return "recording.completed", {
        "path": path,
        # A call recorded only once answered, and never answered, leaves no file: 0 ms say so.
        "duration_ms": integer(event.get("variable_record_ms")) or 0,
        "size_bytes": integer(event.get("variable_record_file_size")),
        "completion": event.get("variable_record_completion_cause"),
    }
