"""Which media files the objects of all tenants have."""

from __future__ import annotations

from typing import Any, Protocol

from nizam.store.connection import Row

_IN_USE = """
select body -> 'audio' ->> 'id' from prompts where body -> 'audio' ->> 'id' is not null
union all
select file ->> 'id' from music_on_hold, jsonb_array_elements(body -> 'files') file
"""


class Source(Protocol):
    """Where it is read from: a pool, or the turn of a scheduled task."""

    async def query(self, sql: str, args: Any = ()) -> list[Row]:
        """The rows of one statement."""


async def media_in_use(source: Source) -> frozenset[str]:
    """The ids of the files that prompts and music on hold have."""
    return frozenset(file_id for (file_id,) in await source.query(_IN_USE))
