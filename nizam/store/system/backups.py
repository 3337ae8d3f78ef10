"""The record of backups: of each part the last one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

NOTE: Final = """
insert into backups (part, name, finished_at, bytes)
values (%(part)s, %(name)s, %(finished_at)s, %(bytes)s)
on conflict (part) do update
set name = excluded.name, finished_at = excluded.finished_at, bytes = excluded.bytes
"""
LAST: Final = "select part, finished_at, bytes from backups"


class Database(Protocol):
    """A transaction or a pool: what runs one statement."""

    async def query(self, sql: str, args: Any = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement."""


async def last_backups(database: Database) -> Mapping[str, tuple[datetime, int]]:
    """When the last backup of each part ended, and its size in bytes."""
    return {part: (ended, size) for part, ended, size in await database.query(LAST)}
