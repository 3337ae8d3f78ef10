"""POST .../reveal: the stored secrets of one object, each time written to the audit log."""

from __future__ import annotations

import attrs

from nizam.errors import IdempotencyMismatch
from nizam.http.changes import change_context
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.model.resource import Resource, with_fields
from nizam.store.store import Store
from nizam.store.unit_of_work import UnitOfWork


@attrs.frozen
class Reveal:
    """The handler for one resource."""

    resource: Resource
    store: Store

    async def reveal(self, call: Call) -> Reply:
        """The secrets in clear."""
        call.no_body()
        identifier = call.id()

        async def work(unit: UnitOfWork) -> Reply:
            secrets = await unit.reveal(self.resource, identifier)
            fields = {it.field: secrets.get(it.field) for it in self.resource.secrets}
            return Reply(with_fields({"id": identifier}, fields))

        return await self.store.write(call.tenant, change_context(call), work)

    def routes(self) -> list[Route]:
        """The route of this file."""
        fields = {it.field: {"type": ["string", "null"]} for it in self.resource.secrets}
        return [
            Route(
                method="POST",
                path=f"{TENANT}/{self.resource.path}/{{id}}/reveal",
                handler=self.reveal,
                summary="The stored secrets, in clear; audited.",
                operation=f"reveal_{self.resource.name}",
                tag=self.resource.path,
                permission=f"{self.resource.table}:reveal",
                response={
                    "type": "object",
                    "required": ["id", *fields],
                    "properties": {"id": {"type": "string", "format": "uuid"}, **fields},
                },
                errors=(IdempotencyMismatch,),
            )
        ]
