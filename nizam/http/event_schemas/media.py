"""recording.* and voicemail.*: what was recorded."""

from __future__ import annotations

from typing import Final

from nizam.http.event_schemas.parts import (
    DIRECTION,
    PARTIES,
    RECONCILED,
    Told,
    Types,
    data,
    maybe,
    maybe_id,
    milliseconds,
    whole,
)
from nizam.http.schema_parts import Schema, identifier, or_null, text, words, yes_or_no

_ON_THE_SWITCH: Final[dict[str, Schema]] = {
    "path": text("The file, as the switch names it."),
    **PARTIES,
    "direction": DIRECTION,
}
_OF_CONFERENCE: Final = {"conference_room_id": identifier("The room of a recorded conference.")}
_MAILBOX: Final[dict[str, Schema]] = {
    "mailbox": maybe("The mailbox's number.", "1001"),
    "domain": maybe("Its domain.", "acme.example.com"),
    "message_id": identifier("The message."),
    "extension_id": maybe_id("The extension whose mailbox it is."),
    "from": maybe("Who left it.", "+12025550101"),
    "from_name": maybe("Their name."),
    "duration_ms": milliseconds("Its length.", null=True),
    "urgent": yes_or_no("Whether it is marked urgent."),
}

_NUMBERS: Final[dict[str, Schema]] = {
    "mailbox": _MAILBOX["mailbox"],
    "domain": _MAILBOX["domain"],
    "new": whole("How many messages nobody has listened to."),
    "saved": whole("How many others it holds."),
    "new_urgent": whole("How many of the new ones are urgent."),
    "saved_urgent": whole("How many of the others are."),
}

_FILE: Final[dict[str, Schema]] = {
    "recording_id": identifier("The recording."),
    "path": text("The file below the media root."),
    "extension_id": maybe_id("The extension whose leg was recorded."),
    "direction": or_null(DIRECTION),
    "from": maybe("Who called.", "1001"),
    "to": maybe("What was dialled.", "1002"),
}
_CONTENT: Final[dict[str, Schema]] = {
    "duration_ms": milliseconds("Its length.", null=True),
    "size_bytes": whole("Its size.", null=True),
    "sha256": maybe("Its SHA-256, in hexadecimal digits."),
}
_DONE: Final[dict[str, Schema]] = {
    **_MAILBOX,
    "by": text("By whom; `phone` for the mailbox itself.", "phone"),
}

MEDIA: Final[Types] = {
    "recording.started": Told(
        "A leg or a conference is being recorded.", data(_ON_THE_SWITCH, _OF_CONFERENCE)
    ),
    "recording.stopped": Told(
        "The switch has closed a file; recording.completed follows when it was found whole.",
        data(
            {
                **_ON_THE_SWITCH,
                "duration_ms": milliseconds("Its length; 0 where nothing was recorded."),
                "size_bytes": whole("Its size.", null=True),
                "completion": maybe("Why FreeSWITCH stopped.", "success-silence"),
                "discarded": yes_or_no("Whether FreeSWITCH has removed it again."),
                "may_continue": yes_or_no("Whether the same leg may add to it."),
            },
            _OF_CONFERENCE,
        ),
    ),
    "voicemail.received": Told(
        "A message was left.",
        data(
            {
                **_MAILBOX,
                "path": maybe("The file, as the switch names it."),
                "folder": text("The folder of the mailbox.", "inbox"),
                "switch_id": maybe("The switch's id for it: that of the leg that left it."),
            },
            RECONCILED,
        ),
    ),
    "voicemail.waiting": Told(
        "How many messages a mailbox holds has been told to its phones: the lamp.",
        data(_NUMBERS),
    ),
    "recording.completed": Told("A file is there, and whole.", data({**_FILE, **_CONTENT})),
    "recording.failed": Told(
        "A file is not there, or damaged.",
        data(
            {
                **_FILE,
                "reason": words("Which of the two.", "missing", "damaged"),
                "detail": maybe("In words."),
            },
            _CONTENT,
        ),
    ),
    "recording.upload_failed": Told(
        "A file could not be put into the object store; it is tried again.",
        data(_FILE, {**_CONTENT, "reason": text("Why."), "detail": maybe("In words.")}),
    ),
    "recording.deleted": Told(
        "A recording was removed: by somebody, or because of its age.",
        data(
            {
                "recording_id": _FILE["recording_id"],
                "receipt_id": identifier("The receipt."),
                "reason": text("Why.", "retention"),
                "deleted_by": text("By whom."),
                "size_bytes": _CONTENT["size_bytes"],
                "sha256": _CONTENT["sha256"],
            }
        ),
    ),
    "voicemail.read": Told("A message was listened to, or marked so.", data(_DONE)),
    "voicemail.unread": Told("A message was marked as not listened to.", data(_DONE)),
    "voicemail.deleted": Told(
        "A message was removed.",
        data(
            {
                **_DONE,
                "receipt_id": identifier("The receipt."),
                "reason": text("Why.", "asked for"),
            }
        ),
    ),
}
