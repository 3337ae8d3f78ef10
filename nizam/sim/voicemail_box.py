"""What mod_voicemail keeps in its database, and the API commands that ask for it and change it.

Source: mod_voicemail.c (voicemail_read_api_function, voicemail_delete_api_function, the vm_fsdb_*
functions, update_mwi). The answers have their unevenness: `-OK` is success.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from nizam.sim import wire

if TYPE_CHECKING:
    from nizam.sim.core import Core

OK = "+OK\n"
DONE = "-OK\n"
MISSING = "-ERR Missing Arguments\n"
NO_PROFILE = "-ERR Profile not found\n"
NO_USER = "-ERR can't find user or profile.\n"
PROFILE = "default"
URGENT = "A_URGENT"
NORMAL = "B_NORMAL"


@attrs.define(kw_only=True)
class Message:
    """A row of voicemail_msgs; epochs are seconds, 0 is never."""

    user: str
    domain: str
    uuid: str
    path: str
    cid_name: str
    cid_number: str
    seconds: int
    created: int
    read: int = 0
    flags: str = ""
    read_flags: str = NORMAL


def of_mailbox(core: Core, user: str, domain: str) -> list[Message]:
    """The messages of a mailbox, the oldest first."""
    return [it for it in core.messages if (it.user, it.domain) == (user, domain)]


def leave(core: Core, message: Message) -> None:
    """Keep a message; the lamp follows."""
    core.messages.append(message)
    show_waiting(core, message.user, message.domain, "NEW")


def hear(core: Core, user: str, domain: str, *, delete: bool) -> None:
    """Somebody listens to all that is new, and keeps or deletes it, as at the phone's menu."""
    for message in of_mailbox(core, user, domain):
        if not message.read:
            message.flags = "delete" if delete else "save"
            message.read = int(core.clock.seconds())
    _remove(core, [it for it in of_mailbox(core, user, domain) if it.flags == "delete"])
    show_waiting(core, user, domain, "PURGE")


def show_waiting(core: Core, user: str, domain: str, reason: str) -> None:
    """MESSAGE_WAITING, and mwi-update: how many messages the mailbox has."""
    kept = of_mailbox(core, user, domain)
    new, saved = [it for it in kept if not it.read], [it for it in kept if it.read]
    urgent = [sum(it.read_flags == URGENT for it in some) for some in (new, saved)]
    counts = (len(new), len(saved), *urgent)
    waiting: wire.Headers = [
        ("MWI-Messages-Waiting", "yes" if new else "no"),
        ("Update-Reason", reason),
        ("MWI-Message-Account", f"{user}@{domain}"),
        ("MWI-Voice-Message", "{}/{} ({}/{})".format(*counts)),
    ]
    core.fire("MESSAGE_WAITING", lambda: waiting)
    names = ("New", "Saved", "New-Urgent", "Saved-Urgent")
    update: wire.Headers = [
        ("VM-Action", "mwi-update"),
        ("VM-User", user),
        ("VM-Domain", domain),
        *((f"VM-Total-{name}", str(it)) for name, it in zip(names, counts, strict=True)),
    ]
    core.fire(
        "CUSTOM",
        lambda: update,
        subclass="vm::maintenance",
        key="vm::maintenance mwi-update",
    )


def vm_read(core: Core, arguments: str) -> str:
    """`USER@DOMAIN[/PROFILE] read|unread [UUID]`."""
    account, _, rest = arguments.partition(" ")
    how, _, wanted = rest.partition(" ")
    user, domain, profile = _account(account)
    if how not in ("read", "unread") or not domain or profile != PROFILE:
        return NO_USER
    for it in core.messages:
        if it.uuid == wanted if wanted else it.domain == domain:
            it.read = int(core.clock.seconds()) if how == "read" else 0
            it.flags = it.flags if how == "read" else ""
    show_waiting(core, user, domain, "READ")
    return OK


def vm_delete(core: Core, arguments: str) -> str:
    """`USER@DOMAIN[/PROFILE] [UUID]`; a UUID is looked for in every mailbox."""
    account, _, wanted = arguments.partition(" ")
    user, domain, profile = _account(account)
    if not domain or profile != PROFILE:
        return NO_USER
    mine = of_mailbox(core, user, domain)
    _remove(core, [it for it in core.messages if it.uuid == wanted] if wanted else mine)
    show_waiting(core, user, domain, "DELETE")
    return OK


def msg_list(core: Core, arguments: str) -> str:
    """`FORMAT PROFILE DOMAIN USER FOLDER FILTER`: the UUIDs."""
    words = arguments.split()
    if len(words) < 6:
        return MISSING
    if words[1] != PROFILE:
        return NO_PROFILE
    wanted: dict[str, Callable[[Message], bool]] = {
        "not-read": lambda it: not it.read,
        "new": lambda it: not it.flags,
        "save": lambda it: it.flags == "save",
    }
    fits = wanted.get(words[5], lambda it: bool(it.read))
    found = sorted(
        filter(fits, of_mailbox(core, words[3], words[2])),
        key=lambda it: (it.read_flags, it.created),
    )
    said = {f"VM-List-Message-{n}-UUID": it.uuid for n, it in enumerate(found, 1)}
    return _event(core, "vm_fsdb_msg_list_function", said | {"VM-List-Count": str(len(found))})


def msg_get(core: Core, arguments: str) -> str:
    """`FORMAT PROFILE DOMAIN USER UUID`: what is known of one message."""
    words = arguments.split()
    if len(words) < 5:
        return MISSING
    if words[1] != PROFILE:
        return NO_PROFILE
    found = [it for it in of_mailbox(core, words[3], words[2]) if it.uuid == words[4]]
    said = {}
    for it in found:
        said = {
            "VM-Message-Received-Epoch": str(it.created),
            "VM-Message-Read-Epoch": str(it.read),
            "VM-Message-UUID": it.uuid,
            "VM-Message-Caller-Name": it.cid_name,
            "VM-Message-Caller-Number": it.cid_number,
            "VM-Message-Folder": "inbox",
            "VM-Message-File-Path": it.path,
            "VM-Message-Duration": str(it.seconds),
            "VM-Message-Flags": it.flags,
            "VM-Message-Read-Flags": it.read_flags,
        }
    return _event(core, "vm_fsdb_msg_get_function", said)


def msg_delete(core: Core, arguments: str) -> str:
    """`PROFILE DOMAIN USER UUID`: it goes with the next purge."""
    words = arguments.split()
    if len(words) < 4:
        return MISSING
    if words[0] != PROFILE:
        return NO_PROFILE
    for it in of_mailbox(core, words[2], words[1]):
        if it.uuid == words[3]:
            it.flags = "delete"
    return DONE


def msg_purge(core: Core, arguments: str) -> str:
    """`PROFILE DOMAIN USER`: what was deleted goes."""
    words = arguments.split()
    if len(words) < 3:
        return MISSING
    if words[0] != PROFILE:
        return NO_PROFILE
    _remove(core, [it for it in of_mailbox(core, words[2], words[1]) if it.flags == "delete"])
    show_waiting(core, words[2], words[1], "PURGE")
    return DONE


def _event(core: Core, function: str, said: dict[str, str]) -> str:
    """The answer: an event of its own, with the headers that have a value."""
    local, gmt = core.dates(core.now())
    head = {
        "Event-Name": "REQUEST_PARAMS",
        "Core-UUID": core.core_uuid,
        "FreeSWITCH-Hostname": core.hostname,
        "FreeSWITCH-Switchname": core.hostname,
        "Event-Date-Local": local,
        "Event-Date-GMT": gmt,
        "Event-Date-Timestamp": str(core.now()),
        "Event-Calling-File": "mod_voicemail.c",
        "Event-Calling-Function": function,
        "Event-Sequence": core.next_sequence(),
    }
    kept = {name: value for name, value in said.items() if value}
    return json.dumps(head | kept, separators=(",", ":"))


def _account(text: str) -> tuple[str, str, str]:
    user, _, rest = text.partition("@")
    domain, _, profile = rest.partition("/")
    return user, domain, profile or PROFILE


def _remove(core: Core, messages: Iterable[Message]) -> None:
    """Remove messages, and their files where recordings are really written."""
    for it in messages:
        core.messages.remove(it)
        root, file = core.media_root, Path(it.path).resolve()
        if root is not None and file.is_relative_to(root.resolve()):
            with suppress(OSError):
                file.unlink()
