"""Every change to a resource, as one transaction.

The row, its references and number, the tenant's revision, the change that snapshots follow, the
audit log, the event with its webhook deliveries, and the answer kept for the idempotency key:
all of it is committed, or none. Changes of one tenant happen one after another, under the lock of
the tenant's row; changes to the platform's own objects under that of the platform's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import attrs
import psycopg2

from nizam.errors import (
    Conflict,
    FieldError,
    InUse,
    InvalidTransition,
    NotFound,
    QuotaExceeded,
    ValidationFailed,
    VersionMismatch,
)
from nizam.model.api_key import ApiKey
from nizam.model.base import Body
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.model.key_text import key_hash, new_key
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.model.tenant import TRANSITIONS
from nizam.store.audit import AuditEntry, append
from nizam.store.connection import Select, Statement
from nizam.store.context import ChangeContext
from nizam.store.deliveries import keep_previous_secret
from nizam.store.pool import Transaction, scope_sql
from nizam.store.references import (
    check_loop,
    check_number,
    check_references,
    forget_references,
    free_number,
    number_question,
    reference_questions,
    save_references,
    take_number,
)
from nizam.store.secrets import SecretBox, generate
from nizam.store.stored import EXTRA_COLUMNS, REDACTED, Stored, columns, from_row
from nizam.store.system.events import WriteResult, write_events

__all__ = ["Stored", "UnitOfWork", "conflict_of"]

Operation = Literal["created", "updated", "deleted"]
_LOCK_TENANT = "select from tenants where id = %s for update"
_TENANT = "select body from tenants where id = %s"
# Counts no further than the quota; without one it counts nothing.
_QUOTA = """
select count(*) from (
    select from {table} where tenant_id = %s
    limit (select coalesce((body -> 'quotas' ->> %s)::integer, 0) from tenants where id = %s)
) it
"""
_LOCK_PLATFORM = "select revision from platform_state for update"
_END_TENANT = """
update tenants set terminated_at = %(terminated_at)s, terminated_by = %(terminated_by)s,
    purge_at = %(purge_at)s
where id = %(id)s
"""
_NEXT_TENANT = "update tenants set revision = revision + 1 where id = %s"
_NEXT_PLATFORM = "update platform_state set revision = revision + 1"
_REVISION = """
case when %(tenant_id)s::uuid is null then (select revision from platform_state)
     else (select revision from tenants where id = %(tenant_id)s) end
"""
_CHANGE = f"""
insert into changes (tenant_id, revision, resource_type, resource_id, operation)
values (%(tenant_id)s, {_REVISION}, %(resource_type)s, %(resource_id)s, %(operation)s)
"""  # noqa: S608 - no values from outside
_TO_SYSTEM = "select set_config('role', 'none', true), set_config('nizam.tenant', '', true)"


@attrs.define(kw_only=True)
class UnitOfWork:
    """One transaction's changes; `tenant_id` None is the platform. Made by Store."""

    transaction: Transaction
    tenant_id: UUID | None
    context: ChangeContext
    box: SecretBox
    now: datetime
    core_id: str
    next_sequence: Callable[[], int]
    environment: str
    _events: list[Event] = attrs.field(factory=list, init=False)
    _records: list[tuple[Operation, str, Stored | None, Stored | None]] = attrs.field(
        factory=list, init=False
    )
    _notes: list[AuditEntry] = attrs.field(factory=list, init=False)
    _tenant: Mapping[str, Any] = attrs.field(factory=dict, init=False)

    # -- what can be done -----------------------------------------------------------------------

    async def create(self, resource: Resource, body: Body) -> Stored:
        """Make an object; secrets that `body` lacks are generated and in `revealed`.

        Raises NotFound for a tenant that does not exist, QuotaExceeded, Conflict naming the field
        and ValidationFailed naming the references that are wrong.
        """
        identifier = new_id()
        quota = self._quota_question(resource)
        links = self._link_questions(resource, identifier, body)
        answers = await self._lock(resource, *quota, *links)
        if quota:
            self._check_quota(resource, answers.pop(0)[0]["count"])
        self._check_links(resource, identifier, body, answers)
        values = self._public(resource, body)
        for name in resource.read_only:
            values[name] = resource.body.model_fields[name].get_default(call_default_factory=True)
        secrets, revealed = self._secrets(resource, identifier, body, {}, frozenset())
        extra: dict[str, Any] = {}
        if isinstance(body, ApiKey):
            await self._check_tenant_of_key(body)
            key = new_key(self.environment)
            extra, revealed = {"key_hash": key_hash(key)}, {"key": key}
        self._link(resource, identifier, body)
        stored = self._insert(resource, identifier, values, secrets, extra)
        self._changed(resource, "created", None, stored)
        return attrs.evolve(stored, revealed=revealed)

    async def update(
        self,
        resource: Resource,
        identifier: UUID,
        change: Callable[[Stored], Body],
        *,
        versions: frozenset[int] | None = None,
        clear: frozenset[str] = frozenset(),
    ) -> Stored:
        """Give an object the body that `change` makes of the present one.

        Fields that are read-only keep their values, and secrets that the new body lacks stay,
        except those in `clear`: they are removed, or generated again where there must be one. A
        change that changes nothing is none. Raises NotFound, VersionMismatch when the version is
        none of `versions`, and what `create` and `change` raise.
        """
        present = await self._present(resource, identifier, versions)
        _refuse_terminated(present)
        body = change(present)
        values = self._public(resource, body)
        for name in resource.read_only:
            values[name] = present.body.get(name)
        secrets, revealed = self._secrets(resource, identifier, body, present.secrets, clear)
        if isinstance(body, ApiKey):
            await self._check_tenant_of_key(body)
        return await self._write(resource, present, body, values, secrets, revealed)

    async def set_field(
        self, resource: Resource, identifier: UUID, field: str, value: Any
    ) -> Stored:
        """Set a field that clients cannot write, such as a status."""
        present = await self._present(resource, identifier, None)
        values = {**present.body, field: value}
        return await self._write(resource, present, None, values, present.secrets, {})

    async def rotate(
        self, resource: Resource, identifier: UUID, field: str, keep_until: datetime
    ) -> Stored:
        """A fresh secret in the place of the present one. A webhook's former secret goes on
        signing beside it until `keep_until`."""
        present = await self._present(resource, identifier, None)
        kind = next(it.generate for it in resource.secrets if it.field == field)
        text = generate(kind or "password")
        sealed = self.box.encrypt(text, resource.name, identifier, field)
        if resource.name == "webhook" and field in present.secrets:
            await keep_previous_secret(self.transaction, identifier, keep_until)
        secrets = {**present.secrets, field: sealed}
        return await self._write(
            resource, present, None, dict(present.body), secrets, {field: text}, action="rotated"
        )

    async def transition(
        self, identifier: UUID, command: str, grace: timedelta = timedelta()
    ) -> Stored:
        """Activate, suspend or terminate a tenant; InvalidTransition from a state that has no
        such step. What a terminated one has is purged once `grace` is over."""
        tenants = resources()["tenant"]
        present = await self._present(tenants, identifier, None)
        status = present.body["status"]
        following = TRANSITIONS[command].get(status)
        if following is None:
            raise InvalidTransition(f"a tenant that is {status} cannot {command}", status=status)
        values = {**present.body, "status": following}
        action = f"{command.removesuffix('e')}ed"
        moved = await self._write(
            tenants, present, None, values, present.secrets, {}, action=action
        )
        if following != "terminated":
            return moved
        end = {
            "terminated_at": self.now,
            "terminated_by": self.context.actor_name,
            "purge_at": self.now + grace,
        }
        self.transaction.add(_END_TENANT, {**end, "id": identifier})
        return attrs.evolve(moved, extra=end)

    async def delete(
        self, resource: Resource, identifier: UUID, *, versions: frozenset[int] | None = None
    ) -> None:
        """Remove an object. Raises NotFound, VersionMismatch, and InUse listing who refers to
        it, or what a tenant still owns."""
        present = await self._present(resource, identifier, versions)
        _refuse_terminated(present)
        if resource.name == "tenant":
            await self._check_owns_nothing(identifier)
        elif self.tenant_id is not None:
            await forget_references(self.transaction, self.tenant_id, resource, identifier)
            if resource.dialable:
                free_number(self.transaction, self.tenant_id, resource, identifier)
        self.transaction.add(
            f"delete from {resource.table} where id = %s",  # noqa: S608 - a declared name
            (identifier,),
        )
        self._changed(resource, "deleted", present, None)

    async def reveal(self, resource: Resource, identifier: UUID) -> dict[str, str]:
        """The secrets of an object in clear, and a line in the audit log that says so."""
        present = await self._find(resource, identifier, lock=False)
        self.note("revealed", resource.name, identifier, after={"fields": sorted(present.secrets)})
        return {
            it.field: self.box.decrypt(
                present.secrets[it.field], resource.name, identifier, it.field
            )
            for it in resource.secrets
            if it.field in present.secrets
        }

    def note(
        self,
        action: str,
        resource_type: str,
        resource_id: UUID,
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

    async def finish(self, *last: Statement) -> WriteResult:
        """Write revision, changes, audit log and events, and run `last` beside them with the
        system's rights; called once, before the commit."""
        if not self._records and not self._notes and not last:
            return WriteResult()
        # Feed, log and events belong to the system: the tenant's role cannot write them.
        self.transaction.add(_TO_SYSTEM)
        counted: set[UUID | None] = set()
        entries: list[AuditEntry] = []
        for operation, action, before, after in self._records:
            it = after or before
            assert it is not None  # noqa: S101 - every record has one of them
            owner = self._owner(it, operation)
            if owner not in counted:
                self._next_revision(owner)
                counted.add(owner)
            self.transaction.add(
                _CHANGE,
                {
                    "tenant_id": owner,
                    "resource_type": it.resource.name,
                    "resource_id": it.id,
                    "operation": operation,
                },
            )
            entries.append(
                AuditEntry(
                    action=action,
                    resource_type=it.resource.name,
                    resource_id=it.id,
                    tenant_id=owner,
                    before=_with_secrets(before),
                    after=_with_secrets(after),
                    changed=True,
                )
            )
        if entries or self._notes:
            self.transaction.add(*append(self.context, self.now, [*entries, *self._notes]))
        for sql, args in last:
            self.transaction.add(sql, args)
        return await write_events(self.transaction, self._events)

    # -- steps ----------------------------------------------------------------------------------

    def enter(self) -> None:
        """Become the unprivileged role that sees this tenant's rows only."""
        if self.tenant_id is not None:
            self.transaction.add(scope_sql(self.tenant_id))

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
            raise VersionMismatch(
                f"the object is at version {present.version} now", current_version=present.version
            )
        return present

    async def _find(self, resource: Resource, identifier: UUID, *, lock: bool) -> Stored:
        where, args = "id = %s", [identifier]
        if resource.scope == "tenant":
            if self.tenant_id is None:
                raise NotFound
            where, args = "id = %s and tenant_id = %s", [identifier, self.tenant_id]
        rows = await self.transaction.query(
            f"select {', '.join(columns(resource))} from {resource.table} "  # noqa: S608
            f"where {where}{' for update' if lock else ''}",
            args,
        )
        if not rows:
            raise NotFound
        return from_row(resource, rows[0])

    async def _write(
        self,
        resource: Resource,
        present: Stored,
        body: Body | None,
        values: dict[str, Any],
        secrets: Mapping[str, str],
        revealed: Mapping[str, str],
        *,
        action: str = "updated",
    ) -> Stored:
        if values == present.body and secrets == present.secrets:
            return present
        if body is not None:
            questions = self._link_questions(resource, present.id, body)
            if questions:
                answers = await self.transaction.query_all(questions)
                self._check_links(resource, present.id, body, answers)
            self._link(resource, present.id, body)
            if self.tenant_id is not None:
                await check_loop(self.transaction, self.tenant_id, resource, present.id, body)
        self.transaction.add(
            f"update {resource.table} set version = version + 1, updated_at = %s, body = %s, "  # noqa: S608
            "secrets = %s where id = %s",
            (self.now, values, dict(secrets), present.id),
        )
        stored = attrs.evolve(
            present,
            version=present.version + 1,
            updated_at=self.now,
            body=values,
            secrets=dict(secrets),
        )
        self._changed(resource, "updated", present, stored, action)
        return attrs.evolve(stored, revealed=revealed)

    def _insert(
        self,
        resource: Resource,
        identifier: UUID,
        values: dict[str, Any],
        secrets: Mapping[str, str],
        extra: Mapping[str, Any],
    ) -> Stored:
        stored = Stored(
            resource=resource,
            id=identifier,
            tenant_id=self.tenant_id if resource.scope == "tenant" else None,
            version=1,
            created_at=self.now,
            updated_at=self.now,
            body=values,
            secrets=dict(secrets),
            extra=dict.fromkeys(EXTRA_COLUMNS.get(resource.name, ())),
        )
        row = {
            name: getattr(stored, name) for name in columns(resource) if name not in stored.extra
        }
        row |= extra
        self.transaction.add(
            f"insert into {resource.table} ({', '.join(row)}) "  # noqa: S608 - declared names
            f"values ({', '.join(f'%({name})s' for name in row)})",
            row,
        )
        return stored

    def _link_questions(self, resource: Resource, identifier: UUID, body: Body) -> list[Select]:
        """What must be known of others before an object is saved; see `_check_links`."""
        if resource.scope != "tenant" or self.tenant_id is None:
            return []
        questions = reference_questions(self.tenant_id, resource, identifier, body)
        if resource.dialable:
            number = getattr(body, "number", None)
            questions.insert(0, number_question(self.tenant_id, resource, identifier, number))
        return questions

    def _check_links(
        self,
        resource: Resource,
        identifier: UUID,
        body: Body,
        answers: list[list[dict[str, Any]]],
    ) -> None:
        if resource.scope != "tenant":
            return
        if resource.dialable:
            check_number(answers.pop(0), getattr(body, "number", None))
        check_references(answers, resource, identifier, body)

    def _link(self, resource: Resource, identifier: UUID, body: Body) -> None:
        if resource.scope != "tenant" or self.tenant_id is None:
            return
        if resource.dialable:
            number = getattr(body, "number", None)
            take_number(self.transaction, self.tenant_id, resource, identifier, number)
        save_references(self.transaction, self.tenant_id, resource, identifier, body)

    def _public(self, resource: Resource, body: Body) -> dict[str, Any]:
        hidden = {it.field for it in resource.secrets}
        return body.model_dump(mode="json", by_alias=True, exclude=hidden)

    def _secrets(
        self,
        resource: Resource,
        identifier: UUID,
        body: Body,
        present: Mapping[str, str],
        clear: frozenset[str],
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The secrets as stored, and those in clear that the client has not seen yet."""
        kept = {name: text for name, text in present.items() if name not in clear}
        revealed: dict[str, str] = {}
        for secret in resource.secrets:
            text = getattr(body, secret.field)
            if text is None and secret.field not in kept and secret.generate is not None:
                text = revealed[secret.field] = generate(secret.generate)
            if text is not None and not self._is_present(
                resource, identifier, secret.field, text, kept
            ):
                kept[secret.field] = self.box.encrypt(text, resource.name, identifier, secret.field)
                if not present and secret.generate is not None:
                    revealed[secret.field] = text
        return kept, revealed

    def _is_present(
        self, resource: Resource, identifier: UUID, field: str, text: str, kept: Mapping[str, str]
    ) -> bool:
        return field in kept and text == self.box.decrypt(
            kept[field], resource.name, identifier, field
        )

    def _quota_question(self, resource: Resource) -> list[Select]:
        if resource.quota is None or self.tenant_id is None:
            return []
        sql = _QUOTA.format(table=resource.table)
        return [(sql, (self.tenant_id, resource.quota, self.tenant_id))]

    def _check_quota(self, resource: Resource, count: int) -> None:
        limit = self._tenant.get("quotas", {}).get(resource.quota, 0)
        if limit and count >= limit:
            raise QuotaExceeded(
                f"the tenant may have {limit} {resource.table.replace('_', ' ')}",
                quota=resource.quota,
                limit=limit,
            )

    async def _check_tenant_of_key(self, body: ApiKey) -> None:
        if body.tenant_id is None:
            return
        if not await self.transaction.query(
            "select true from tenants where id = %s and status <> 'terminated'", (body.tenant_id,)
        ):
            raise ValidationFailed(
                "references to what does not exist",
                errors=[FieldError("/tenant_id", "not_found", "there is no tenant with this id")],
            )

    async def _check_owns_nothing(self, tenant_id: UUID) -> None:
        owned = [it.table for it in resources().values() if it.scope == "tenant"]
        tables = (*owned, "api_keys")
        answers = await self.transaction.query_all(
            [
                (f"select id from {table} where tenant_id = %s limit 1", (tenant_id,))  # noqa: S608
                for table in tables
            ]
        )
        for table, rows in zip(tables, answers, strict=True):
            if rows:
                raise InUse(
                    f"the tenant still has {table.replace('_', ' ')}",
                    referrers=[{"type": table, "id": rows[0]["id"]}],
                )

    def _changed(
        self,
        resource: Resource,
        operation: Operation,
        before: Stored | None,
        after: Stored | None,
        action: str | None = None,
    ) -> None:
        self._records.append((operation, action or operation, before, after))
        it = after or before
        assert it is not None  # noqa: S101 - one of them is there
        shown = it.recorded()
        changed = (
            sorted(name for name, value in after.body.items() if before.body.get(name) != value)
            if before is not None and after is not None
            else []
        )
        self._events.append(
            Event(
                type=f"{resource.name}.{operation}",
                occurred_at=self.now,
                core_id=self.core_id,
                sequence=self.next_sequence(),
                tenant_id=self._owner(it, operation),
                data={"object": shown, **({"changed": changed} if operation == "updated" else {})},
            )
        )

    def _tenant_of(self, it: Stored) -> UUID | None:
        return it.id if it.resource.name == "tenant" else it.tenant_id

    def _owner(self, it: Stored, operation: Operation) -> UUID | None:
        """Whose revision counts the change; a tenant that is gone has none any more."""
        if it.resource.name == "tenant" and operation == "deleted":
            return None
        return self._tenant_of(it)

    def _next_revision(self, owner: UUID | None) -> None:
        if owner is None:
            self.transaction.add(_NEXT_PLATFORM)
        else:
            self.transaction.add(_NEXT_TENANT, (owner,))


def _with_secrets(it: Stored | None) -> dict[str, Any] | None:
    """As the audit log keeps it: that there is a secret, and not which."""
    if it is None:
        return None
    return {**it.recorded(), **dict.fromkeys(it.secrets, REDACTED)}


def _refuse_terminated(it: Stored) -> None:
    if it.resource.name == "tenant" and it.body["status"] == "terminated":
        raise InvalidTransition("the tenant is terminated", status="terminated")


def conflict_of(error: psycopg2.errors.UniqueViolation) -> Conflict | None:
    """The Conflict that names the fields, when a declared unique index stands in the way."""
    index = error.diag.constraint_name
    for resource in resources().values():
        for unique in resource.unique:
            if index == f"uq_{resource.table}_{'_'.join(unique.columns)}":
                fields = [
                    FieldError(f"/{name}", "taken", "is taken by another object")
                    for name in unique.columns
                ]
                return Conflict(
                    f"another {_words(resource)} has this {' and '.join(unique.columns)}",
                    errors=fields,
                )
    return None


def _words(resource: Resource) -> str:
    return resource.name.replace("_", " ")
