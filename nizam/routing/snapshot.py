"""Everything that calls are routed by, resident in memory.

All tenants are held as the JSON bytes that the database gave, beside three small indices
(domain, DID, dialable number); an object is decoded when a call needs it, and a bounded number
of decoded ones is kept. A lookup costs the same for ten tenants as for a thousand, and a change
of one row replaces the bytes of that row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import attrs
import orjson
from pydantic import ValidationError
from twisted.logger import Logger

from nizam.errors import InternalError
from nizam.model.base import Body
from nizam.model.did import Did
from nizam.model.registry import resource, resources
from nizam.model.sip_profile import SipProfile, Srtp
from nizam.model.switch_node import SwitchNode
from nizam.model.tenant import Tenant
from nizam.routing.rows import INDEXED, Draft, Entry, Row, Rows, TenantRows, indexed, no_rows
from nizam.slices import Sliced

B = TypeVar("B", bound=Body)

DECODED_ENTRIES = 20_000
"""How many decoded objects are kept; the oldest goes first."""


class Snapshot:
    """The routing data of every tenant and of the platform, as of the last change seen.

    `media_root` is where the files of prompts and music on hold lie, on this machine as on every
    switch; without one they are not played. `speech` is the text-to-speech engine that every switch
    has, and its voice; without one, texts are not spoken. `peer_keys` vouch for calls that one
    switch of ours sends to another; without them these are two calls.
    """

    def __init__(
        self,
        media_root: Path | None = None,
        speech: tuple[str, str] | None = None,
        peer_keys: tuple[bytes, ...] = (),
    ) -> None:
        self.media_root = media_root
        self.peer_keys = peer_keys
        self.speech = speech
        self._tenants: dict[UUID, TenantRows] = {}
        self._platform = no_rows()
        self._domains: dict[str, UUID] = {}
        self._dids: dict[str, tuple[UUID, UUID]] = {}
        self._decoded: dict[Row, Entry[Any] | None] = {}
        self._log = Logger(namespace="nizam.routing")
        self._types = {it.body: it.name for it in resources().values()}

    # -- changes ------------------------------------------------------------------------------

    def put(self, row: Row) -> None:
        """Take in a row, in place of the older one with its id. An older version is ignored."""
        rows = self._rows(row.resource, row.tenant_id, row.id)[row.resource]
        present = rows.get(row.id)
        if present is not None:
            if present.version > row.version:
                return
            self._forget(present)
        rows[row.id] = row
        if row.resource == "tenant":
            self._domains[indexed(row)] = row.id
        elif row.resource == "did" and row.tenant_id is not None:
            self._dids[indexed(row)] = (row.tenant_id, row.id)
        elif row.tenant_id is not None:
            self._tenants[row.tenant_id].take_numbers(row)

    def remove(self, resource_name: str, tenant_id: UUID | None, identifier: UUID) -> None:
        """Forget one object; removing a tenant removes all that it owns."""
        if resource_name == "tenant":
            tenant = self._tenants.pop(identifier, None)
            for name, kind in tenant.rows.items() if tenant else ():
                for owned in kind.values():
                    if name in INDEXED:
                        self._forget(owned)
                    # Its numbers have gone with it.
                    self._decoded.pop(owned, None)
            return
        removed = self._rows(resource_name, tenant_id, identifier)[resource_name].pop(
            identifier, None
        )
        if removed is not None:
            self._forget(removed)

    def change_tenant(
        self,
        tenant_id: UUID,
        rows: Iterable[Row],
        removed: Iterable[tuple[str, UUID]],
        revision: int,
    ) -> Sliced[None]:
        """Take in what changes up to `revision` have made of a tenant's objects. An older version
        than that which is held is ignored.

        It can be done in pieces: all of it is put together beside what is served, and takes its
        place at once at the end. A lookup in between sees the tenant as it was: never a DID that
        leads to a menu which is not there yet. One change at a time: a second one that began
        meanwhile would be lost.
        """
        present = self._tenants.get(tenant_id, TenantRows())
        draft = Draft(tenant_id, present.copy())
        for name, identifier in removed:
            draft.remove(name, identifier)
            yield
        for row in rows:
            draft.put(row)
            yield
        self._publish(draft, revision)

    def replace_tenant(self, tenant_id: UUID, rows: Iterable[Row], revision: int) -> Sliced[None]:
        """Put `rows` in the place of all that is held of the tenant, as `change_tenant` does."""
        draft = Draft(tenant_id, TenantRows())
        for row in rows:
            draft.put(row)
            yield
        present = self._tenants.get(tenant_id, TenantRows())
        for name, kind in present.rows.items():
            for row in kind.values():
                draft.changed.append(row)
                if name in INDEXED:
                    draft.left.append((name, indexed(row), row.id))
                yield
        self._publish(draft, revision)

    def _publish(self, draft: Draft, revision: int) -> None:
        """Serve the draft from now on."""
        draft.rows.revision = max(revision, 0)
        self._tenants[draft.tenant_id] = draft.rows
        for name, value, identifier in draft.left:
            self._leave_index(name, value, identifier)
        for name, value, identifier in draft.came:
            if name == "tenant":
                self._domains[value] = identifier
            else:
                self._dids[value] = (draft.tenant_id, identifier)
        for row in draft.changed:
            self._decoded.pop(row, None)

    def _leave_index(self, name: str, value: str, identifier: UUID) -> None:
        if name == "tenant":
            if self._domains.get(value) == identifier:
                del self._domains[value]
        elif self._dids.get(value, (None, None))[1] == identifier:
            del self._dids[value]

    def set_revision(self, tenant_id: UUID, revision: int) -> None:
        """Note that all changes of the tenant up to `revision` are held."""
        tenant = self._tenants.setdefault(tenant_id, TenantRows())
        tenant.revision = max(tenant.revision, revision)

    def _rows(self, resource_name: str, tenant_id: UUID | None, identifier: UUID) -> Rows:
        owner = identifier if resource_name == "tenant" else tenant_id
        if owner is None:
            return self._platform
        if owner not in self._tenants:
            self._tenants[owner] = TenantRows()
        return self._tenants[owner].rows

    def _forget(self, row: Row) -> None:
        self._decoded.pop(row, None)
        if row.resource in INDEXED:
            self._leave_index(row.resource, indexed(row), row.id)
        elif row.tenant_id in self._tenants:
            self._tenants[row.tenant_id].free_numbers(row)

    # -- lookups ------------------------------------------------------------------------------

    def tenant(self, tenant_id: UUID) -> TenantView | None:
        """The tenant with this id, or None."""
        rows = self._tenants.get(tenant_id)
        row = None if rows is None else rows.rows["tenant"].get(tenant_id)
        if rows is None or row is None or self.decode(row) is None:
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

    def owner_of(self, resource_name: str, identifier: UUID) -> TenantView | None:
        """The tenant that has the object of this resource and id, or None."""
        for tenant_id, held in self._tenants.items():
            if identifier in held.rows.get(resource_name, ()):
                return self.tenant(tenant_id)
        return None

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
        return self.decoded(self._platform[name].values())

    def sip_profile(self, name: str) -> SipProfile | None:
        """The platform's SIP profile of this name, if one is declared and enabled."""
        found = (it.body for it in self.platform(SipProfile))
        return next((it for it in found if it.name == name and it.enabled), None)

    def switch_node(self, name: str) -> SwitchNode | None:
        """The switch node of this name, None where only the settings know it."""
        found = (it.body for it in self.platform(SwitchNode))
        return next((it for it in found if it.name == name), None)

    def rows(self) -> Iterator[Row]:
        """Every row held, for the copy in Redis."""
        for rows in (self._platform, *(it.rows for it in self._tenants.values())):
            for kind in rows.values():
                yield from kind.values()

    def rows_of(self, owner: UUID | None) -> list[Row]:
        """Every row of one tenant, its own included, or (None) of the platform."""
        held = self._platform if owner is None else self._tenants.get(owner, TenantRows()).rows
        return [row for kind in held.values() for row in kind.values()]

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

    def decode(self, row: Row) -> Entry[Any] | None:
        """The row as an object; fields that a newer NIZAM has added are passed over.

        None for one that this NIZAM would refuse, such as one that an older one has stored: it
        must not keep the tenant's other calls from being routed, and is logged once.
        """
        try:
            return self._decoded[row]
        except KeyError:
            pass
        entry: Entry[Any] | None = None
        try:
            body = resource(row.resource).body.model_validate_json(row.body, extra="ignore")
            entry = Entry(row.resource, row.id, row.version, body, orjson.loads(row.secrets))
        except ValidationError as error:
            places = sorted({"/".join(map(str, it["loc"])) for it in error.errors()})
            self._log.error(
                "{resource} {id} is passed over, it cannot be read: {places}",
                resource=row.resource,
                id=str(row.id),
                places=", ".join(places),
            )
        if len(self._decoded) >= DECODED_ENTRIES:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[row] = entry
        return entry

    def decoded(self, rows: Iterable[Row]) -> list[Entry[Any]]:
        """Those of the rows that can be read, as objects."""
        return [entry for row in rows if (entry := self.decode(row)) is not None]

    def type_name(self, body_type: type[Body]) -> str:
        """The resource name of a body type."""
        return self._types[body_type]


@attrs.frozen
class TenantView:
    """What one tenant owns. Nothing of another tenant can be reached through it."""

    _snapshot: Snapshot
    id: UUID
    _rows: TenantRows

    @property
    def media_root(self) -> Path | None:
        """Where the tenant's files lie, below a folder of its own; see Snapshot."""
        return self._snapshot.media_root

    @property
    def speech(self) -> tuple[str, str] | None:
        """The text-to-speech engine of the switches and its voice; see Snapshot."""
        return self._snapshot.speech

    @property
    def peer_keys(self) -> tuple[bytes, ...]:
        """What vouches for calls between switches of ours; see Snapshot."""
        return self._snapshot.peer_keys

    @property
    def srtp(self) -> Srtp:
        """Whether audio between phones and the switches is encrypted."""
        profile = self._snapshot.sip_profile("internal")
        return "off" if profile is None else profile.srtp

    @property
    def revision(self) -> int:
        """The last revision of the tenant that is held."""
        return self._rows.revision

    @property
    def tenant(self) -> Tenant:
        """The tenant itself."""
        entry = self._snapshot.decode(self._rows.rows["tenant"][self.id])
        if entry is None:
            raise InternalError("a tenant that cannot be read has no view")
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

    def did(self, number: str) -> Entry[Did] | None:
        """The tenant's own DID with this number in E.164; None for one of somebody else, too."""
        found = self._snapshot.did(number)
        return found[1] if found is not None and found[0].id == self.id else None

    def all_but(self, body_type: type[B], *passed_over: bytes) -> list[Entry[B]]:
        """Every object of one type but those whose JSON holds one of these texts, which costs a
        hundredth of looking into them."""
        rows = list(self._rows.rows[self._snapshot.type_name(body_type)].values())
        for text in passed_over:
            rows = [row for row in rows if text not in row.body]
        return self._snapshot.decoded(rows)

    def all(self, body_type: type[B]) -> list[Entry[B]]:
        """Every object of one type."""
        rows = self._rows.rows[self._snapshot.type_name(body_type)]
        return self._snapshot.decoded(rows.values()) if rows else []
