"""The age of the last backup, as Prometheus gets it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.task import Clock

from nizam.errors import DatabaseUnavailable
from nizam.metrics import REGISTRY
from nizam.ops.backup_meter import LOOK_SECONDS, BackupMeter
from nizam.store.pool import Pool
from nizam.store.system.backups import NOTE
from tests.store.conftest import pool

__all__ = ["pool"]
ENDED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def shown(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"nizam_backup_{name}", {"part": "redis"})


class Answers:
    """A database that answers, or is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.rows: list[tuple[Any, ...]] | None = [("redis", ENDED, 7)]

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        self.asked += 1
        if self.rows is None:
            raise DatabaseUnavailable("away")
        return self.rows


async def test_what_the_command_notes_is_exported(pool: Pool) -> None:
    for size in (5, 6):
        note = {"part": "redis", "name": "b", "finished_at": ENDED, "bytes": size}
        await pool.query(NOTE, note)
    await BackupMeter(Clock(), pool).look()
    assert (shown("timestamp_seconds"), shown("size_bytes")) == (ENDED.timestamp(), 6)


def test_it_is_asked_every_minute_and_stays_while_the_database_is_away() -> None:
    clock, database = Clock(), Answers()
    meter = BackupMeter(clock, database)
    meter.startService()
    database.rows = None
    clock.advance(LOOK_SECONDS)
    assert (database.asked, shown("size_bytes")) == (2, 7)
    database.rows = [("redis", ENDED, 8)]
    clock.advance(LOOK_SECONDS)
    assert shown("size_bytes") == 8
    meter.stopService()
    clock.advance(LOOK_SECONDS)
    assert database.asked == 3
