"""Tenant documents on the database: export, plan, apply, import and rollback.

Whatever is applied is planned and checked under the tenant's lock, in the transaction that
carries it out: all of it is committed, or none. The thread is never held for longer than a slice
of the work, so that calls are routed meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import orjson
from twisted.internet import defer

from nizam.document.checks import check_together
from nizam.document.describe import report, summary
from nizam.document.form import FORMAT, form, tenant_form
from nizam.document.plan import (
    Plan,
    Planner,
    Treatment,
    document_resources,
    names_of,
)
from nizam.document.read import read_document
from nizam.errors import (
    DatabaseUnavailable,
    FieldError,
    NotFound,
    VersionMismatch,
)
from nizam.model.identifiers import new_id
from nizam.slices import Sliced, full_collections_wait, give_way, in_slices
from nizam.store.bulk import Everything, edges, read_everything, write_changes
from nizam.store.context import ChangeContext
from nizam.store.document_checks import refuse, taken_by_others
from nizam.store.document_results import Applied, Exported, Planned
from nizam.store.pool import Transaction
from nizam.store.records import Revision, RevisionKind
from nizam.store.revisions import configuration_as_of
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork
from nizam.store.way_back import way_back

T = TypeVar("T")

DEADLINE_SECONDS = 120.0
TURN_SECONDS = 30.0
"""How long a large piece of work waits for those before it."""

LARGE_SECONDS = TURN_SECONDS + DEADLINE_SECONDS + 30.0
"""How long whoever asked for a large piece of work may have to wait for it in all."""

_ACTIONS: Mapping[str, str] = {"rollback": "rolled_back", "import": "imported"}
# The pool's own is shorter than planning a large document may take.
_STAY_OPEN = f"set local idle_in_transaction_session_timeout = {int(DEADLINE_SECONDS * 1000)}"


Answer = Callable[[Applied], T]
Permit = Callable[[Plan], None]
"""Raises for a plan that its maker may not carry out."""


class Documents:
    """The documents of all tenants.

    Whoever uses it takes a `turn` first: one large piece of work at a time in each process keeps
    memory bounded by one document, and each slice of the thread's time followed by everybody's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reactor = store.primary.reactor
        self._turns = defer.DeferredLock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have the process's turn inside; DatabaseUnavailable if it does not come in time."""
        try:
            await self._turns.acquire().addTimeout(TURN_SECONDS, self._reactor)
        except defer.TimeoutError:
            raise DatabaseUnavailable(
                f"other documents took longer than {TURN_SECONDS:g} s"
            ) from None
        try:
            with full_collections_wait():
                yield
        finally:
            self._turns.release()

    async def revision(self, tenant_id: UUID) -> int:
        """The revision that the tenant is at; NotFound."""
        rows = await self._store.primary.tenant_query(
            tenant_id, "select revision from tenants where id = %s", (tenant_id,)
        )
        if not rows:
            raise NotFound
        return int(rows[0][0])

    async def read(self, raw: bytes) -> dict[str, Any]:
        """The JSON object in `raw`; raises as `read_document`."""
        return await in_slices(self._reactor, read_document(raw))

    async def export(
        self, tenant_id: UUID, context: ChangeContext, *, reveal: bool = False
    ) -> Exported:
        """The tenant's document. With `reveal` it holds every secret in clear, and the audit log
        says that it was asked for. Raises NotFound."""

        async def read(transaction: Transaction) -> Everything:
            return await self._everything(transaction, tenant_id)

        async def read_secrets(unit: UnitOfWork) -> Everything:
            fields = (f"{it.name}.{secret.field}" for it in own for secret in it.secrets)
            unit.note("revealed", "document", None, after={"fields": sorted(fields)})
            return await read(unit.transaction)

        own = document_resources()
        box = self._store.secret_box

        def reveal_one(it: Stored) -> Mapping[str, str]:
            if not reveal:
                return {}
            return {
                field: box.decrypt(text, it.resource.name, it.id, field)
                for field, text in it.secrets.items()
            }

        if reveal:
            everything = await self._store.write(
                tenant_id, context, read_secrets, deadline=DEADLINE_SECONDS
            )
        else:
            everything = await self._store.primary.tenant_transaction(
                tenant_id, read, deadline=DEADLINE_SECONDS
            )
        content = await in_slices(self._reactor, _content(everything, reveal_one))
        return Exported(everything.revision, content)

    async def plan(
        self,
        tenant_id: UUID,
        document: Mapping[str, Any],
        *,
        prune: bool = False,
        treatment: Treatment = "replace",
        faults: Sequence[FieldError] | None = None,
    ) -> Planned:
        """What applying the document would do now. Raises as `apply`."""

        async def work(transaction: Transaction) -> Planned:
            everything = await self._everything(transaction, tenant_id)
            planned = await in_slices(
                self._reactor, self._planner(everything, prune, treatment).plan(document)
            )
            await self._check(transaction, everything, planned, faults)
            return Planned(everything.revision, planned)

        return await self._store.primary.tenant_transaction(
            tenant_id, work, deadline=DEADLINE_SECONDS
        )

    async def apply(
        self,
        tenant_id: UUID,
        document: Mapping[str, Any],
        context: ChangeContext,
        answer: Answer[T],
        *,
        permit: Permit,
        prune: bool = False,
        treatment: Treatment = "replace",
        versions: frozenset[int] | None = None,
        kind: RevisionKind = "document",
        faults: Sequence[FieldError] | None = None,
    ) -> T:
        """Make the tenant what the document says, in one transaction; what `answer` makes of it,
        also kept for the idempotency key.

        `faults` are what is wrong with the document besides, such as rows of a table that are no
        objects: they are raised with all the rest, and given, even if there are none, what the
        objects would be together is looked at beside wrong fields, too, and not only after them.

        Raises NotFound; VersionMismatch when the tenant's revision is none of `versions`;
        ValidationFailed, Conflict or QuotaExceeded naming everything that is wrong.
        """

        async def work(unit: UnitOfWork) -> T:
            everything = await self._locked(unit, versions)
            plan = await in_slices(
                self._reactor, self._planner(everything, prune, treatment).plan(document)
            )
            return answer(
                await self._carry_out(unit, everything, plan, permit, Revision(kind=kind), faults)
            )

        return await self._store.write(tenant_id, context, work, deadline=DEADLINE_SECONDS)

    async def roll_back(
        self,
        tenant_id: UUID,
        revision: int,
        context: ChangeContext,
        answer: Answer[T],
        *,
        permit: Permit,
        with_tenant: bool,
        versions: frozenset[int] | None = None,
    ) -> T:
        """Make all objects what they were at a revision, with their secrets, as a new revision.

        With `with_tenant` the tenant's own settings too; its quotas stay in any case. Raises as
        `apply`, and NotFound for a revision that is not kept.
        """

        async def work(unit: UnitOfWork) -> T:
            everything = await self._locked(unit, versions)
            plan = await self._plan_back(unit.transaction, everything, revision, with_tenant)
            how = Revision(kind="rollback", restores=revision)
            return answer(await self._carry_out(unit, everything, plan, permit, how))

        return await self._store.write(tenant_id, context, work, deadline=DEADLINE_SECONDS)

    async def plan_back(self, tenant_id: UUID, revision: int, *, with_tenant: bool) -> Planned:
        """What rolling back to a revision would do now. Raises as `roll_back`."""

        async def work(transaction: Transaction) -> Planned:
            everything = await self._everything(transaction, tenant_id)
            plan = await self._plan_back(transaction, everything, revision, with_tenant)
            await self._check(transaction, everything, plan)
            return Planned(everything.revision, plan)

        return await self._store.primary.tenant_transaction(
            tenant_id, work, deadline=DEADLINE_SECONDS
        )

    # -- steps ----------------------------------------------------------------------------------

    async def _locked(self, unit: UnitOfWork, versions: frozenset[int] | None) -> Everything:
        await unit.lock()
        assert unit.tenant_id is not None  # noqa: S101 - documents belong to tenants
        everything = await self._everything(unit.transaction, unit.tenant_id)
        if versions is not None and everything.revision not in versions:
            raise VersionMismatch(
                f"the tenant is at revision {everything.revision} now",
                current_version=everything.revision,
            )
        return everything

    async def _everything(self, transaction: Transaction, tenant_id: UUID) -> Everything:
        transaction.add(_STAY_OPEN)
        found = await read_everything(transaction, tenant_id)
        if found is None:
            raise NotFound
        return found

    async def _plan_back(
        self, transaction: Transaction, everything: Everything, revision: int, with_tenant: bool
    ) -> Plan:
        former = await configuration_as_of(transaction, everything.tenant.id, revision)
        return await in_slices(self._reactor, way_back(everything, former, with_tenant))

    def _planner(self, it: Everything, prune: bool, treatment: Treatment) -> Planner:
        box = self._store.secret_box

        def reveal(resource: str, identifier: UUID, field: str, text: str) -> str:
            return box.decrypt(text, resource, identifier, field)

        return Planner(
            present=it.present,
            tenant=it.tenant,
            reveal=reveal,
            new_id=new_id,
            prune=prune,
            treatment=treatment,
        )

    async def _carry_out(
        self,
        unit: UnitOfWork,
        everything: Everything,
        plan: Plan,
        permit: Permit,
        revision: Revision,
        faults: Sequence[FieldError] | None = None,
    ) -> Applied:
        permit(plan)
        await self._check(unit.transaction, everything, plan, faults)
        unit.revision = revision
        written = await write_changes(unit, self._reactor, plan.changes)
        if plan.changes:
            action = _ACTIONS.get(revision.kind, "applied")
            done = {"restores": revision.restores, **summary(plan)}
            unit.note(action, "document", None, after=done)
        new_revision = everything.revision + (1 if plan.changes else 0)
        told = await in_slices(self._reactor, report(plan, written, new_revision))
        await give_way(self._reactor)
        return Applied(new_revision, plan, written, told)

    async def _check(
        self,
        transaction: Transaction,
        everything: Everything,
        plan: Plan,
        faults: Sequence[FieldError] | None = None,
    ) -> None:
        """Raise what is wrong with the plan: the fields first, then what they are together."""
        if faults is None:
            refuse(plan.errors)
        own = next((it for it in plan.changes if it.resource.name == "tenant"), None)
        tenant = everything.tenant.body if own is None else own.body
        together = check_together(
            everything.present,
            plan.changes,
            tenant.get("quotas", {}),
            await edges(transaction, everything.tenant.id),
        )
        errors = await in_slices(self._reactor, together)
        errors += await taken_by_others(transaction, everything.tenant.id, plan.changes)
        refuse([*(faults or ()), *plan.errors, *errors])


def _content(it: Everything, reveal: Callable[[Stored], Mapping[str, str]]) -> Sliced[bytes]:
    """The document, its objects in the order of their names."""
    called = yield from names_of(it.present)

    def names(kind: str, identifier: str) -> str | None:
        return called.get((kind, identifier))

    parts = [b'"format":%d,"tenant":%s' % (FORMAT, orjson.dumps(tenant_form(it.tenant.body)))]
    for resource in document_resources():
        objects: list[bytes] = []
        own = it.present.get(resource.name, ())
        for each in sorted(own, key=lambda it: called[it.resource.name, str(it.id)]):
            shown = form(resource, each.body, names, each.secrets, reveal(each))
            objects.append(orjson.dumps(shown))
            yield
        parts.append(b'"%s":[%s]' % (resource.table.encode(), b",".join(objects)))
    return b"{%s}" % b",".join(parts)
