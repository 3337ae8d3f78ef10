"""The OpenAPI 3.1 document, made from the routes and from the models that validate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

import nizam
from nizam.errors import (
    BadRequest,
    DatabaseUnavailable,
    InternalError,
    MalformedJson,
    NizamError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ScopeMissing,
    TimeoutExceeded,
    Unauthenticated,
    UnknownField,
    ValidationFailed,
)
from nizam.http.route import Parameter, Route
from nizam.http.schemas import SCHEMAS, ref
from nizam.model.registry import resources
from nizam.model.resource import Resource

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_ALWAYS: tuple[type[NizamError], ...] = (
    BadRequest,
    RateLimited,
    InternalError,
    DatabaseUnavailable,
    TimeoutExceeded,
)
_WITH_KEY: tuple[type[NizamError], ...] = (Unauthenticated, ScopeMissing)
_WITH_BODY: tuple[type[NizamError], ...] = (
    MalformedJson,
    PayloadTooLarge,
    ValidationFailed,
    UnknownField,
)


def document(routes: Iterable[Route], server_url: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "NIZAM",
            "version": nizam.__version__,
            "description": "The control plane for FreeSWITCH: tenants, routing, events, webhooks.",
        },
        "servers": [{"url": server_url}],
        "security": [{"bearer": []}, {"session": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
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
            },
            "schemas": dict(sorted(_schemas().items())),
        },
    }


def schema_name(resource: Resource) -> str:
    """The name of a resource's schema: RingGroup."""
    return resource.body.__name__


def resource_schemas(resource: Resource) -> dict[str, Any]:
    """What is answered, what POST and PUT take, what PATCH takes, and what those refer to."""
    written = resource.body.model_json_schema(ref_template=_REF, mode="validation")
    found: dict[str, Any] = dict(written.pop("$defs", {}))
    name = schema_name(resource)
    fields = {key: it for key, it in written["properties"].items() if key not in resource.read_only}
    secret = {it.field for it in resource.secrets}
    for key in secret & fields.keys():
        fields[key] = {**fields[key], "writeOnly": True}
    found[f"{name}Input"] = {**written, "properties": fields}
    found[f"{name}Patch"] = {
        key: it for key, it in {**written, "properties": fields}.items() if key != "required"
    } | {"description": "JSON Merge Patch (RFC 7396): null restores the default."}
    shown = {
        "id": {"type": "string", "format": "uuid", "readOnly": True},
        **({"tenant_id": _uuid()} if resource.scope == "tenant" else {}),
        **written["properties"],
        "version": {"type": "integer", "readOnly": True},
        "created_at": {"type": "string", "format": "date-time", "readOnly": True},
        "updated_at": {"type": "string", "format": "date-time", "readOnly": True},
    }
    found[name] = {
        "type": "object",
        "description": written.get("description", ""),
        "required": ["id", "version", "created_at", "updated_at"],
        "properties": shown,
    }
    return found


def model_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model that is no resource, with all that it refers to inside."""
    return model.model_json_schema(mode="validation")


def _uuid() -> dict[str, Any]:
    return {"type": "string", "format": "uuid", "readOnly": True}


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = dict(SCHEMAS)
    for resource in resources().values():
        found |= resource_schemas(resource)
    return found


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *map(_parameter, _parameters(route))],
        "responses": _responses(route),
    }
    if route.permission is not None:
        operation["description"] = f"Needs the scope `{route.permission}`."
    if route.access == "public":
        operation["security"] = []
    if route.request is not None:
        media: dict[str, Any] = {"schema": dict(route.request)}
        if route.request_example is not None:
            media["example"] = route.request_example
        contents = {route.request_media_type: media}
        if route.method == "PATCH":
            contents = {"application/merge-patch+json": media, **contents}
        operation["requestBody"] = {"required": route.request_required, "content": contents}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"}
            if (name, "/call-events/" in route.path) != ("id", True)
            else {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"},
        }
        for name in _PARAMETER.findall(route.path)
    ]


def _parameters(route: Route) -> list[Parameter]:
    shared = [Parameter(name="X-Request-Id", about="Comes back in the answer.", where="header")]
    if route.method == "POST" and route.access != "public":
        shared.append(
            Parameter(
                name="Idempotency-Key",
                about="The same key and body within 24 hours give the stored answer.",
                schema={"type": "string", "minLength": 1, "maxLength": 255},
                where="header",
            )
        )
    return [*shared, *route.parameters]


def _parameter(it: Parameter) -> dict[str, Any]:
    return {"name": it.name, "in": it.where, "description": it.about, "schema": dict(it.schema)}


def _responses(route: Route) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done."}
    if route.response is not None:
        media: dict[str, Any] = {"schema": dict(route.response)}
        if route.response_example is not None:
            media["example"] = route.response_example
        answer["content"] = {route.media_type: media}
    found = {str(route.status): answer}
    by_status: dict[int, list[type[NizamError]]] = {}
    for error in _errors(route):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        codes = ", ".join(dict.fromkeys(it.code for it in errors))
        found[str(status)] = {
            "description": f"{errors[0].title} ({codes}).",
            "content": {"application/problem+json": {"schema": ref("Problem")}},
        }
    return found


def _errors(route: Route) -> list[type[NizamError]]:
    errors = [*_ALWAYS, *route.errors]
    if route.access != "public":
        errors += _WITH_KEY
    if "{" in route.path:
        errors.append(NotFound)
    if route.method in ("POST", "PUT", "PATCH"):
        errors += _WITH_BODY
    return list(dict.fromkeys(errors))
