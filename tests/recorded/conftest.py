"""A database, a media root, and the keeper of recordings between them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
import pytest_twisted

from nizam.media.library import MediaLibrary
from nizam.model.audio import recordings_directory
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.recordings.keeper import RecordingKeeper
from nizam.store.pool import Pool
from nizam.store.system.events import write_events
from nizam.store.system.recordings_told import write_recordings

STARTED = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
NODE_ROOT = "/mnt/switch/media"
"""Where the switch has the media root: not where this instance has it."""


@attrs.define
class Studio:
    """One tenant's recordings."""

    pool: Pool
    root: Path
    library: MediaLibrary
    keeper: RecordingKeeper
    tenant_id: UUID
    told: list[tuple[UUID, UUID]]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _sequence: int = 0

    def event(self, kind: str, name: str, seconds: float = 0.0, **data: Any) -> Event:
        """What a switch says of a file of the tenant's, so many seconds after noon."""
        self._sequence += 1
        more = {"leg_id": data.pop("leg_id", None), "call_id": data.pop("call_id", None)}
        facts: dict[str, Any] = {
            "path": f"{NODE_ROOT}/{recordings_directory(self.tenant_id)}/{name}"
        }
        if kind == "recording.stopped":
            facts |= {"duration_ms": 2000, "discarded": False, "may_continue": False}
        parties = {"from": "1001", "to": "1002", "direction": "internal", "extension_id": None}
        return Event(
            type=kind,
            occurred_at=STARTED + timedelta(seconds=seconds),
            core_id="core",
            sequence=self._sequence,
            node="fs1",
            tenant_id=self.tenant_id,
            data=facts | parties | data,
            **more,
        )

    async def hear(self, *events: Event) -> None:
        """The intake stores these."""

        async def work(transaction: Any) -> None:
            written = await write_events(transaction, events)
            await write_recordings(transaction, events, written.event_ids)

        await self.pool.transaction(work)

    def put(self, path: str, content: bytes, tenant_id: UUID | None = None) -> Path:
        """A file as the switch writes it."""
        file = self.root / recordings_directory(tenant_id or self.tenant_id) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    async def recorded(self, path: str, content: bytes, **data: Any) -> UUID:
        """A recording that is complete; its id."""
        call_id = data.setdefault("call_id", new_id())
        data.setdefault("leg_id", call_id)
        file = self.put(path, content)
        os.utime(file, (0, 0))
        await self.hear(
            self.event("recording.started", path, 0.0, **data),
            self.event("recording.stopped", path, 2.0, **data),
        )
        await self.look()
        [(identifier,)] = await self.pool.query(
            "select id from recordings where path like %s", (f"%/{path}",)
        )
        found: UUID = identifier
        return found

    async def look(self) -> None:
        """The keeper does what is due."""
        await self.keeper.look()

    async def later(self) -> None:
        """What waits is due now."""
        await self.pool.query(
            "update recordings set next_attempt_at = now() where next_attempt_at is not null"
            " returning 1"
        )
        await self.look()

    async def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """These columns of the recordings, in order."""
        return await self.pool.query(
            f"select {', '.join(columns)} from recordings order by started_at, id"  # noqa: S608
        )

    async def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The data of what was told, in order."""
        rows = await self.pool.query(
            "select data from call_events where type = any(%s) order by occurred_at, sequence",
            (list(kinds),),
        )
        return [it[0] for it in rows]


@pytest.fixture
def media_root(tmp_path: Path) -> Path:
    root = tmp_path / "media"
    root.mkdir()
    return root


@pytest_twisted.async_yield_fixture
async def studio(database: str, media_root: Path) -> AsyncIterator[Studio]:
    from twisted.internet import reactor

    pool = Pool(reactor, database, 3, "test")
    await pool.start()
    library = MediaLibrary(reactor, media_root)
    library.startService()
    told: list[tuple[UUID, UUID]] = []
    keeper = RecordingKeeper(reactor, pool, library, told.extend)
    # Looks when the test says so.
    keeper.running = True
    yield Studio(pool, media_root, library, keeper, new_id(), told)
    await library.stopService()
    await pool.stop()
