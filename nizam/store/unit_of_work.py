"""Every change to a resource, as one transaction.

The row, its references and number, the tenant's revision, the change that snapshots follow, the
audit log, the event with its webhook deliveries, and the answer kept for the idempotency key:
all of it is committed, or none. Changes of one tenant happen one after another, under the lock of
the tenant's row; changes to the platform's own objects under that of the platform's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import attrs

from nizam.errors import (
    FieldError,
    InUse,
    InvalidTransition,
    NotFound,
    QuotaExceeded,
    ValidationFailed,
)
from nizam.model.api_key import ApiKey
from nizam.model.base import Body
from nizam.model.identifiers import new_id
from nizam.model.key_text import key_hash, key_start, new_key
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.model.tenant import TRANSITIONS
from nizam.model.user import User
from nizam.store.audit import AuditEntry
from nizam.store.conflicts import mismatch
from nizam.store.connection import Select, Statement
from nizam.store.context import ChangeContext
from nizam.store.deliveries import keep_previous_secret
from nizam.store.pool import Transaction, scope_sql
from nizam.store.records import Operation, Record, Revision, Writing, write_records
from nizam.store.references import (
    PLATFORM,
    check_loop,
    check_numbers,
    check_references,
    forget_references,
    free_numbers,
    numbers_question,
    reference_questions,
    save_references,
    take_numbers,
)
from nizam.store.secrets import SecretBox, generate
from nizam.store.stored import EXTRA_COLUMNS, Stored, columns, from_row
from nizam.store.system.events import WriteResult

__all__ = ["Stored", "UnitOfWork"]

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
_ROTATE_KEY = """
update api_keys set previous_key_hash = key_hash, previous_key_expires_at = %s, key_hash = %s,
    key_start = %s, version = version + 1, updated_at = %s
where id = %s
"""
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
    revision: Revision = attrs.field(factory=Revision, init=False)
    _records: list[Record] = attrs.field(factory=list, init=False)
    _notes: list[AuditEntry] = attrs.field(factory=list, init=False)
    _tenant: Mapping[str, Any] = attrs.field(factory=dict, init=False)

    # -- what can be done -----------------------------------------------------------------------

    async def create(
        self,
        resource: Resource,
        body: Body,
        identifier: UUID | None = None,
        begin: Mapping[str, Any] | None = None,
    ) -> Stored:
        """Make an object; secrets that `body` lacks are generated and in `revealed`, and so is
        its id unless it has one already. `begin` has what fields that clients cannot write, such
        as a status, begin with instead of their defaults.

        Raises NotFound for a tenant that does not exist, QuotaExceeded, Conflict naming the field
        and ValidationFailed naming the references that are wrong.
        """
        identifier = identifier or new_id()
        quota = self._quota_question(resource)
        links = self._link_questions(resource, identifier, body)
        answers = await self._lock(resource, *quota, *links)
        if quota:
            self._check_quota(resource, answers.pop(0)[0]["count"])
        self._check_links(resource, identifier, body, answers)
        values = resource.public(body)
        for name in resource.read_only:
            values[name] = resource.body.model_fields[name].get_default(call_default_factory=True)
        values = resource.derived({**values, **(begin or {})})
        secrets, revealed = self._secrets(resource, identifier, body, {}, frozenset())
        extra: dict[str, Any] = {}
        await self._check_tenants_of(body)
        if isinstance(body, ApiKey):
            key = new_key(self.environment)
            extra = {"key_hash": key_hash(key), "key_start": key_start(key)}
            revealed = {"key": key}
        self._link(resource, identifier, body, new=True)
        stored = self._insert(resource, identifier, values, secrets, extra)
        self.changed(resource, "created", None, stored)
        if resource.name == "tenant":
            self._make_defaults(identifier)
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
        values = resource.public(body)
        for name in resource.read_only:
            values[name] = present.body.get(name)
        values = resource.derived(values)
        if resource.derive is not None:
            # What NIZAM wrote itself can refer to others too.
            body = resource.body.model_validate(values)
        secrets, revealed = self._secrets(resource, identifier, body, present.secrets, clear)
        await self._check_tenants_of(body, present)
        return await self._write(resource, present, body, values, secrets, revealed)

    async def set_field(
        self, resource: Resource, identifier: UUID, field: str, value: Any
    ) -> Stored:
        """Set a field that clients cannot write, such as a status."""
        return await self.change_field(resource, identifier, field, lambda _: value)

    async def change_field(
        self,
        resource: Resource,
        identifier: UUID,
        field: str,
        change: Callable[[Any], Any],
        *,
        versions: frozenset[int] | None = None,
    ) -> Stored:
        """Give a field that clients cannot write the value that `change` makes of its present
        one, both as JSON values. Raises NotFound, VersionMismatch, and what `change` raises."""
        present = await self._present(resource, identifier, versions)
        changed = {field: change(present.body.get(field))}
        return await self._write_fields(resource, present, changed)

    async def set_fields(
        self, resource: Resource, identifier: UUID, fields: Mapping[str, Any]
    ) -> Stored:
        """Set several fields at once, those that clients cannot write among them. Raises NotFound
        and what is wrong with references."""
        return await self._write_fields(
            resource, await self._present(resource, identifier, None), fields
        )

    async def _write_fields(
        self, resource: Resource, present: Stored, fields: Mapping[str, Any]
    ) -> Stored:
        values = resource.derived({**present.body, **fields})
        body = None if resource.derive is None else resource.body.model_validate(values)
        return await self._write(resource, present, body, values, present.secrets, {})

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

    async def rotate_key(self, identifier: UUID, keep_until: datetime) -> Stored:
        """A new text for an API key, in `revealed`; the former one holds until `keep_until`, one
        that was replaced before it no longer. Raises NotFound."""
        present = await self._present(resources()["api_key"], identifier, None)
        key = new_key(self.environment)
        self.transaction.add(
            _ROTATE_KEY, (keep_until, key_hash(key), key_start(key), self.now, identifier)
        )
        stored = attrs.evolve(
            present,
            version=present.version + 1,
            updated_at=self.now,
            extra={
                **present.extra,
                "key_start": key_start(key),
                "previous_key_expires_at": keep_until,
            },
        )
        self.changed(stored.resource, "updated", present, stored, "rotated")
        return attrs.evolve(stored, revealed={"key": key})

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
    ) -> Stored:
        """Remove an object, and return it as it was. Raises NotFound, VersionMismatch, and InUse
        listing who refers to it, or what a tenant still owns."""
        present = await self._present(resource, identifier, versions)
        _refuse_terminated(present)
        if resource.name == "tenant":
            await self._check_owns_nothing(identifier)
            self._remove_defaults(identifier)
        else:
            await forget_references(self.transaction, self._owner_id, resource, identifier)
            if resource.is_dialled:
                free_numbers(self.transaction, self._owner_id, resource, identifier)
        self.transaction.add(
            f"delete from {resource.table} where id = %s",  # noqa: S608 - a declared name
            (identifier,),
        )
        self.changed(resource, "deleted", present, None)
        return present

    async def reveal(self, resource: Resource, identifier: UUID) -> dict[str, str]:
        """The secrets of an object in clear, and a line in the audit log that says so."""
        present = await self._find(resource, identifier, lock=False)
        fields = [
            it.field for it in resource.secrets if it.field in present.secrets and not it.one_way
        ]
        self.note("revealed", resource.name, identifier, after={"fields": fields})
        return {
            field: self.box.decrypt(present.secrets[field], resource.name, identifier, field)
            for field in fields
        }

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

    async def finish(self, *last: Statement) -> WriteResult:
        """Write revision, changes, audit log and events, and run `last` beside them with the
        system's rights; called once, before the commit."""
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

    # -- steps ----------------------------------------------------------------------------------

    def enter(self) -> None:
        """Become the unprivileged role that sees this tenant's rows only."""
        if self.tenant_id is not None:
            self.transaction.add(scope_sql(self.tenant_id))

    def go_on_in(self, tenant_id: UUID) -> None:
        """From here on be the unit of work of a tenant that this one, the platform's, has made."""
        self.tenant_id = tenant_id
        self.enter()

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
            owner = self._tenant_of(present)
            raise await mismatch(self.transaction, owner, present, versions)
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
            self._link(resource, present.id, body, new=False)
            if resource.passes is not None:
                await check_loop(self.transaction, self._owner_id, resource, present.id, body)
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
        self.changed(resource, "updated", present, stored, action)
        return attrs.evolve(stored, revealed=revealed)

    def _insert(
        self,
        resource: Resource,
        identifier: UUID,
        values: dict[str, Any],
        secrets: Mapping[str, str],
        extra: Mapping[str, Any],
        *,
        owner: UUID | None = None,
    ) -> Stored:
        stored = Stored(
            resource=resource,
            id=identifier,
            tenant_id=(owner or self.tenant_id) if resource.scope == "tenant" else None,
            version=1,
            created_at=self.now,
            updated_at=self.now,
            body=values,
            secrets=dict(secrets),
            extra={name: extra.get(name) for name in EXTRA_COLUMNS.get(resource.name, ())},
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

    @property
    def _owner_id(self) -> UUID:
        """Under whose name references and numbers are kept."""
        return self.tenant_id or PLATFORM

    def _link_questions(self, resource: Resource, identifier: UUID, body: Body) -> list[Select]:
        """What must be known of others before an object is saved; see `_check_links`."""
        questions = reference_questions(self._owner_id, resource, identifier, body)
        if resource.is_dialled:
            questions.insert(0, numbers_question(self._owner_id, resource, identifier, body))
        return questions

    def _check_links(
        self,
        resource: Resource,
        identifier: UUID,
        body: Body,
        answers: list[list[dict[str, Any]]],
    ) -> None:
        if resource.is_dialled:
            check_numbers(answers.pop(0), resource, body)
        check_references(answers, resource, identifier, body)

    def _link(self, resource: Resource, identifier: UUID, body: Body, *, new: bool) -> None:
        if resource.is_dialled:
            take_numbers(self.transaction, self._owner_id, resource, identifier, body)
        save_references(self.transaction, self._owner_id, resource, identifier, body, new=new)

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
            text = secret.of(body)
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

    async def _check_tenants_of(self, body: Body, present: Stored | None = None) -> None:
        """Refuse a key or a membership of a tenant that does not exist or is terminated; one that
        it has had may outlive its tenant."""
        had = [] if present is None else [present.body, *present.body.get("memberships", ())]
        known = {it.get("tenant_id") for it in had}
        named: list[tuple[str, UUID]] = []
        if isinstance(body, ApiKey) and body.tenant_id is not None:
            named = [("/tenant_id", body.tenant_id)] if str(body.tenant_id) not in known else []
        elif isinstance(body, User):
            named = [
                (f"/memberships/{number}/tenant_id", it.tenant_id)
                for number, it in enumerate(body.memberships)
                if it.tenant_id is not None and str(it.tenant_id) not in known
            ]
        if not named:
            return
        rows = await self.transaction.query(
            "select id from tenants where id = any(%s::uuid[]) and status <> 'terminated'",
            ([str(it) for _, it in named],),
        )
        errors = [
            FieldError(path, "not_found", "there is no tenant with this id, or it is terminated")
            for path, identifier in named
            if (identifier,) not in rows
        ]
        if errors:
            raise ValidationFailed("references to what does not exist", errors=errors)

    def _make_defaults(self, tenant_id: UUID) -> None:
        """Give a new tenant what every tenant begins with."""
        for resource in resources().values():
            for body in resource.defaults:
                made = self._insert(
                    resource, new_id(), resource.public(body), {}, {}, owner=tenant_id
                )
                self.changed(resource, "created", None, made, told=False)

    def _remove_defaults(self, tenant_id: UUID) -> None:
        for resource in resources().values():
            if resource.defaults:
                self.transaction.add(
                    f"delete from {resource.table} where tenant_id = %s",  # noqa: S608 - declared
                    (tenant_id,),
                )

    async def _check_owns_nothing(self, tenant_id: UUID) -> None:
        owned = [
            it.table for it in resources().values() if it.scope == "tenant" and not it.defaults
        ]
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
                owner=self._owner(before, after),
                before=before,
                after=after,
                told=told,
            )
        )

    def _tenant_of(self, it: Stored) -> UUID | None:
        """Whom the change concerns: a tenant's keys, and users who are in one tenant only, are in
        the feed, the audit log and the events of that tenant."""
        if it.resource.name == "tenant":
            return it.id
        if it.resource.name == "api_key":
            named = {it.body.get("tenant_id")}
        elif it.resource.name == "user":
            named = {membership.get("tenant_id") for membership in it.body["memberships"]}
        else:
            return it.tenant_id
        only = next(iter(named)) if len(named) == 1 else None
        return None if only is None else UUID(only)

    def _owner(self, before: Stored | None, after: Stored | None) -> UUID | None:
        """Whose revision counts the change; a tenant that is gone has none any more. Whoever
        comes to a tenant or leaves it concerns others too: that is the platform's."""
        if after is None and before is not None and before.resource.name == "tenant":
            return None
        concerned = {self._tenant_of(it) for it in (before, after) if it is not None}
        return next(iter(concerned)) if len(concerned) == 1 else None


def _refuse_terminated(it: Stored) -> None:
    if it.resource.name == "tenant" and it.body["status"] == "terminated":
        raise InvalidTransition("the tenant is terminated", status="terminated")
