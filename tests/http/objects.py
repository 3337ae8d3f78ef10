"""An object of each declared resource, made from its example in a tenant that has what it needs."""

from __future__ import annotations

import copy
from typing import Any

from nizam.model.registry import resources
from nizam.model.resource import Resource
from tests.http.conftest import Server

# What the examples of the declarations refer to, and the resource that stands for it.
_EXTENSION = "01937a5e-0000-7000-8000-000000000001"
_RING_GROUP = "01937a5e-0000-7000-8000-000000000002"
_GATEWAY = "01937a5e-0000-7000-8000-000000000003"
NEEDED = (
    (_EXTENSION, "extensions", {"number": "8001", "display_name": "Needed"}),
    (
        _RING_GROUP,
        "ring-groups",
        {"number": "8002", "name": "Needed", "members": [{"number": "+12025550199"}]},
    ),
    (_GATEWAY, "gateways", {"name": "Needed", "host": "sip.example.test"}),
)


def collection(resource: Resource, tenant: str) -> str:
    """The path of the resource's list."""
    start = tenant if resource.scope == "tenant" else "/api/v1"
    return f"{start}/{resource.path}"


def item(resource: Resource, tenant: str, identifier: str) -> str:
    return f"{collection(resource, tenant)}/{identifier}"


async def example_of(server: Server, resource: Resource, tenant: str) -> dict[str, Any]:
    """The resource's example, with ids that exist in the tenant."""
    return await with_real_ids(server, resource.example, tenant)


async def with_real_ids(server: Server, example: dict[str, Any], tenant: str) -> dict[str, Any]:
    text = repr(copy.deepcopy(example))
    ids: dict[str, str] = {}
    for placeholder, path, body in NEEDED:
        if placeholder in text:
            # Made once for each tenant, however many examples need it.
            made = await server.make(f"{tenant}/{path}", body, idempotency_key=placeholder + tenant)
            ids[placeholder] = made["id"]
    return replaced(example, ids)  # type: ignore[no-any-return]


def replaced(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: replaced(it, ids) for name, it in value.items()}
    if isinstance(value, list):
        return [replaced(it, ids) for it in value]
    return ids.get(value, value) if isinstance(value, str) else value


ALL = list(resources().values())
NAMES = [it.name for it in ALL]
