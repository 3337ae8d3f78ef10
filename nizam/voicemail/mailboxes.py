"""Keeps mailboxes as the API shows them and as phones hear them the same.

Whatever is done at a phone makes mod_voicemail tell how many messages the mailbox has, and no
more: the mailbox is then compared with the switch's list of it. After a time in which nobody heard
the switch, all of its mailboxes are. What the API wants deleted while the switch was away is
deleted when it is back.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from twisted.logger import Logger

from nizam.errors import SwitchError, SwitchUnavailable, TimeoutExceeded
from nizam.model.events import Event
from nizam.model.voicemail_files import message_id, voicemail_below
from nizam.ops.looking import Looking
from nizam.store.pool import Pool, Transaction
from nizam.store.system import voicemail as stored
from nizam.store.system import voicemail_comparing as comparing
from nizam.store.system.events import WriteResult, write_events
from nizam.store.system.telling import Told, write_and_tell
from nizam.store.system.voicemail import Message
from nizam.store.system.voicemail_changes import messages_of
from nizam.store.system.voicemail_comparing import Comparison
from nizam.switch.command_links import Links
from nizam.voicemail import changes
from nizam.voicemail.switch import Box, Known, SwitchMailboxes

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 8
LEASE_SECONDS: Final = 60.0
"""When another instance takes what this one has not settled."""
YOUNG_SECONDS: Final = 10.0
"""How long a message may be here before the switch lists it: it tells of it first."""
OLD_SECONDS: Final = 60.0
"""How old a message is that nobody has told of: the event of a newer one may be on its way."""
FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 300.0
_AT_SWITCH = (SwitchError, SwitchUnavailable, TimeoutExceeded)


class Mailboxes(Looking):
    """Does what is due with mailboxes. Any number of instances may do so."""

    _log = Logger(namespace="nizam.voicemail")

    def __init__(self, reactor: Any, pool: Pool, links: Links, told: Told) -> None:
        super().__init__(reactor, LOOK_SECONDS, "mailboxes")
        self._reactor = reactor
        self._pool = pool
        self._switch = SwitchMailboxes(links)
        self._told = told

    async def do_due(self) -> None:
        """Do what is due, once."""
        await self.settle(
            lambda: stored.take_messages(self._pool, ("deleting",), AT_ONCE, LEASE_SECONDS),
            self._delete,
        )
        while self.running:
            await self.settle(
                lambda: comparing.take_comparisons(self._pool, AT_ONCE, LEASE_SECONDS),
                self._compare,
            )
            if not await self._pool.transaction(comparing.sweep_on):
                return

    async def _delete(self, it: Message) -> None:
        try:
            await changes.erase(self._pool, self._switch, it, self._told)
        except _AT_SWITCH as error:
            await stored.put_off(self._pool, it, error.detail, _wait(it.attempt_count))

    # -- comparing -------------------------------------------------------------------------------

    async def _compare(self, it: Comparison) -> None:
        box = Box(node=it.node, mailbox=it.mailbox, domain=it.domain)
        # Before the switch is asked: what comes after that is not missed there.
        here = await messages_of(self._pool, it.tenant_id, it.node, it.mailbox, YOUNG_SECONDS)
        try:
            there = await self._switch.listed(box)
            agree = await self._settle(box, here, there)
            for switch_id in there.keys() - {message.switch_id for message, _ in here}:
                agree &= await self._find(it, box, switch_id)
        except _AT_SWITCH as error:
            self._log.debug(
                "mailbox {box}@{domain} of {node} waits: {why}",
                box=it.mailbox,
                domain=it.domain,
                node=it.node,
                why=error.detail,
            )
            await comparing.compare_later(self._pool, it, _wait(it.attempt_count))
            return
        if agree:
            await comparing.note_compared(self._pool, it)
        else:
            await comparing.compare_later(self._pool, it, YOUNG_SECONDS)

    async def _settle(
        self, box: Box, here: list[tuple[Message, bool]], there: dict[str, bool]
    ) -> bool:
        """Have the messages that are here be as the switch has them; whether they are."""
        agree = True
        for message, is_young in here:
            read = there.get(message.switch_id or "")
            if read is not None:
                if read != message.is_read and message.state != "deleting":
                    await changes.marked(self._pool, message.id, self._told, read=read, by="phone")
            elif is_young:
                agree = False
            elif message.switch_id and await self._switch.known(box, message.switch_id) is None:
                await changes.gone(
                    self._pool, message.id, self._told, by="phone", reason="at the phone"
                )
        return agree

    async def _find(self, it: Comparison, box: Box, switch_id: str) -> bool:
        """Have a message that nobody has told of; whether that is settled."""
        known = await self._switch.known(box, switch_id)
        if known is None or not known.path:
            return True
        now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
        if now - known.received_at < timedelta(seconds=OLD_SECONDS):
            return False
        event = _received(it, switch_id, known)

        async def work(transaction: Transaction) -> WriteResult:
            row = stored.message_row(event) | {
                "is_read": known.read_at is not None,
                "read_at": known.read_at,
            }
            # One that was stored, or is deleted, by somebody else is not told of again.
            if not await stored.insert_messages(transaction, [row]):
                return WriteResult()
            return await write_events(transaction, [event])

        await write_and_tell(self._pool, self._told, work)
        return True


def _received(it: Comparison, switch_id: str, known: Known) -> Event:
    """What the switch would have told of a message."""
    identifier, below = message_id(known.path), voicemail_below(known.path)
    return Event(
        type="voicemail.received",
        occurred_at=known.received_at,
        core_id=str(identifier),
        sequence=0,
        node=it.node,
        tenant_id=it.tenant_id,
        data={
            "mailbox": it.mailbox,
            "domain": it.domain,
            "message_id": str(identifier),
            "extension_id": None if below is None else str(below[1]),
            "from": known.from_number,
            "from_name": known.from_name,
            "path": known.path,
            "duration_ms": known.duration_ms,
            "urgent": known.urgent,
            "folder": known.folder,
            "switch_id": switch_id,
            "reconciled": True,
        },
    )


def _wait(attempts: int) -> float:
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 10))
