"""Where the files of a mailbox lie below the media root, and what their names say.

mod_voicemail names them (voicemail_leave_main and deliver_vm in mod_voicemail.c): a message is
`msg_UUID.wav`, a copy of one that was forwarded `msg_UUID_broadcast_...wav`, with a UUID that no
other file has; a greeting is `greeting_N.wav`.
"""

from __future__ import annotations

import re
from uuid import NAMESPACE_URL, UUID, uuid5

MOST_GREETINGS = 9
"""VM_MAX_GREETINGS in mod_voicemail.c."""
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BELOW = re.compile(rf"(?<=/)({_ID})/voicemail/({_ID})/([0-9a-z][0-9a-z._-]{{0,99}})\Z")
_MESSAGE = re.compile(rf"(?:\A|/)msg_({_ID})(?:_broadcast_[^/]*)?\.[0-9a-z]+\Z")


def voicemail_directory(tenant_id: UUID, extension_id: UUID) -> str:
    """Where FreeSWITCH keeps the messages and greetings of a mailbox, below the media root."""
    return f"{tenant_id}/voicemail/{extension_id}"


def greeting_name(number: int) -> str:
    """The name of a mailbox's greeting with this number, 1 to 9, in its directory."""
    return f"greeting_{number:d}.wav"


def voicemail_below(path: str) -> tuple[UUID, UUID, str] | None:
    """The tenant and the extension of a mailbox's file and its path below the media root, from the
    path that FreeSWITCH gives; None for what lies in no mailbox there."""
    found = _BELOW.search(path)
    return None if found is None else (UUID(found[1]), UUID(found[2]), found[0])


def message_id(path: str) -> UUID:
    """The id of the message in this file: the UUID of its name, or one that is made of the path.

    The UUID that mod_voicemail itself has for a message is that of the caller's leg, which may
    leave several.
    """
    found = _MESSAGE.search(path)
    return uuid5(NAMESPACE_URL, f"file:{path}") if found is None else UUID(found[1])
