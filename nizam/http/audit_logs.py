"""GET .../audit-logs: who did what, for a tenant and for the platform."""

from __future__ import annotations

import attrs

from nizam.http.listing import list_parameters, list_reply
from nizam.http.reply import Reply
from nizam.http.route import BASE, TENANT, Call, Route
from nizam.http.schema_parts import (
    Schema,
    count,
    identifier,
    list_of,
    object_of,
    or_null,
    text,
    time,
)
from nizam.store.audit_list import ALL_AUDIT_FIELDS, AUDIT_FIELDS, list_audit_logs
from nizam.store.listing import parse_listing
from nizam.store.store import Store

SORT = "-occurred_at"
_HASH = {"pattern": "^[0-9a-f]{64}$"}
_SHOWN: Schema = {
    "type": ["object", "null"],
    "description": "The object then, without its secrets, which show ***.",
}
AUDIT_LOG_SCHEMA: Schema = {
    "title": "AuditLog",
    **object_of(
        "Something that was done, and by whom.",
        id=identifier("Its id."),
        tenant_id=or_null(identifier("The tenant; null for the platform.")),
        sequence={"type": "integer", "minimum": 1, "description": "The place in the chain."},
        occurred_at=time("When."),
        actor_type=text("api_key, user, extension (by dialling a feature code) or system.", "user"),
        actor_id=or_null(identifier("Who did it.")),
        actor_name=text("Who did it, for people.", "ada@example.com"),
        address=or_null(text("From which address.", "192.0.2.10")),
        request_id=or_null(text("By which request.")),
        action=text("What was done.", "updated"),
        resource_type=text("To what.", "extension"),
        resource_id=or_null(identifier("To which one.")),
        revision=or_null(count("The revision of the tenant that it made.")),
        before=_SHOWN,
        after=_SHOWN,
        previous_hash=text("The hash of the row before.", "0" * 64, **_HASH),
        hash=text("SHA-256 over this row and the one before.", "3f" * 32, **_HASH),
    ),
}


@attrs.frozen
class AuditLogs:
    """The handlers."""

    store: Store

    async def of_tenant(self, call: Call) -> Reply:
        """Rows of one tenant, the newest first."""
        listing = parse_listing(call.query, AUDIT_FIELDS, SORT)
        tenant = call.tenant
        return list_reply(
            await self.store.read(lambda pool: list_audit_logs(pool, tenant, listing))
        )

    async def of_all(self, call: Call) -> Reply:
        """Rows of the platform and of every tenant, the newest first."""
        listing = parse_listing(call.query, ALL_AUDIT_FIELDS, SORT)
        return list_reply(await self.store.read(lambda pool: list_audit_logs(pool, None, listing)))

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=f"{TENANT}/audit-logs",
                handler=self.of_tenant,
                summary="Who did what in a tenant, the newest first.",
                operation="list_audit_logs",
                tag="audit-logs",
                permission="audit_logs:read",
                parameters=list_parameters(AUDIT_FIELDS, SORT),
                response=list_of(AUDIT_LOG_SCHEMA),
            ),
            Route(
                method="GET",
                path=f"{BASE}/audit-logs",
                handler=self.of_all,
                summary="Who did what on the platform and in every tenant, the newest first.",
                operation="list_all_audit_logs",
                tag="audit-logs",
                access="platform",
                permission="audit_logs:read",
                parameters=list_parameters(ALL_AUDIT_FIELDS, SORT),
                response=list_of(AUDIT_LOG_SCHEMA),
            ),
        ]
