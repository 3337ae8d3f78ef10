"""The tags of the document, in the order in which a reader meets them, and their groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nizam.http.openapi.words import plural, words
from nizam.http.route import Route
from nizam.model.registry import resources
from nizam.model.resource import Resource

_BESIDE: Mapping[str, tuple[str, str, str]] = {
    "auth": (
        "Signing in",
        "Access",
        "Logging in and out, sessions and tokens, passwords, and what you may do.",
    ),
    "calls": (
        "Calls",
        "Calls",
        "Calls that are under way, phones that are registered, events, and the summaries of "
        "calls that have ended.",
    ),
    "recordings": (
        "Recordings",
        "Calls",
        "Recorded calls: listing and listening, links for others, legal hold, deleting.",
    ),
    "voicemail": (
        "Voicemail",
        "Calls",
        "Messages in mailboxes: listing and listening, links for others, marking, deleting.",
    ),
    "routing": (
        "Routing",
        "Calls",
        "Where a call would go, and why, without placing it.",
    ),
    "audit-logs": (
        "Audit log",
        "Platform",
        "Who did what, chained by hashes so that a change of the past shows.",
    ),
    "document": (
        "Tenant document",
        "Platform",
        "The whole configuration of a tenant as one document: export it, plan what it would "
        "change, apply it, all or nothing.",
    ),
    "revisions": (
        "Revisions",
        "Platform",
        "Every change of a tenant's configuration, and the way back.",
    ),
    "documentation": ("Documentation", "Platform", "This reference."),
}
"""Of tags that are no resource: title, group, description."""

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Access": ("auth",),
    "Platform": ("tenants", "users", "api-keys", "switch-nodes", "sip-profiles", "acls"),
    "Numbers and people": ("extensions", "dids", "ring-groups", "conference-rooms"),
    "Calls": ("calls", "recordings", "voicemail", "routing"),
    "Where calls go": (),
}
_REST = "Where calls go"
"""The group of a tenant's resources that no group names."""


def tags(routes: Iterable[Route]) -> list[dict[str, Any]]:
    """The tags that the routes have."""
    used = {it.tag for it in routes}
    by_path = {it.path: it for it in resources().values()}
    found = [_tag(it, by_path.get(it)) for it in used]
    order = list(_GROUPS)
    return sorted(found, key=lambda it: (order.index(it["x-group"]), _place(it), it["name"]))


def _tag(name: str, resource: Resource | None) -> dict[str, Any]:
    if resource is None:
        title, group, about = _BESIDE.get(name, (_capitalised(words(name)), _REST, ""))
    else:
        title = _capitalised(plural(resource))
        group = next((group for group, names in _GROUPS.items() if name in names), _REST)
        about = " ".join((resource.body.__doc__ or "").split())
    return {"name": name, "x-title": title, "x-group": group, "description": about or title}


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _place(tag: Mapping[str, Any]) -> int:
    names = _GROUPS[tag["x-group"]]
    return names.index(tag["name"]) if tag["name"] in names else len(names)
