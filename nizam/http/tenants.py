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
from nizam.http.schema_parts import identifier, list_of, object_of, or_null, ref, text, time
from nizam.model.base import Value
from nizam.model.tenant import TRANSITIONS
from nizam.store.listing import parse_listing
from nizam.store.receipts import RECEIPT_FIELDS, find_receipt, list_receipts
from nizam.store.store import Store

_SORT = "-purged_at"
RECEIPT_SCHEMA: Schema = {
    "title": "PurgeReceipt",
    **object_of(
        "What is kept of a tenant whose data is gone.",
        id=identifier("Its id."),
        tenant_id=identifier("The id that the tenant had."),
        name=text("The name that the tenant had.", "Acme Inc"),
        slug=text("The short name that the tenant had.", "acme"),
        domain=text("The SIP domain that the tenant had.", "acme.example.test"),
        terminated_at=time("When it was terminated."),
        terminated_by=or_null(text("Who terminated it.")),
        started_at=time("When the purge began."),
        purged_at=time("When the purge ended."),
        purged_by=text("Who purged it.", "system"),
        counts={
            "type": "object",
            "description": "How many rows of each table, Redis keys and files were removed.",
            "additionalProperties": {"type": "integer"},
            "examples": [{"extensions": 12, "audit_logs": 40}],
        },
        audit_head=or_null(text("The last hash of the tenant's audit log.")),
        hash=text("SHA-256 of the other members but id, as JSON with sorted keys.", "3f" * 32),
    ),
}


_STEPS = {
    "activate": "Takes the tenant into service: its calls are routed.",
    "suspend": "Leaves the tenant nothing but emergency calls; its phones still register.",
    "terminate": "Gone for FreeSWITCH at once, and for good. The data is purged when the grace is "
    "over.",
}


class Terminate(Value):
    """How long the data of the tenant is kept; without it, what the settings say."""

    grace_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    """How long the data is kept; as the settings say without it."""


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
                about=_STEPS[command],
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
