"""Who am I, and what may be asked for: /me and /permissions."""

from __future__ import annotations

from typing import Any

from nizam.http.principal import Grant, Principal
from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route, Schema
from nizam.model.permissions import ROLES, permissions, role_permissions

_STRINGS: Schema = {"type": "array", "items": {"type": "string"}}
_ID_OR_NULL: Schema = {"type": ["string", "null"], "format": "uuid"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}


async def me(call: Call) -> Reply:
    """Whoever made the request, and what they may do where."""
    it = call.principal
    key: dict[str, Any] | None = None
    if it.kind == "api_key":
        key = {
            "id": it.id,
            "scopes": sorted({scope for grant in it.grants.values() for scope in grant.scopes}),
            "rate_limit_per_minute": it.rate_limit_per_minute,
            "expires_at": it.expires_at,
            "allowed_cidrs": list(it.allowed_cidrs),
        }
    return Reply(
        {
            "kind": it.kind,
            "id": it.id,
            "name": it.name,
            "email": it.email,
            "tenant_id": it.home,
            "platform": it.platform,
            "memberships": [
                _membership(place, grant)
                for place, grant in sorted(it.grants.items(), key=lambda pair: str(pair[0]))
            ],
            "key": key,
            "sign_in": _sign_in(it),
        }
    )


def _membership(tenant_id: object, grant: Grant) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "roles": list(grant.roles),
        "permissions": sorted(grant.permissions),
    }


def _sign_in(it: Principal) -> dict[str, Any] | None:
    if it.sign_in is None:
        return None
    return {
        "id": it.sign_in.id,
        "kind": it.sign_in.kind,
        "expires_at": it.sign_in.expires_at,
        "csrf_token": it.sign_in.csrf_token,
    }


async def list_permissions(call: Call) -> Reply:
    """Every permission there is, and which of them each role has."""
    roles = [{"role": it, "permissions": sorted(role_permissions(it))} for it in ROLES]
    return Reply({"data": sorted(permissions()), "roles": roles})


_ME: Schema = {
    "type": "object",
    "required": ["kind", "id", "name", "email", "tenant_id", "platform", "memberships", "key"],
    "properties": {
        "kind": {"enum": ["api_key", "user"]},
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string"},
        "email": {"type": ["string", "null"]},
        "tenant_id": {**_ID_OR_NULL, "description": "The one tenant, if there is just one."},
        "platform": {"type": "boolean"},
        "memberships": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tenant_id", "roles", "permissions"],
                "properties": {
                    "tenant_id": {**_ID_OR_NULL, "description": "null: the platform."},
                    "roles": _STRINGS,
                    "permissions": _STRINGS,
                },
            },
        },
        "key": {
            "type": ["object", "null"],
            "required": ["id", "scopes"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "scopes": _STRINGS,
                "rate_limit_per_minute": {"type": ["integer", "null"]},
                "expires_at": _TIME_OR_NULL,
                "allowed_cidrs": _STRINGS,
            },
        },
        "sign_in": {
            "type": ["object", "null"],
            "required": ["id", "kind", "expires_at"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "kind": {"enum": ["session", "token"]},
                "expires_at": {"type": "string", "format": "date-time"},
                "csrf_token": {"type": ["string", "null"]},
            },
        },
    },
}


def routes() -> list[Route]:
    """The routes of this file."""
    return [
        Route(
            method="GET",
            path=f"{BASE}/me",
            handler=me,
            summary="Who makes this request, and what they may do where.",
            operation="me",
            tag="auth",
            access="any",
            response=_ME,
        ),
        Route(
            method="GET",
            path=f"{BASE}/permissions",
            handler=list_permissions,
            summary="Every permission, and which of them each role has.",
            operation="list_permissions",
            tag="auth",
            access="any",
            response={
                "type": "object",
                "required": ["data", "roles"],
                "properties": {
                    "data": _STRINGS,
                    "roles": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["role", "permissions"],
                            "properties": {"role": {"enum": list(ROLES)}, "permissions": _STRINGS},
                        },
                    },
                },
            },
        ),
    ]
