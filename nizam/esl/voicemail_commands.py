"""API commands of mod_voicemail as typed functions that make the line for `bgapi`.

Its parser cuts at `@`, `/` and blanks (voicemail_read_api_function and others in mod_voicemail.c),
and what it cuts goes into the SQL of its database, so that nothing reaches a line here but numbers,
host names and UUIDs. What is not so is refused: that is a bug on our side, and nothing was sent.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from nizam.esl.errors import EslUsageError

PROFILE: Final = "default"
_MAILBOX: Final = re.compile(r"\A[A-Za-z0-9_.+*#-]{1,64}\Z")
_DOMAIN: Final = re.compile(r"\A[A-Za-z0-9.-]{1,253}\Z")


def mark(mailbox: str, domain: str, message: UUID, *, read: bool) -> str:
    """Have a message counted as listened to, or not; the lamp follows."""
    how = "read" if read else "unread"
    return f"vm_read {_account(mailbox, domain)} {how} {_id(message)}"


def delete(mailbox: str, domain: str, message: UUID) -> str:
    """Remove a message and its file, wherever the switch has a message of this id; the lamp of the
    mailbox follows."""
    return f"vm_delete {_account(mailbox, domain)} {_id(message)}"


def condemn(mailbox: str, domain: str, message: UUID) -> str:
    """Have a message of this mailbox alone go with the next `purge`."""
    return f"vm_fsdb_msg_delete {_place(mailbox, domain)} {_id(message)}"


def purge(mailbox: str, domain: str) -> str:
    """Remove what is condemned in the mailbox; the lamp follows."""
    return f"vm_fsdb_msg_purge {_place(mailbox, domain)}"


def listing(mailbox: str, domain: str, *, read: bool) -> str:
    """Ask for the ids of the messages that were listened to, or of those that were not, as JSON:
    VM-List-Count and VM-List-Message-N-UUID."""
    # Whatever is none of the words it knows lists those that were listened to.
    which = "read" if read else "not-read"
    return f"vm_fsdb_msg_list json {_place(mailbox, domain)} inbox {which}"


def facts(mailbox: str, domain: str, message: UUID) -> str:
    """Ask for what is known of a message, as JSON: VM-Message-...; nothing if there is none."""
    return f"vm_fsdb_msg_get json {_place(mailbox, domain)} {_id(message)}"


def _account(mailbox: str, domain: str) -> str:
    return f"{_checked(_MAILBOX, mailbox)}@{_checked(_DOMAIN, domain)}/{PROFILE}"


def _place(mailbox: str, domain: str) -> str:
    return f"{PROFILE} {_checked(_DOMAIN, domain)} {_checked(_MAILBOX, mailbox)}"


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if pattern.match(text) is None:
        raise EslUsageError("not a mailbox that FreeSWITCH may be given")
    return text


def _id(message: UUID) -> str:
    if not isinstance(message, UUID):
        raise EslUsageError("a message is named by its UUID")
    return str(message)
