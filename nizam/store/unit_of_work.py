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

from nizam.errors import InvalidTransition
from nizam.model.api_key import ApiKey
from nizam.model.base import Body
from nizam.model.identifiers import new_id
from nizam.model.key_text import key_hash, key_start, new_key
from nizam.model.registry import resources
from nizam.model.resource import Resource
from nizam.model.tenant import TRANSITIONS
from nizam.store.deliveries import keep_previous_secret
from nizam.store.open_unit import OpenUnit
from nizam.store.rows import delete_row, insert_row, update_row
from nizam.store.sealing import sealed
from nizam.store.secrets import generate
from nizam.store.stored import EXTRA_COLUMNS, Stored
from nizam.store.tenant_rules import (
    check_owns_nothing,
    check_quota,
    check_tenants_of,
    quota_question,
    refuse_terminated,
)

__all__ = ["Stored", "UnitOfWork"]

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


class UnitOfWork(OpenUnit):
    """What can be done in one transaction. Made by Store."""

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
        quota = quota_question(resource, self.tenant_id)
        links = self._links.questions(resource, identifier, body)
        answers = await self._lock(resource, *quota, *links)
        if quota:
            check_quota(resource, self._tenant, answers.pop(0)[0]["count"])
        self._links.check(resource, identifier, body, answers)
        values = resource.public(body)
        for name in resource.read_only:
            values[name] = resource.body.model_fields[name].get_default(call_default_factory=True)
        values = resource.derived({**values, **(begin or {})})
        secrets, revealed = sealed(self.box, resource, identifier, body, {}, frozenset())
        extra: dict[str, Any] = {}
        await check_tenants_of(self.transaction, body)
        if isinstance(body, ApiKey):
            key = new_key(self.environment)
            extra = {"key_hash": key_hash(key), "key_start": key_start(key)}
            revealed = {"key": key}
        self._links.save(resource, identifier, body, new=True)
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
        refuse_terminated(present)
        body = change(present)
        values = resource.public(body)
        for name in resource.read_only:
            values[name] = present.body.get(name)
        values = resource.derived(values)
        if resource.derive is not None:
            # What NIZAM wrote itself can refer to others too.
            body = resource.body.model_validate(values)
        secrets, revealed = sealed(self.box, resource, identifier, body, present.secrets, clear)
        await check_tenants_of(self.transaction, body, present)
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
        refuse_terminated(present)
        if resource.name == "tenant":
            await check_owns_nothing(self.transaction, identifier)
            self._remove_defaults(identifier)
        else:
            await self._links.remove(resource, identifier)
        delete_row(self.transaction, resource, identifier)
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
            await self._links.change(resource, present.id, body)
        stored = attrs.evolve(
            present,
            version=present.version + 1,
            updated_at=self.now,
            body=values,
            secrets=dict(secrets),
        )
        update_row(self.transaction, stored)
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
        insert_row(self.transaction, stored, extra)
        return stored

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
