"""The JSON Schemas of messages in mailboxes and of receipts of deleted ones."""

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

_ID = "5b2a9c4e-7d1f-4e0b-9a3c-2f6d8e1b0c7a"
_EXTENSION = or_null(
    identifier("The extension whose mailbox it is in.", "01937a5e-0000-7000-8000-000000000001")
)
_MAILBOX = text("The mailbox's number.", "1001")
_CALL_ID = or_null(
    identifier("FreeSWITCH's id of the call.", "01937a5e-0000-7000-8000-000000000c01")
)
_RECEIVED = time("When it was left.", "2026-11-28T09:30:04.000000Z")
_DURATION = or_null(count("How long it plays.", 12500))
_BYTES = or_null(count("How large the file is.", 200044))
_SHA256 = or_null(text("The SHA-256 of the file.", f"{0xBA5E:064x}"))

VOICEMAIL_MESSAGE = object_of(
    "A message that was left in a mailbox.",
    id=identifier("Its id; the file of the switch has it in its name.", _ID),
    extension_id=_EXTENSION,
    mailbox=_MAILBOX,
    call_id=_CALL_ID,
    from_=or_null(text("Who left it.", "+12025550101")),
    from_name=or_null(text("Their name, as the call had it.", "Ada Lovelace")),
    urgent=yes_or_no("Whether the caller marked it urgent."),
    folder=text("The folder of the mailbox.", "inbox"),
    received_at=_RECEIVED,
    read=yes_or_no("Whether somebody has listened to it, or marked it so."),
    read_at=or_null(time("When.", "2026-11-28T10:02:11.000000Z")),
    duration_ms=_DURATION,
    size_bytes=_BYTES,
    sha256=_SHA256,
    state=words(
        "Whether its sound can be had: its file is looked for, is there, is not where it should be "
        "or not whole; or the message is on its way out.",
        "checking",
        "available",
        "missing",
        "damaged",
        "deleting",
    ),
    problem=or_null(text("What keeps its sound from being had, or it from being deleted.")),
    node=or_null(text("The switch node whose mailbox it is in.", "fs1")),
)
VOICEMAIL_RECEIPT = object_of(
    "That a message was deleted.",
    id=identifier("The receipt."),
    message_id=identifier("The message.", _ID),
    extension_id=_EXTENSION,
    mailbox=_MAILBOX,
    call_id=_CALL_ID,
    received_at=_RECEIVED,
    duration_ms=_DURATION,
    size_bytes=_BYTES,
    sha256=_SHA256,
    reason=text("Why: `at the phone`, `retention`, `emailed`, or `asked for`.", "asked for"),
    deleted_by=text("Who; `phone` for the mailbox itself.", "admin@acme.example.test"),
    deleted_at=time("When it was gone."),
)
VOICEMAIL_GREETING = object_of(
    "What callers hear before they leave a message.",
    number=count("Its number in the mailbox, 1 to 9.", 1),
    chosen=yes_or_no("Whether callers hear it, as `voicemail.greeting` of the extension says."),
    duration_ms=_DURATION,
    size_bytes=count("How large the file is.", 200044),
    sha256=text("The SHA-256 of the file.", f"{0xBA5E:064x}"),
    problem=or_null(text("What is wrong with the file.")),
)
VOICEMAIL_SCHEMAS: Mapping[str, Schema] = {
    "VoicemailMessage": VOICEMAIL_MESSAGE,
    "VoicemailReceipt": VOICEMAIL_RECEIPT,
    "VoicemailGreeting": VOICEMAIL_GREETING,
}
