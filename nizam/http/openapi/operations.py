"""One operation of the document, from its route."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from nizam.errors import IdempotencyMismatch
from nizam.http.openapi.examples import ID, TENANT_ID, sample
from nizam.http.openapi.headers import RATE_LIMITS, references
from nizam.http.openapi.links import links_of
from nizam.http.openapi.problems import by_status, errors_of, response, response_name
from nizam.http.openapi.walk import Schema, Schemas, hoisted, name_of
from nizam.http.openapi.words import words
from nizam.http.route import MERGE_PATCH, Parameter, Route
from nizam.http.route import Schema as DeclaredSchema
from nizam.model.registry import resources

_UUID: Schema = {"type": "string", "format": "uuid"}
_REQUEST_ID = Parameter(
    name="X-Request-Id",
    about="Comes back in the answer and finds the request in the log: up to 128 letters, digits, "
    "`.`, `_`, `:` and `-`. Another one is passed over.",
    where="header",
)
_IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    about="The same key and body within 24 hours give the stored answer.",
    schema={"type": "string", "minLength": 1, "maxLength": 255},
    where="header",
)


@attrs.frozen
class Components:
    """What operations refer to, gathered while they are described."""

    schemas: Schemas
    responses: dict[str, Any] = attrs.field(factory=dict)

    def schema(self, declared: DeclaredSchema) -> Schema:
        """The schema as it stands in the operation; what has a name goes to the components."""
        return hoisted(declared, self.schemas)


def operation(route: Route, routes: Sequence[Route], components: Components) -> dict[str, Any]:
    """The operation; `routes` are all there are, to which its answer can lead."""
    found: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": _description(route),
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *map(_parameter, _parameters(route))],
        "responses": _responses(route, routes, components),
    }
    if route.access == "public":
        found["security"] = []
    if route.permission is not None:
        found["x-permission"] = route.permission
    if route.request is not None or route.also_takes:
        found["requestBody"] = {
            "required": route.request_required,
            "content": dict(_request_contents(route, components)),
        }
    return found


def _description(route: Route) -> str:
    about = route.about or inspect.getdoc(route.handler) or route.summary
    text = " ".join(about.split())
    return f"{text}\n\nNeeds the scope `{route.permission}`." if route.permission else text


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    declared = {it.name: it for it in route.parameters if it.where == "path"}
    for name in route.path_parameters:
        it = declared.get(name)
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": it.about if it else f"The id of the {_thing(route, name)}.",
            "schema": dict(it.schema) if it else _UUID,
            "example": (it.schema.get("examples") or [ID])[0]
            if it
            else TENANT_ID
            if name == "tenant_id"
            else ID,
        }


def _thing(route: Route, parameter: str) -> str:
    """What the parameter is the id of, in words: that of the segment before it."""
    if parameter != "id":
        return words(parameter.removesuffix("_id"))
    segment = route.path.partition("/{id}")[0].rpartition("/")[2]
    names = {it.path: it.name for it in resources().values()}
    return words(names.get(segment, segment.removesuffix("s")))


def _parameters(route: Route) -> list[Parameter]:
    shared = [_REQUEST_ID]
    if route.method == "POST" and route.access != "public":
        shared.append(_IDEMPOTENCY_KEY)
    return [*shared, *(it for it in route.parameters if it.where != "path")]


def _parameter(it: Parameter) -> dict[str, Any]:
    schema = dict(it.schema)
    return {"name": it.name, "in": it.where, "description": it.about, "schema": schema}


def _request_contents(route: Route, components: Components) -> Iterator[tuple[str, Any]]:
    if route.request is not None:
        media = _media(components, route.request, route.request_example)
        if route.method == "PATCH":
            yield MERGE_PATCH, media
        yield route.request_media_type, media
    for media_type, schema in route.also_takes.items():
        yield media_type, _media(components, schema, None)


def _media(components: Components, declared: DeclaredSchema, example: Any) -> dict[str, Any]:
    schema = components.schema(declared)
    if example is None and schema.get("format") != "binary":
        example = sample(schema, components.schemas)
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


# -- answers ---------------------------------------------------------------------------------------


def _responses(route: Route, routes: Sequence[Route], components: Components) -> dict[str, Any]:
    found = {str(route.status): _success(route, routes, components)}
    if any(it.name == "If-None-Match" for it in route.parameters):
        found["304"] = {
            "description": "The object still has this ETag.",
            "headers": references("X-Request-Id", "ETag", *RATE_LIMITS),
        }
    if any(it.name == "Range" for it in route.parameters):
        whole = found[str(route.status)]
        found["206"] = {
            **whole,
            "description": _SUCCESS[206],
            "headers": {**whole["headers"], **references("Content-Range")},
        }
    for status, errors in by_status(errors_of(route)).items():
        name = response_name(errors)
        components.responses.setdefault(name, response(errors))
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _success(route: Route, routes: Sequence[Route], components: Components) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _SUCCESS.get(route.status, "Done.")}
    headers = ["X-Request-Id", *RATE_LIMITS, *route.headers]
    if route.response is not None:
        media = _media(components, route.response, route.response_example)
        others = {name: _media(components, it, None) for name, it in route.also_gives.items()}
        answer["content"] = {route.media_type: media, **others}
        if name_of(media["schema"]) in _resource_names():
            headers += ["ETag", "Location"] if route.status == 201 else ["ETag"]
    if IdempotencyMismatch in errors_of(route):
        headers.append("Idempotent-Replayed")
    answer["headers"] = references(*dict.fromkeys(headers))
    links = links_of(route, routes)
    if links:
        answer["links"] = links
    return answer


def _resource_names() -> frozenset[str]:
    return frozenset(it.body.__name__ for it in resources().values())


_SUCCESS = {
    200: "Done; this is how it is now.",
    201: "Made.",
    202: "Taken on; it is carried out soon.",
    204: "Done; there is nothing more to say.",
    206: "The part that was asked for.",
}
