"""A database, a media root, and one tenant's mailboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest_twisted

from nizam.media.library import MediaLibrary
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.model.voicemail_files import voicemail_directory
from nizam.store.pool import Pool
from nizam.store.system.events import write_events
from nizam.store.system.voicemail import write_voicemail
from nizam.voicemail.files import MessageFiles
from nizam.voicemail.mailboxes import Mailboxes
from tests.voicemail.switch import Switch

LEFT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
NODE_ROOT = "/mnt/switch/media"
"""Where the switch has the media root: not where this instance has it."""
DOMAIN = "acme.example.test"


@attrs.define
class Post:
    """One tenant's mailboxes."""

    pool: Pool
    root: Path
    library: MediaLibrary
    files: MessageFiles
    tenant_id: UUID
    extension_id: UUID
    switch: Switch
    mailboxes: Mailboxes
    told: list[tuple[UUID, UUID]]
    _sequence: int = 0

    def path(self, identifier: UUID) -> str:
        """Where the switch has the file of a message."""
        directory = voicemail_directory(self.tenant_id, self.extension_id)
        return f"{NODE_ROOT}/{directory}/msg_{identifier}.wav"

    def received(self, identifier: UUID, **data: Any) -> Event:
        """A message is left in mailbox 1001."""
        facts: dict[str, Any] = {
            "mailbox": "1001",
            "domain": DOMAIN,
            "message_id": str(identifier),
            "extension_id": str(self.extension_id),
            "from": "+12025550101",
            "from_name": "Zoë",
            "path": self.path(identifier),
            "duration_ms": 4000,
            "urgent": False,
            "folder": "inbox",
            "switch_id": str(new_id()),
        }
        return self.event("voicemail.received", **facts | data)

    def event(self, kind: str, **data: Any) -> Event:
        """What a switch says."""
        self._sequence += 1
        return Event(
            type=kind,
            occurred_at=LEFT + timedelta(seconds=self._sequence),
            core_id="core",
            sequence=self._sequence,
            node="fs1",
            tenant_id=self.tenant_id,
            data=data,
        )

    async def hear(self, *events: Event) -> None:
        """The intake stores these."""

        async def work(transaction: Any) -> None:
            written = await write_events(transaction, events)
            await write_voicemail(transaction, events, written.event_ids)

        await self.pool.transaction(work)

    def put(self, identifier: UUID, content: bytes) -> Path:
        """The file of a message as the switch writes it."""
        directory = self.root / voicemail_directory(self.tenant_id, self.extension_id)
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"msg_{identifier}.wav"
        file.write_bytes(content)
        return file

    async def left(self, content: bytes, **data: Any) -> UUID:
        """A message that is there, with its file; its id."""
        identifier = new_id()
        self.put(identifier, content)
        await self.hear(self.received(identifier, **data))
        await self.files.look()
        return identifier

    async def left_at_both(self, content: bytes = b"", **data: Any) -> tuple[UUID, UUID]:
        """A message that the switch has as well: its ids here and there."""
        identifier, switch_id = new_id(), data.pop("switch_id", new_id())
        file = self.put(identifier, content)
        self.switch.keep(str(file), switch_id, data.get("mailbox", "1001"))
        await self.hear(self.received(identifier, switch_id=str(switch_id), **data))
        return identifier, switch_id

    async def compare(self, mailbox: str = "1001", *, minutes_later: bool = True) -> None:
        """The switch tells how many messages the mailbox has, and the two are compared."""
        counts = {"new": 1, "saved": 0, "new_urgent": 0, "saved_urgent": 0}
        told = {"mailbox": mailbox, "domain": DOMAIN} | counts
        await self.hear(self.event("voicemail.waiting", **told))
        if minutes_later:
            await self.pool.query(
                "update voicemail_messages set created_at = created_at - interval '5 minutes'"
                " returning 1"
            )
        await self.mailboxes.look()

    async def left_to_compare(self) -> int:
        """How many mailboxes are still to be compared."""
        [(count,)] = await self.pool.query("select count(*) from voicemail_comparisons")
        return int(count)

    async def later(self) -> None:
        """What waits for a file is due now."""
        await self.pool.query(
            "update voicemail_messages set next_attempt_at = now()"
            " where next_attempt_at is not null returning 1"
        )
        await self.files.look()

    async def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """These columns of the messages, in order."""
        return await self.pool.query(
            f"select {', '.join(columns)} from voicemail_messages"  # noqa: S608
            " order by received_at, id"
        )

    async def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The data of what was told, in order."""
        rows = await self.pool.query(
            "select data from call_events where type = any(%s) order by position", (list(kinds),)
        )
        return [it[0] for it in rows]


@pytest_twisted.async_yield_fixture
async def post(database: str, tmp_path: Path) -> AsyncIterator[Post]:
    from twisted.internet import reactor

    root = tmp_path / "media"
    root.mkdir()
    pool = Pool(reactor, database, 3, "test")
    await pool.start()
    library = MediaLibrary(reactor, root)
    library.startService()
    files = MessageFiles(reactor, pool, library)
    # Looks when the test says so.
    files.running = True
    switch, told = Switch(), list[tuple[UUID, UUID]]()
    switch.core.media_root = root
    mailboxes = Mailboxes(reactor, pool, switch, told.extend)
    mailboxes.running = True
    yield Post(pool, root, library, files, new_id(), new_id(), switch, mailboxes, told)
    await library.stopService()
    await pool.stop()
