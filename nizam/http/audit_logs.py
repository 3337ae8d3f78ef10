"""GET .../audit-logs: who did what, for a tenant and for the platform."""

from __future__ import annotations

from typing import Any

import attrs

from nizam.http.listing import list_parameters, list_reply
from nizam.http.reply import Reply
from nizam.http.route import BASE, TENANT, Call, Route
from nizam.http.schemas import list_of
from nizam.store.audit_list import ALL_AUDIT_FIELDS, AUDIT_FIELDS, list_audit_logs
from nizam.store.listing import parse_listing
from nizam.store.store import Store

_SORT = "-occurred_at"
_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ID = {"type": "string", "format": "uuid"}
_ID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SHOWN = {
    "type": ["object", "null"],
    "description": "The object then, without its secrets, which show ***.",
}
AUDIT_LOG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "occurred_at", "actor_type", "actor_name", "action", "sequence", "hash"],
    "properties": {
        "id": _ID,
        "tenant_id": _ID_OR_NULL,
        "sequence": {"type": "integer", "description": "The place in the chain, from 1."},
        "occurred_at": {"type": "string", "format": "date-time"},
        "actor_type": {"type": "string", "description": "api_key, user or system."},
        "actor_id": _ID_OR_NULL,
        "actor_name": _TEXT,
        "address": _TEXT_OR_NULL,
        "request_id": _TEXT_OR_NULL,
        "action": _TEXT,
        "resource_type": _TEXT,
        "resource_id": _ID_OR_NULL,
        "revision": {"type": ["integer", "null"]},
        "before": _SHOWN,
        "after": _SHOWN,
        "previous_hash": _HASH,
        "hash": _HASH,
    },
}


@attrs.frozen
class AuditLogs:
    """The handlers."""

    store: Store

    async def of_tenant(self, call: Call) -> Reply:
        """Rows of one tenant, the newest first."""
        listing = parse_listing(call.query, AUDIT_FIELDS, _SORT)
        tenant = call.tenant
        return list_reply(
            await self.store.read(lambda pool: list_audit_logs(pool, tenant, listing))
        )

    async def of_all(self, call: Call) -> Reply:
        """Rows of the platform and of every tenant, the newest first."""
        listing = parse_listing(call.query, ALL_AUDIT_FIELDS, _SORT)
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
                parameters=list_parameters(AUDIT_FIELDS, _SORT),
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
                parameters=list_parameters(ALL_AUDIT_FIELDS, _SORT),
                response=list_of(AUDIT_LOG_SCHEMA),
            ),
        ]
