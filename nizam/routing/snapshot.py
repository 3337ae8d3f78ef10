"""Everything that calls are routed by, resident in memory.

All tenants are held as the JSON bytes that the database gave, beside three small indices
(domain, DID, dialable number); an object is decoded when a call needs it, and a bounded number
of decoded ones is kept. A lookup costs the same for ten tenants as for a thousand, and a change
of one row replaces the bytes of that row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

import attrs
import orjson

from nizam.model.base import Body
from nizam.model.did import Did
from nizam.model.registry import resource, resources
from nizam.model.tenant import Tenant

B = TypeVar("B", bound=Body)

DECODED_ENTRIES = 20_000
"""How many decoded objects are kept; the oldest goes first."""


@attrs.frozen
class Row:
    """One object as stored: `body` is its JSON, `secrets` maps fields to encrypted text."""

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


def _no_rows() -> Rows:
    return defaultdict(dict)


@attrs.define
class _TenantRows:
    revision: int = 0
    rows: Rows = attrs.field(factory=_no_rows)
    numbers: dict[str, tuple[str, UUID]] = attrs.field(factory=dict)


class Snapshot:
    """The routing data of every tenant and of the platform, as of the last change seen.

    `media_root` is where the files of prompts and music on hold lie, on this machine as on every
    switch; without one they are not played.
    """

    def __init__(self, media_root: Path | None = None) -> None:
        self.media_root = media_root
        self._tenants: dict[UUID, _TenantRows] = {}
        self._platform = _no_rows()
        self._domains: dict[str, UUID] = {}
        self._dids: dict[str, tuple[UUID, UUID]] = {}
        self._decoded: dict[tuple[str, UUID], Entry[Any]] = {}
        self._types = {it.body: it.name for it in resources().values()}

    # -- changes ------------------------------------------------------------------------------

    def put(self, row: Row) -> None:
        """Take in a row, in place of the older one with its id. An older version is ignored."""
        rows = self._rows(row.resource, row.tenant_id, row.id)[row.resource]
        key = (row.resource, row.id)
        present = rows.get(row.id)
        if present is not None:
            if present.version > row.version:
                return
            self._forget(present)
        rows[row.id] = row
        fields = orjson.loads(row.body)
        if row.resource == "tenant":
            self._domains[fields["domain"]] = row.id
        elif row.resource == "did" and row.tenant_id is not None:
            self._dids[fields["number"]] = (row.tenant_id, row.id)
        elif row.tenant_id is not None and resource(row.resource).is_dialled:
            numbers = self._tenants[row.tenant_id].numbers
            numbers.update(dict.fromkeys(resource(row.resource).numbers(fields), key))

    def remove(self, resource_name: str, tenant_id: UUID | None, identifier: UUID) -> None:
        """Forget one object; removing a tenant removes all that it owns."""
        if resource_name == "tenant":
            tenant = self._tenants.pop(identifier, None)
            for kind in list(tenant.rows.values()) if tenant else ():
                for owned in kind.values():
                    self._forget(owned)
        removed = self._rows(resource_name, tenant_id, identifier)[resource_name].pop(
            identifier, None
        )
        if removed is not None:
            self._forget(removed)

    def replace_tenant(self, tenant_id: UUID, rows: Iterable[Row], revision: int) -> None:
        """Put `rows` in the place of all that is held of the tenant."""
        self.remove("tenant", None, tenant_id)
        self._tenants[tenant_id] = _TenantRows(revision=revision)
        for row in rows:
            self.put(row)

    def set_revision(self, tenant_id: UUID, revision: int) -> None:
        """Note that all changes of the tenant up to `revision` are held."""
        tenant = self._tenants.setdefault(tenant_id, _TenantRows())
        tenant.revision = max(tenant.revision, revision)

    def _rows(self, resource_name: str, tenant_id: UUID | None, identifier: UUID) -> Rows:
        owner = identifier if resource_name == "tenant" else tenant_id
        if owner is None:
            return self._platform
        if owner not in self._tenants:
            self._tenants[owner] = _TenantRows()
        return self._tenants[owner].rows

    def _forget(self, row: Row) -> None:
        key = (row.resource, row.id)
        self._decoded.pop(key, None)
        fields = orjson.loads(row.body)
        if row.resource == "tenant":
            if self._domains.get(fields["domain"]) == row.id:
                del self._domains[fields["domain"]]
        elif row.resource == "did":
            if self._dids.get(fields["number"], (None, None))[1] == row.id:
                del self._dids[fields["number"]]
        elif row.tenant_id in self._tenants and resource(row.resource).is_dialled:
            numbers = self._tenants[row.tenant_id].numbers
            for number in resource(row.resource).numbers(fields):
                if numbers.get(number) == key:
                    del numbers[number]

    # -- lookups ------------------------------------------------------------------------------

    def tenant(self, tenant_id: UUID) -> TenantView | None:
        """The tenant with this id, or None."""
        rows = self._tenants.get(tenant_id)
        if rows is None or tenant_id not in rows.rows["tenant"]:
            return None
        return TenantView(self, tenant_id, rows)

    def tenant_by_domain(self, domain: str) -> TenantView | None:
        """The tenant whose SIP domain this is; case does not matter (RFC 3261, 19.1.4)."""
        tenant_id = self._domains.get(domain) or self._domains.get(domain.lower())
        return None if tenant_id is None else self.tenant(tenant_id)

    def did(self, number: str) -> tuple[TenantView, Entry[Did]] | None:
        """The tenant and the DID for a public number in E.164 with its plus sign."""
        found = self._dids.get(number)
        if found is None:
            return None
        tenant = self.tenant(found[0])
        entry = None if tenant is None else tenant.get(Did, found[1])
        return None if tenant is None or entry is None else (tenant, entry)

    def tenants(self) -> Iterator[TenantView]:
        """Every tenant."""
        for tenant_id in list(self._tenants):
            view = self.tenant(tenant_id)
            if view is not None:
                yield view

    def revisions(self) -> dict[UUID, int]:
        """Tenant id -> the last revision that is held."""
        return {tenant_id: rows.revision for tenant_id, rows in self._tenants.items()}

    def platform(self, body_type: type[B]) -> list[Entry[B]]:
        """Every platform object of one type, such as the switch nodes."""
        name = self._types[body_type]
        return [self.decode(row) for row in self._platform[name].values()]

    def rows(self) -> Iterator[Row]:
        """Every row held, for the copy in Redis."""
        for rows in (self._platform, *(it.rows for it in self._tenants.values())):
            for kind in rows.values():
                yield from kind.values()

    def counts(self) -> dict[str, int]:
        """How many tenants, objects and decoded objects are held."""
        return {
            "tenants": len(self._tenants),
            "objects": sum(
                len(kind)
                for rows in (self._platform, *(it.rows for it in self._tenants.values()))
                for kind in rows.values()
            ),
            "decoded": len(self._decoded),
        }

    def decode(self, row: Row) -> Entry[Any]:
        """The row as an object; fields that a newer NIZAM has added are passed over."""
        key = (row.resource, row.id)
        entry = self._decoded.get(key)
        if entry is None:
            body_type = resource(row.resource).body
            entry = Entry(
                row.resource,
                row.id,
                row.version,
                body_type.model_validate_json(row.body, extra="ignore"),
                orjson.loads(row.secrets),
            )
            if len(self._decoded) >= DECODED_ENTRIES:
                del self._decoded[next(iter(self._decoded))]
            self._decoded[key] = entry
        return entry

    def type_name(self, body_type: type[Body]) -> str:
        """The resource name of a body type."""
        return self._types[body_type]


@attrs.frozen
class TenantView:
    """What one tenant owns. Nothing of another tenant can be reached through it."""

    _snapshot: Snapshot
    id: UUID
    _rows: _TenantRows

    @property
    def media_root(self) -> Path | None:
        """Where the tenant's files lie, below a folder of its own; see Snapshot."""
        return self._snapshot.media_root

    @property
    def revision(self) -> int:
        """The last revision of the tenant that is held."""
        return self._rows.revision

    @property
    def tenant(self) -> Tenant:
        """The tenant itself."""
        entry = self._snapshot.decode(self._rows.rows["tenant"][self.id])
        return cast(Tenant, entry.body)

    def get(self, body_type: type[B], identifier: UUID) -> Entry[B] | None:
        """The object of this type and id, or None."""
        return self.find(self._snapshot.type_name(body_type), identifier)

    def find(self, resource_name: str, identifier: UUID) -> Entry[Any] | None:
        """The object of this resource and id, or None."""
        row = self._rows.rows[resource_name].get(identifier)
        return None if row is None else self._snapshot.decode(row)

    def by_number(self, number: str) -> Entry[Any] | None:
        """The object that has this internal number, whatever its type."""
        key = self._rows.numbers.get(number)
        return None if key is None else self.find(*key)

    def all(self, body_type: type[B]) -> list[Entry[B]]:
        """Every object of one type."""
        name = self._snapshot.type_name(body_type)
        return [self._snapshot.decode(row) for row in self._rows.rows[name].values()]
