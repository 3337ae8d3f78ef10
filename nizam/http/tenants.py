"""The life of a tenant: activate, suspend, terminate, and the receipt of its purge."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import attrs
from pydantic import Field

from nizam.errors import IdempotencyMismatch, InvalidTransition, NotFound
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.crud import shown
from nizam.http.listing import list_parameters, list_reply
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import BASE, TENANT, Call, Route, Schema
from nizam.http.schemas import list_of, ref
from nizam.model.base import Value
from nizam.model.tenant import TRANSITIONS
from nizam.store.listing import parse_listing
from nizam.store.receipts import RECEIPT_FIELDS, find_receipt, list_receipts
from nizam.store.store import Store

_SORT = "-purged_at"
_TIME: Schema = {"type": "string", "format": "date-time"}
RECEIPT_SCHEMA: Schema = {
    "type": "object",
    "required": [
        "id",
        "tenant_id",
        "name",
        "slug",
        "domain",
        "terminated_at",
        "terminated_by",
        "started_at",
        "purged_at",
        "purged_by",
        "counts",
        "audit_head",
        "hash",
    ],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "tenant_id": {"type": "string", "format": "uuid"},
        "name": {"type": "string"},
        "slug": {"type": "string"},
        "domain": {"type": "string"},
        "terminated_at": _TIME,
        "terminated_by": {"type": ["string", "null"]},
        "started_at": _TIME,
        "purged_at": _TIME,
        "purged_by": {"type": "string"},
        "counts": {
            "type": "object",
            "description": "How many rows of each table, Redis keys and files were removed.",
            "additionalProperties": {"type": "integer"},
        },
        "audit_head": {
            "type": ["string", "null"],
            "description": "The last hash of the tenant's audit log.",
        },
        "hash": {
            "type": "string",
            "description": "SHA-256 of the other members but id, as JSON with sorted keys.",
        },
    },
}


class Terminate(Value):
    """How long the data of the tenant is kept; without it, what the settings say."""

    grace_days: Annotated[int, Field(ge=0, le=3650)] | None = None


@attrs.frozen
class Tenants:
    """The handlers. `grace_days` is how long a terminated tenant's data is kept by default."""

    store: Store
    grace_days: int

    async def move(self, call: Call) -> Reply:
        """Take the step that the last segment of the path names."""
        call.no_body()
        command = call.route.path.rpartition("/")[2]
        return await self.store.transition(call.tenant, command, change_context(call), shown)

    async def terminate(self, call: Call) -> Reply:
        """End the tenant: gone for FreeSWITCH at once, purged when the grace is over."""
        wanted = validate(Terminate, call.json() if call.raw_body.strip() else {})
        days = self.grace_days if wanted.grace_days is None else wanted.grace_days
        return await self.store.transition(
            call.tenant, "terminate", change_context(call), shown, timedelta(days=days)
        )

    async def receipt(self, call: Call) -> Reply:
        """What is kept of a tenant whose data is gone."""
        found = await find_receipt(self.store.primary, call.tenant)
        if found is None:
            raise NotFound("this tenant was not purged")
        return Reply(found)

    async def receipts(self, call: Call) -> Reply:
        """The receipts of all purges."""
        listing = parse_listing(call.query, RECEIPT_FIELDS, _SORT)
        return list_reply(await self.store.read(lambda pool: list_receipts(pool, listing)))

    def routes(self) -> list[Route]:
        """The routes of this file."""
        found = [
            Route(
                method="POST",
                path=f"{TENANT}/{command}",
                handler=self.move,
                summary=f"{command.capitalize()} a tenant that is {' or '.join(steps)}.",
                operation=f"{command}_tenant",
                tag="tenants",
                access="platform",
                permission="tenants:write",
                response=ref("Tenant"),
                errors=(InvalidTransition, IdempotencyMismatch),
            )
            for command, steps in TRANSITIONS.items()
        ]
        found[-1] = attrs.evolve(
            found[-1],
            handler=self.terminate,
            summary="End a tenant for good; its data is purged when the grace is over.",
            request=model_schema(Terminate),
            request_example={"grace_days": 30},
            request_required=False,
        )
        return [
            *found,
            Route(
                method="GET",
                path=f"{TENANT}/purge-receipt",
                handler=self.receipt,
                summary="What was removed with a tenant that is no more.",
                operation="get_purge_receipt",
                tag="tenants",
                access="platform",
                permission="tenants:read",
                response=RECEIPT_SCHEMA,
            ),
            Route(
                method="GET",
                path=f"{BASE}/purge-receipts",
                handler=self.receipts,
                summary="The receipts of all purges, the newest first.",
                operation="list_purge_receipts",
                tag="tenants",
                access="platform",
                permission="tenants:read",
                parameters=list_parameters(RECEIPT_FIELDS, _SORT),
                response=list_of(RECEIPT_SCHEMA),
            ),
        ]
