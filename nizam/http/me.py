"""Who am I, and what may be asked for: /me and /permissions."""

from __future__ import annotations

from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route
from nizam.model.permissions import permissions

_STRINGS = {"type": "array", "items": {"type": "string"}}


async def me(call: Call) -> Reply:
    """The key that the request was signed with."""
    it = call.principal
    return Reply(
        {
            "key_id": it.key_id,
            "name": it.name,
            "tenant_id": it.tenant_id,
            "scopes": sorted(it.scopes),
            "rate_limit_per_minute": it.rate_limit_per_minute,
            "expires_at": it.expires_at,
        }
    )


async def list_permissions(call: Call) -> Reply:
    """Every scope that a key can have."""
    return Reply({"data": sorted(permissions())})


def routes() -> list[Route]:
    """The routes of this file."""
    return [
        Route(
            method="GET",
            path=f"{BASE}/me",
            handler=me,
            summary="The API key of this request.",
            operation="me",
            tag="keys",
            access="any",
            response={
                "type": "object",
                "required": ["key_id", "name", "tenant_id", "scopes"],
                "properties": {
                    "key_id": {"type": "string", "format": "uuid"},
                    "name": {"type": "string"},
                    "tenant_id": {"type": ["string", "null"], "format": "uuid"},
                    "scopes": _STRINGS,
                    "rate_limit_per_minute": {"type": ["integer", "null"]},
                    "expires_at": {"type": ["string", "null"], "format": "date-time"},
                },
            },
        ),
        Route(
            method="GET",
            path=f"{BASE}/permissions",
            handler=list_permissions,
            summary="Every scope that a key can have.",
            operation="list_permissions",
            tag="keys",
            access="any",
            response={
                "type": "object",
                "required": ["data"],
                "properties": {"data": _STRINGS},
            },
        ),
    ]
