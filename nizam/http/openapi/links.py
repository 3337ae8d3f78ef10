"""Links: from an answer to what can be done next with what it names, by operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nizam.http.route import Route

_ID = "id"
_NAMED = ("tenant_id", "file_id")
"""What stands for an object's `id` in paths that have further ids."""


def links_of(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    """The links of the route's answer: of a creation to everything about the object that was
    made, of a list to everything about its first object."""
    here = {name: f"$request.path.{name}" for name in route.path_parameters}
    found: dict[str, Any] = {}
    for parameter in _parameters_below(route, routes):
        fields = {parameter, _ID} if parameter in _NAMED else {parameter}
        source = _source(route, fields)
        if source is None:
            continue
        item = f"{route.path}/{{{parameter}}}"
        for it in routes:
            if _is_about(it, item, parameter):
                found[it.operation] = {
                    "operationId": it.operation,
                    "parameters": {**here, parameter: source},
                }
    return found


def _parameters_below(route: Route, routes: Iterable[Route]) -> set[str]:
    """The names of what stands for one object below the path of a list."""
    below = f"{route.path}/{{"
    return {
        it.path.removeprefix(below).partition("}")[0] for it in routes if it.path.startswith(below)
    }


def _source(route: Route, fields: set[str]) -> str | None:
    """Where the answer says which object: a runtime expression."""
    field = min(fields, key=lambda it: it != _ID)
    if route.method == "POST" and route.status == 201:
        return f"$response.body#/{field}"
    if route.method == "GET" and _is_list(route.response):
        return f"$response.body#/data/0/{field}"
    return None


def _is_list(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and "next_cursor" in schema.get("properties", {})


def _is_about(route: Route, item: str, parameter: str) -> bool:
    """Whether the route is about the object at `item` and needs nothing more to be asked for;
    below a tenant, only what is there at once."""
    rest = route.path.removeprefix(item)
    if rest == route.path or "{" in rest:
        return False
    return rest.count("/") <= 1 or parameter != "tenant_id"
