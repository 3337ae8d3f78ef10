"""POST .../reveal: the stored secrets of one object, each time written to the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from nizam.errors import IdempotencyMismatch
from nizam.http.changes import change_context
from nizam.http.reply import Reply
from nizam.http.route import BASE, TENANT, Call, Route, Schema
from nizam.http.schema_parts import identifier, object_of, or_null, text
from nizam.model.resource import Resource, Secret, with_fields
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork


@attrs.frozen
class Reveal:
    """The handler for one resource, which has secrets that can be read again."""

    resource: Resource
    store: Store

    @classmethod
    def over(cls, resources: Iterable[Resource], store: Store) -> list[Route]:
        """The routes of those of `resources` that have such secrets."""
        return [cls(it, store).route() for it in resources if _readable(it)]

    async def reveal(self, call: Call) -> Reply:
        """The secrets in clear."""
        call.no_body()
        identifier = call.id()

        async def work(unit: UnitOfWork) -> Reply:
            secrets = await unit.reveal(self.resource, identifier)
            fields = {it.field: secrets.get(it.field) for it in _readable(self.resource)}
            return Reply(with_fields({"id": identifier}, fields))

        owner = call.tenant if self.resource.scope == "tenant" else None
        return await self.store.write(owner, change_context(call), work)

    def route(self) -> Route:
        """The route of this file."""
        it = self.resource
        return Route(
            method="POST",
            path=f"{TENANT if it.scope == 'tenant' else BASE}/{it.path}/{{id}}/reveal",
            handler=self.reveal,
            summary="The stored secrets, in clear; audited.",
            operation=f"reveal_{it.name}",
            tag=it.path,
            access="tenant" if it.scope == "tenant" else "platform",
            permission=f"{it.table}:reveal",
            response=_schema(it),
            errors=(IdempotencyMismatch,),
        )


def _readable(resource: Resource) -> list[Secret]:
    return [it for it in resource.secrets if not it.one_way]


def _schema(resource: Resource) -> Schema:
    secret = or_null(text("The secret; null if there is none.", "..."))
    fields: dict[str, Any] = {"id": identifier("The object that it belongs to.")}
    found = _object(with_fields(fields, {it.field: secret for it in _readable(resource)}))
    return {"title": f"{resource.body.__name__}Secrets", **found}


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these members, each a schema or an object of schemas."""
    return object_of(
        "Secrets in clear.",
        **{name: it if "type" in it else _object(it) for name, it in fields.items()},
    )
