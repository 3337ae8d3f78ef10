"""Who am I, and what may be asked for: /me and /permissions."""

from __future__ import annotations

from typing import Any

from nizam.http.principal import Grant, Principal
from nizam.http.reply import Reply
from nizam.http.route import BASE, Call, Route
from nizam.http.schema_parts import (
    Schema,
    array,
    count,
    identifier,
    object_of,
    or_null,
    text,
    time,
    words,
    yes_or_no,
)
from nizam.model.permissions import ROLES, permissions, role_permissions

_ROLE = words("A role.", *ROLES)
_PERMISSION = text("A permission.", "extensions:read")


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
    "title": "Me",
    **object_of(
        "Whoever made the request.",
        kind=words("What signed in.", "api_key", "user"),
        id=identifier("The id of the key or user."),
        name=text("Its name.", "CRM"),
        email=or_null(text("The user's address; null for a key.")),
        tenant_id=or_null(identifier("The one tenant, if there is just one.")),
        platform=yes_or_no("Whether it belongs to the platform."),
        memberships=array(
            object_of(
                tenant_id=or_null(identifier("The tenant; null is the platform.")),
                roles=array(_ROLE, "The roles there."),
                permissions=array(_PERMISSION, "What may be done there."),
            ),
            "What may be done where.",
        ),
        key=or_null(
            object_of(
                "The key; null for a user.",
                id=identifier("Its id."),
                scopes=array(text("A scope.", "extensions:*"), "Its scopes."),
                rate_limit_per_minute=or_null(count("Its own limit of requests a minute.")),
                expires_at=or_null(time("Until when it holds.")),
                allowed_cidrs=array(text("A network."), "Where it may be used from."),
            )
        ),
        sign_in=or_null(
            object_of(
                "The session or token; null for a key.",
                id=identifier("Its id."),
                kind=words("For a browser or for a program.", "session", "token"),
                expires_at=time("Until when it holds."),
                csrf_token=or_null(text("What X-CSRF-Token must say, for a session.")),
            )
        ),
    ),
}
_PERMISSIONS: Schema = {
    "title": "Permissions",
    **object_of(
        "Every permission there is.",
        data=array(_PERMISSION, "The permissions."),
        roles=array(
            object_of(role=_ROLE, permissions=array(_PERMISSION, "What it may do.")),
            "The roles.",
        ),
    ),
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
            response=_PERMISSIONS,
        ),
    ]
