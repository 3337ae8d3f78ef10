"""A switch whose mailboxes are those of the simulated one, behind a command link."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import attrs
from twisted.internet.task import Clock
from zope.interface import implementer

from nizam.errors import SwitchError, SwitchUnavailable
from nizam.esl.interface import ISwitchLink
from nizam.sim import voicemail_box
from nizam.sim.core import Core
from nizam.sim.voicemail_box import Message

COMMANDS: dict[str, Callable[[Core, str], str]] = {
    "vm_read": voicemail_box.vm_read,
    "vm_delete": voicemail_box.vm_delete,
    "vm_fsdb_msg_list": voicemail_box.msg_list,
    "vm_fsdb_msg_get": voicemail_box.msg_get,
    "vm_fsdb_msg_delete": voicemail_box.msg_delete,
    "vm_fsdb_msg_purge": voicemail_box.msg_purge,
}


@implementer(ISwitchLink)
@attrs.define
class Switch:
    """The node fs1."""

    core: Core = attrs.field(factory=lambda: Core(_clock(), Random(1), "fs1"))
    sent: list[str] = attrs.field(factory=list)
    connected: bool = True
    before: Callable[[str], Any] = lambda line: None
    """Called with each command before it is run."""

    def command_link(self, name: str | None = None) -> Any:
        if name != "fs1" or not self.connected:
            raise SwitchUnavailable(f"{name} is not connected")
        return self

    async def api(self, command: str, timeout: float) -> str:
        return await self.bgapi(command, timeout)

    async def bgapi(self, command: str, timeout: float) -> str:
        self.sent.append(command)
        self.before(command)
        name, _, arguments = command.partition(" ")
        said = COMMANDS[name](self.core, arguments)
        if said.startswith("-ERR"):
            raise SwitchError(said.removeprefix("-ERR").strip())
        return said

    def keep(self, path: str, switch_id: UUID, mailbox: str = "1001", **changes: Any) -> Message:
        """A message in a mailbox."""
        facts: dict[str, Any] = {
            "user": mailbox,
            "domain": "acme.example.test",
            "uuid": str(switch_id),
            "path": path,
            "cid_name": "Zoë: <b>",
            "cid_number": "+12025550101",
            "seconds": 4,
            "created": 1_700_000_000,
        }
        message = Message(**facts | changes)
        self.core.messages.append(message)
        return message

    @property
    def held(self) -> list[tuple[str, bool]]:
        """The messages, each with whether it was listened to."""
        return [(it.uuid, bool(it.read)) for it in self.core.messages]


def _clock() -> Clock:
    clock = Clock()
    clock.advance(1_700_000_100)
    return clock
