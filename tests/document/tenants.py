"""Tenants as plans see them: objects in memory, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import attrs

from nizam.document.form import FORMAT, form, tenant_form
from nizam.document.plan import Change, Plan, Planner, document_resources, names_of
from nizam.model.registry import resource
from nizam.slices import at_once

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Kept:
    """An object that is there; its secrets are 'encrypted' by turning them round."""

    id: UUID
    body: Mapping[str, Any]
    version: int = 1
    created_at: datetime = NOW
    secrets: Mapping[str, str] = attrs.field(factory=dict)


def tenant_body(**fields: Any) -> dict[str, Any]:
    it = resource("tenant")
    body = it.body.model_validate(
        {"name": "Acme", "slug": "acme", "domain": "acme.example.test", **fields}
    )
    return it.public(body) | {name: "active" for name in it.read_only if name == "status"}


@attrs.define
class Tenant:
    """A tenant that plans are made for and carried out on."""

    objects: dict[str, list[Kept]] = attrs.field(factory=dict)
    body: dict[str, Any] = attrs.field(factory=tenant_body)
    _ids: Any = attrs.field(factory=lambda: count(1))

    def new_id(self) -> UUID:
        return UUID(int=(1 << 100) + next(self._ids))

    def plan(self, document: Mapping[str, Any], **options: Any) -> Plan:
        planner = Planner(
            present=self.objects,
            tenant=Kept(id=UUID(int=1), body=self.body),
            reveal=lambda kind, identifier, field, text: text[::-1],
            new_id=self.new_id,
            **options,
        )
        return at_once(planner.plan(document))

    def apply(self, document: Mapping[str, Any], **options: Any) -> Plan:
        """Plan and carry out; the plan must have no errors."""
        plan = self.plan(document, **options)
        assert plan.errors == ()
        for it in plan.changes:
            self._carry_out(it)
        return plan

    def export(self, *, reveal: bool = False) -> dict[str, Any]:
        """The tenant as a document."""
        called = at_once(names_of(self.objects))
        found: dict[str, Any] = {"format": FORMAT, "tenant": tenant_form(self.body)}
        for it in document_resources():
            found[it.table] = [
                form(
                    it,
                    each.body,
                    lambda kind, identifier: called.get((kind, identifier)),
                    each.secrets,
                    {name: text[::-1] for name, text in each.secrets.items()} if reveal else {},
                )
                for each in self.objects.get(it.name, ())
            ]
        return found

    def _carry_out(self, it: Change) -> None:
        if it.resource.name == "tenant":
            self.body = dict(it.body)
            return
        own = self.objects.setdefault(it.resource.name, [])
        place = next((n for n, each in enumerate(own) if each.id == it.id), len(own))
        if it.operation == "delete":
            del own[place]
            return
        before = {} if it.before is None else it.before.secrets
        kept = {name: text for name, text in before.items() if name not in it.cleared}
        secrets = kept | {name: text[::-1] for name, text in it.given.items()}
        own[place : place + 1] = [Kept(id=it.id, body=it.body, version=it.version, secrets=secrets)]
