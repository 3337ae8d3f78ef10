"""The JSON Schemas of recordings, links to them, and receipts."""

from __future__ import annotations

from collections.abc import Mapping

from nizam.http.schema_parts import (
    Schema,
    count,
    identifier,
    object_of,
    or_null,
    text,
    time,
    words,
    yes_or_no,
)

_ID = "01937a5e-0000-7000-8000-000000000e01"
_CALL_ID = or_null(
    identifier("FreeSWITCH's id of the call.", "01937a5e-0000-7000-8000-000000000c01")
)
_STARTED = time("When it began.", "2026-11-28T09:30:04.000000Z")
_DURATION = or_null(count("How long it plays.", 61500))
_BYTES = or_null(count("How large the file is.", 1968044))
_SHA256 = or_null(text("SHA-256 of the file.", f"{0xBA5E:064x}", pattern="^[0-9a-f]{64}$"))
_STORAGE = words("Where the file is: the media root, or object storage.", "local", "s3")

RECORDING = object_of(
    "A recorded call, or a part of one: one file.",
    id=identifier("Its id.", _ID),
    call_id=_CALL_ID,
    leg_id=or_null(identifier("FreeSWITCH's id of the leg that was recorded.")),
    extension_id=or_null(identifier("The extension whose leg that is; null for others.")),
    node=or_null(text("The switch node.", "fs1")),
    direction=or_null(words("Of the call.", "internal", "inbound", "outbound")),
    from_=or_null(text("Who called.", "1001")),
    to=or_null(text("Who was called.", "1002")),
    started_at=_STARTED,
    stopped_at=or_null(time("When it ended; null while it goes on.")),
    completed_at=or_null(time("When the file was found to be whole, or damaged.")),
    duration_ms=_DURATION,
    size_bytes=_BYTES,
    sha256=_SHA256,
    sample_rate=or_null(count("In Hz.", 8000)),
    channels=or_null(count("Two: one for each side.", 2)),
    state=words(
        "How far it has come: it is recorded, may go on, is looked at, can be had; is not where it "
        "should be, or not whole; or is on its way out.",
        "recording",
        "stopped",
        "checking",
        "available",
        "missing",
        "damaged",
        "deleting",
    ),
    storage=_STORAGE,
    problem=or_null(text("What keeps it from being whole, or from being stored.")),
    legal_hold=yes_or_no("Whether nothing may delete it."),
    hold_reason=or_null(text("Why.", "Case 4711")),
    held_by=or_null(text("Who has put it under the hold.", "admin@acme.example.test")),
    held_at=or_null(time("When.")),
)
RECORDING_LINK = object_of(
    "A link that anybody can download the file with, until it expires.",
    url=text("The link.", f"http://127.0.0.1:8080/api/v1/tenants/{_ID}/recordings/{_ID}/file?..."),
    expires_at=time("Until when it holds.", "2026-11-28T10:30:00.000000Z"),
)
RECORDING_RECEIPT = object_of(
    "That a recording was deleted.",
    id=identifier("The receipt."),
    recording_id=identifier("The recording.", _ID),
    call_id=_CALL_ID,
    started_at=_STARTED,
    duration_ms=_DURATION,
    size_bytes=_BYTES,
    sha256=_SHA256,
    storage=_STORAGE,
    reason=text("Why: `retention`, or what was given.", "asked for by the caller"),
    deleted_by=text("Who.", "admin@acme.example.test"),
    deleted_at=time("When the file was gone."),
)
RECORDINGS_PRUNED = object_of(
    "What is due to be deleted.",
    recordings=count("How many recordings.", 12),
    size_bytes=count("How large their files are together.", 23616528),
    held=count("How many more are under legal hold, and stay.", 1),
    oldest_at=or_null(time("When the oldest of them began.")),
    dry_run=yes_or_no("Whether they all stay for now."),
)
RECORDING_SCHEMAS: Mapping[str, Schema] = {
    "Recording": RECORDING,
    "RecordingLink": RECORDING_LINK,
    "RecordingReceipt": RECORDING_RECEIPT,
    "RecordingsPruned": RECORDINGS_PRUNED,
}
