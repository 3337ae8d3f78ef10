"""The rows that snapshots hold, and a tenant's as they will be after a change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Generic, TypeVar
from uuid import UUID

import attrs
import orjson

from nizam.model.base import Body
from nizam.model.registry import resource

B = TypeVar("B", bound=Body)


@attrs.frozen(eq=False)
class Row:
    """One object as stored: `body` is its JSON, `secrets` maps fields to encrypted text.

    A row is itself alone: what is decoded of it is found by it, without comparing what it holds.
    """

    resource: str
    id: UUID
    tenant_id: UUID | None
    version: int
    body: bytes
    secrets: bytes = b"{}"


@attrs.frozen
class Entry(Generic[B]):
    """One object, decoded. `secrets` are still encrypted."""

    resource: str
    id: UUID
    version: int
    body: B
    secrets: Mapping[str, str]


Rows = defaultdict[str, dict[UUID, Row]]
"""Resource name -> id -> row."""


def no_rows() -> Rows:
    """None of any resource."""
    return defaultdict(dict)


INDEXED = {"tenant": "domain", "did": "number"}
"""What is looked up among all tenants: resource name -> by which field."""


def indexed(row: Row) -> str:
    """By what the row is looked up among all tenants."""
    return str(orjson.loads(row.body)[INDEXED[row.resource]])


@attrs.define
class TenantRows:
    """The rows of one tenant, its own included, and what its numbers lead to."""

    revision: int = 0
    rows: Rows = attrs.field(factory=no_rows)
    numbers: dict[str, tuple[str, UUID]] = attrs.field(factory=dict)

    def copy(self) -> TenantRows:
        rows = no_rows()
        rows.update((name, dict(kind)) for name, kind in self.rows.items())
        return TenantRows(self.revision, rows, dict(self.numbers))

    def take_numbers(self, row: Row) -> None:
        it = resource(row.resource)
        if it.is_dialled:
            numbers = it.numbers(orjson.loads(row.body))
            self.numbers.update(dict.fromkeys(numbers, (row.resource, row.id)))

    def free_numbers(self, row: Row) -> None:
        it = resource(row.resource)
        if it.is_dialled:
            for number in it.numbers(orjson.loads(row.body)):
                if self.numbers.get(number) == (row.resource, row.id):
                    del self.numbers[number]


@attrs.define
class Draft:
    """A tenant as it will be. `left` and `came` are what has to go from, and into, the indices
    over all tenants: (resource, value, id); `changed` are the rows that are served no more."""

    tenant_id: UUID
    rows: TenantRows
    left: list[tuple[str, str, UUID]] = attrs.field(factory=list)
    came: list[tuple[str, str, UUID]] = attrs.field(factory=list)
    changed: list[Row] = attrs.field(factory=list)

    def put(self, row: Row) -> None:
        kind = self.rows.rows[row.resource]
        present = kind.get(row.id)
        if present is not None:
            if present.version > row.version:
                return
            self._forget(present)
        kind[row.id] = row
        if row.resource in INDEXED:
            self.came.append((row.resource, indexed(row), row.id))
        else:
            self.rows.take_numbers(row)

    def remove(self, name: str, identifier: UUID) -> None:
        present = self.rows.rows[name].pop(identifier, None)
        if present is not None:
            self._forget(present)

    def _forget(self, row: Row) -> None:
        self.changed.append(row)
        if row.resource in INDEXED:
            self.left.append((row.resource, indexed(row), row.id))
        else:
            self.rows.free_numbers(row)
