"""A unit of work that is open: whose it is, what it has locked, and what is written with it.

The row's owner is locked, changes and notes are gathered, and `finish` writes what follows from
them: the revision, the change that snapshots follow, the audit log and the events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs

from nizam.errors import InvalidTransition, NotFound
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.store.audit import AuditEntry
from nizam.store.conflicts import mismatch
from nizam.store.connection import Select, Statement
from nizam.store.context import ChangeContext
from nizam.store.links import Links
from nizam.store.owners import owner_of, tenant_of
from nizam.store.pool import Transaction, scope_sql
from nizam.store.records import Operation, Record, Revision, Writing, write_records
from nizam.store.references import PLATFORM
from nizam.store.rows import find_row
from nizam.store.secrets import SecretBox
from nizam.store.stored import Stored
from nizam.store.system.events import WriteResult

_LOCK_TENANT = "select from tenants where id = %s for update"
_TENANT = "select body from tenants where id = %s"
_LOCK_PLATFORM = "select revision from platform_state for update"
_TO_SYSTEM = "select set_config('role', 'none', true), set_config('nizam.tenant', '', true)"


@attrs.define(kw_only=True)
class OpenUnit:
    """A transaction that is to change what an owner has; `tenant_id` None is the platform."""

    transaction: Transaction
    tenant_id: UUID | None
    context: ChangeContext
    box: SecretBox
    now: datetime
    core_id: str
    next_sequence: Callable[[], int]
    environment: str
    revision: Revision = attrs.field(factory=Revision, init=False)
    _records: list[Record] = attrs.field(factory=list, init=False)
    _notes: list[AuditEntry] = attrs.field(factory=list, init=False)
    _tenant: Mapping[str, Any] = attrs.field(factory=dict, init=False)

    def enter(self) -> None:
        """Become the unprivileged role that sees this tenant's rows only."""
        if self.tenant_id is not None:
            self.transaction.add(scope_sql(self.tenant_id))

    def go_on_in(self, tenant_id: UUID) -> None:
        """From here on be the unit of work of a tenant that this one, the platform's, has made."""
        self.tenant_id = tenant_id
        self.enter()

    @property
    def tenant_body(self) -> Mapping[str, Any]:
        """The fields of the tenant, once something has waited for its other changes."""
        return self._tenant

    async def lock(self) -> None:
        """Wait for other changes of the same owner to end, so that none comes in between from here
        on. Raises NotFound, and InvalidTransition for a tenant that is terminated."""
        await self._lock(resources()["tenant" if self.tenant_id is None else "extension"])

    def as_system(self, sql: str, args: Any) -> None:
        """Run a statement with the system's rights, between those of the tenant."""
        self.transaction.add(_TO_SYSTEM)
        self.transaction.add(sql, args)
        self.enter()

    async def _lock(self, resource: Resource, *questions: Select) -> list[list[dict[str, Any]]]:
        """Wait for changes of the same owner to end; the answers to `questions` after that."""
        # Statements of their own: what a select sees was committed before it began.
        if self.tenant_id is None:
            if resource.scope == "tenant":
                raise NotFound
            self.transaction.add(_LOCK_PLATFORM)
            return await self.transaction.query_all(questions) if questions else []
        self.transaction.add(_LOCK_TENANT, (self.tenant_id,))
        tenant, *answers = await self.transaction.query_all(
            [(_TENANT, (self.tenant_id,)), *questions]
        )
        if not tenant:
            raise NotFound
        self._tenant = tenant[0]["body"]
        if resource.scope == "tenant" and self._tenant.get("status") == "terminated":
            raise InvalidTransition("the tenant is terminated", status="terminated")
        return answers

    async def _present(
        self, resource: Resource, identifier: UUID, versions: frozenset[int] | None
    ) -> Stored:
        await self._lock(resource)
        present = await self._find(resource, identifier, lock=True)
        if versions is not None and present.version not in versions:
            owner = tenant_of(present)
            raise await mismatch(self.transaction, owner, present, versions)
        return present

    async def _find(self, resource: Resource, identifier: UUID, *, lock: bool) -> Stored:
        return await find_row(self.transaction, resource, self.tenant_id, identifier, lock=lock)

    @property
    def _links(self) -> Links:
        """The links of the owner's objects, under whose name they are kept."""
        return Links(self.transaction, self.tenant_id or PLATFORM)

    def note(
        self,
        action: str,
        resource_type: str,
        resource_id: UUID | None,
        *,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Have the audit log say that something was done which changes no object; `after` says
        what came of it."""
        self._notes.append(
            AuditEntry(
                action=action,
                resource_type=resource_type,
                resource_id=resource_id,
                tenant_id=self.tenant_id,
                after=after,
            )
        )

    def changed(
        self,
        resource: Resource,
        operation: Operation,
        before: Stored | None,
        after: Stored | None,
        action: str | None = None,
        *,
        told: bool = True,
    ) -> None:
        """Have feed, history, audit log and events say what was done to an object; `action` is
        the audit log's word for it. What is not `told` is in feed and history alone."""
        self._records.append(
            Record(
                operation=operation,
                action=action or operation,
                owner=owner_of(before, after),
                before=before,
                after=after,
                told=told,
            )
        )

    async def finish(self, *last: Statement) -> WriteResult:
        """Write revision, changes, audit log and events, run `last` beside them with the system's
        rights, and commit; called once, in the end."""
        if not self._records and not self._notes and not last:
            return WriteResult()
        # Feed, log and events belong to the system: the tenant's role cannot write them.
        self.transaction.add(_TO_SYSTEM)
        writing = Writing(
            context=self.context,
            now=self.now,
            core_id=self.core_id,
            next_sequence=self.next_sequence,
            revision=self.revision,
        )
        return await write_records(self.transaction, writing, self._records, self._notes, last)
