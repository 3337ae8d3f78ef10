"""The whole document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import nizam
from nizam.http.openapi.headers import HEADERS
from nizam.http.openapi.operations import Components, operation
from nizam.http.openapi.resource_schemas import resource_schemas
from nizam.http.openapi.tags import tags
from nizam.http.openapi.walk import Schemas, hoisted
from nizam.http.route import Route
from nizam.http.schemas import SCHEMAS
from nizam.model.registry import resources

_ABOUT = """\
The control plane for FreeSWITCH: tenants, the routing of their calls, events and webhooks.

Requests have no members that are not described here. Answers have all the members that are \
described as required; later versions may add others, so pass over those that you do not know.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Besides those of each \
operation there are 405 for a method that a path does not have, and 417 for an Expect that is \
not 100-continue.
"""


def document(routes: Iterable[Route], server_url: str) -> dict[str, Any]:
    """The OpenAPI document of the routes, served under `server_url`."""
    served = list(routes)
    components = Components(_schemas())
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        described = operation(route, served, components)
        paths.setdefault(route.path, {})[route.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "NIZAM", "version": nizam.__version__, "description": _ABOUT},
        "servers": [{"url": server_url}],
        "security": [{"bearer": []}, {"session": []}],
        "tags": tags(served),
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": _SECURITY,
            "headers": HEADERS,
            "responses": dict(sorted(components.responses.items())),
            "schemas": dict(sorted(components.schemas.items())),
        },
    }


_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (nzm_...), or a token of a user (nzt_...).",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-nizam_session",
        "description": "A browser's session; every change needs X-CSRF-Token too.",
    },
}


def _schemas() -> Schemas:
    found: Schemas = {}
    for name, it in SCHEMAS.items():
        hoisted({**it, "title": name}, found)
    for resource in resources().values():
        for name, it in resource_schemas(resource).items():
            if found.setdefault(name, hoisted(it, found)) != hoisted(it, found):
                raise ValueError(f"two schemas are called {name}")
    return found
