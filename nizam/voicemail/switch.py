"""The switch's own mailboxes, over the command link of the node that has them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import attrs
import orjson

from nizam.errors import SwitchError, SwitchUnavailable
from nizam.esl import voicemail_commands as commands
from nizam.switch.command_links import Links
from nizam.switch.commanding import run_on

_LISTED: Final = re.compile("VM-List-Message-[0-9]+-UUID")
_URGENT: Final = "A_URGENT"


@attrs.frozen(kw_only=True)
class Known:
    """What the switch has of a message."""

    received_at: datetime
    read_at: datetime | None
    path: str
    from_number: str | None
    from_name: str | None
    duration_ms: int
    urgent: bool
    folder: str


@attrs.frozen(kw_only=True)
class Box:
    """One mailbox of one node."""

    node: str | None
    mailbox: str
    domain: str


@attrs.frozen
class SwitchMailboxes:
    """Asks and tells the switches.

    Every method raises SwitchUnavailable, SwitchError and TimeoutExceeded; each command has 5 s.
    """

    links: Links

    async def mark(self, box: Box, switch_id: str | None, *, read: bool) -> None:
        """Have a message counted as listened to, or not."""
        await self._run(box, commands.mark(box.mailbox, box.domain, _id(switch_id), read=read))

    async def delete(self, box: Box, switch_id: str | None, *, shared: bool) -> None:
        """Remove a message with its file; one that is not there is removed. `shared` says that
        other messages have the same id, being of the same call; they stay."""
        message = _id(switch_id)
        if shared:
            await self._run(box, commands.condemn(box.mailbox, box.domain, message))
            await self._run(box, commands.purge(box.mailbox, box.domain))
        else:
            await self._run(box, commands.delete(box.mailbox, box.domain, message))

    async def listed(self, box: Box) -> dict[str, bool]:
        """The ids of the messages in the mailbox, each with whether it was listened to."""
        found: dict[str, bool] = {}
        # Read last: what is listened to in between is in both.
        for read in (False, True):
            said = await self._asked(box, commands.listing(box.mailbox, box.domain, read=read))
            # The answer is an event, and so has the Core-UUID too.
            ids = [it for name, it in said.items() if _LISTED.fullmatch(name)]
            if str(len(ids)) != said.get("VM-List-Count"):
                raise SwitchError("FreeSWITCH does not list the mailbox")
            found |= dict.fromkeys(ids, read)
        return found

    async def known(self, box: Box, switch_id: str) -> Known | None:
        """What the switch has of a message; None if there is none."""
        said = await self._asked(box, commands.facts(box.mailbox, box.domain, _id(switch_id)))
        if "VM-Message-UUID" not in said:
            return None
        return Known(
            received_at=_moment(said["VM-Message-Received-Epoch"]) or datetime.now(UTC),
            read_at=_moment(said.get("VM-Message-Read-Epoch")),
            path=str(said.get("VM-Message-File-Path") or ""),
            from_number=said.get("VM-Message-Caller-Number"),
            from_name=said.get("VM-Message-Caller-Name"),
            duration_ms=1000 * _number(said.get("VM-Message-Duration")),
            urgent=said.get("VM-Message-Read-Flags") == _URGENT,
            folder=str(said.get("VM-Message-Folder") or "inbox"),
        )

    async def _asked(self, box: Box, line: str) -> dict[str, Any]:
        said = await self._run(box, line)
        try:
            found = orjson.loads(said)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SwitchError(f"FreeSWITCH says: {said[:200]}")
        return found

    async def _run(self, box: Box, line: str) -> str:
        if box.node is None:
            raise SwitchUnavailable("nobody knows which switch node has the message")
        return await run_on(self.links, box.node, line)


def _id(switch_id: str | None) -> UUID:
    try:
        return UUID(switch_id or "")
    except ValueError:
        raise SwitchError("the switch has given the message no id") from None


def _number(text: Any) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def _moment(text: Any) -> datetime | None:
    seconds = _number(text)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
