"""The copy of the snapshots in Redis, which a process starts from while PostgreSQL is away.

One hash for each tenant and one for the platform: `<resource>/<id>` -> the row, compressed, and
`revision`. A change patches the fields of its rows. Every instance writes the same copy; the
revision decides who is late.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson

from nizam.kv.interface import IKeyValue, Value
from nizam.model.identifiers import new_id
from nizam.model.registry import resources
from nizam.routing.rows import Row
from nizam.slices import Sliced, in_slices

_PREFIX = "nizam:snapshot:"
_PART = "nizam:snapshot-part:"
_PART_SECONDS = 60
_ROWS_AT_ONCE = 500
_CURRENT_AT = "nizam:snapshot-current-at"
_REVISION = b"revision"
_PLATFORM = "platform"


class SnapshotCopy:
    """Reads and writes the copy. Every method raises KeyValueUnavailable."""

    def __init__(self, key_value: IKeyValue, clock: Any) -> None:
        self._key_value: Any = key_value
        self._clock = clock

    async def load(self) -> list[tuple[UUID | None, int, list[Row]]]:
        """(tenant id or None for the platform, revision, rows) of every owner in the copy."""
        return [it async for it in self._owners()]

    async def _owners(self) -> Any:
        for key in sorted(await self._key_value.scan(f"{_PREFIX}*")):
            name = key.decode().removeprefix(_PREFIX).strip("{}")
            owner = None if name == _PLATFORM else UUID(name)
            fields = await self._key_value.hgetall(key)
            revision = int(fields.pop(_REVISION, b"0"))
            yield owner, revision, list(_rows(owner, fields.items()))

    async def revision(self, owner: UUID | None) -> int | None:
        """The revision of an owner's copy; None if there is none."""
        value = await self._key_value.hget(_key(owner), _REVISION)
        return None if value is None else int(value)

    async def owners(self) -> set[UUID | None]:
        """Whose copies there are."""
        names = [
            key.decode().removeprefix(_PREFIX).strip("{}")
            for key in await self._key_value.scan(f"{_PREFIX}*")
        ]
        return {None if name == _PLATFORM else UUID(name) for name in names}

    async def patch(
        self,
        owner: UUID | None,
        before: int,
        after: int,
        rows: Iterable[Row],
        removed: Iterable[tuple[str, UUID]],
    ) -> bool:
        """Bring the copy from one revision to another; False when it must be written whole."""
        fields = [part for row in rows for part in (_field(row.resource, row.id), _pack(row))]
        gone = [_field(name, identifier) for name, identifier in removed]
        result = await self._key_value.script(
            "snapshot_patch", [_key(owner)], [before, after, len(fields) // 2, *fields, *gone]
        )
        return int(result) >= 0

    async def replace(self, owner: UUID | None, revision: int, rows: Sequence[Row]) -> bool:
        """Write the copy of an owner whole: beside the present one, some rows at a time, and then
        in its place, unless that is beyond this revision by now. False if it was lost meanwhile:
        Redis was emptied, or it took too long."""
        part = f"{_PART}{{{owner or _PLATFORM}}}:{new_id()}"
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            fields = await in_slices(self._clock, _packed(rows[start : start + _ROWS_AT_ONCE]))
            await self._key_value.hset(part, fields)
            await self._key_value.expire(part, _PART_SECONDS)
        result = await self._key_value.script(
            "snapshot_replace", [_key(owner), part], [revision, len(rows)]
        )
        return int(result) >= 0

    async def remove(self, owner: UUID) -> None:
        """Forget a tenant."""
        await self._key_value.delete(_key(owner))

    async def note_current(self, now: float) -> None:
        """Note that the copy is current at `now`, in seconds since 1970."""
        await self._key_value.set(_CURRENT_AT, repr(now))

    async def current_at(self) -> float | None:
        """When the copy was last known to be current, in seconds since 1970."""
        value = await self._key_value.get(_CURRENT_AT)
        return None if value is None else float(value)


def _packed(rows: Sequence[Row]) -> Sliced[dict[str, Value]]:
    fields: dict[str, Value] = {}
    for row in rows:
        fields[_field(row.resource, row.id)] = _pack(row)
        yield
    return fields


def _key(owner: UUID | None) -> str:
    return f"{_PREFIX}{{{owner or _PLATFORM}}}"


def _field(resource: str, identifier: UUID) -> str:
    return f"{resource}/{identifier}"


def _pack(row: Row) -> bytes:
    head = orjson.dumps([row.version, len(row.body)])
    return zlib.compress(head + b"\n" + row.body + row.secrets, 3)


def _rows(owner: UUID | None, fields: Iterable[tuple[bytes, bytes]]) -> Iterator[Row]:
    for field, packed in fields:
        resource, _, identifier = field.decode().partition("/")
        if resource not in resources():
            continue  # written by a newer NIZAM
        head, _, rest = zlib.decompress(packed).partition(b"\n")
        version, length = orjson.loads(head)
        tenant_id = owner if resources()[resource].scope == "tenant" else None
        yield Row(resource, UUID(identifier), tenant_id, version, rest[:length], rest[length:])
