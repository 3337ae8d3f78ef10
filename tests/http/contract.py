"""Every answer is one that the OpenAPI document declares: its status, its fields, nothing else.

`Server.request` looks at all answers that tests get, so that each test of the API is one of its
document too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from tests.http.described import Operation, document, errors, operations

_ELSEWHERE = frozenset({405, 417})
"""What the document says of all operations at once."""

_CLOSED, _OPEN = "#/components/schemas/", "#/open/"
_REFERENCE = re.compile(f'"({_CLOSED}|{_OPEN})(\\w+)"')


def broken_promises(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> list[str]:
    """What of an answer the document does not say; `headers` in lower case. Nothing if all of it
    is declared, or the path is not the API's."""
    operation = _operation("GET" if method == "HEAD" else method, path.partition("?")[0])
    if operation is None or status in _ELSEWHERE:
        return []
    declared = operation.responses.get(str(status))
    if declared is None:
        return [f"{status} is not declared"]
    wrong = [
        f"there is no {name}"
        for name in declared.get("headers", {})
        if name in ("ETag", "Location", "Retry-After", "WWW-Authenticate")
        and name.lower() not in headers
    ]
    contents = declared.get("content", {})
    media_type = headers.get("content-type", "").partition(";")[0]
    if not contents:
        return [*wrong, *(["has a body"] if body else [])]
    if media_type not in contents:
        return [*wrong, f"{media_type} is not declared"]
    if media_type.endswith(("/json", "+json")) and method != "HEAD":
        checker = _checker(operation.name, str(status), media_type)
        wrong += errors(checker, json.loads(body))
    return wrong


@cache
def _operation(method: str, path: str) -> Operation | None:
    found = [
        it
        for it in operations()
        if it.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", it.path), path)
    ]
    return min(found, key=lambda it: it.path.count("{"), default=None)


@cache
def _checker(name: str, status: str, media_type: str) -> Draft202012Validator:
    operation = next(it for it in operations() if it.name == name)
    schema = operation.responses[status]["content"][media_type]["schema"]
    closed = _closed(schema)
    return Draft202012Validator({**closed, **_definitions(closed)}, validate_formats=True)


def _definitions(schema: Any) -> dict[str, Any]:
    """What the schema refers to, and no more: a checker of everything would be large."""
    components = document()["components"]["schemas"]
    found: dict[str, Any] = {"components": {"schemas": {}}, "open": {}}
    closed, opened = found["components"]["schemas"], found["open"]
    waiting = [schema]
    while waiting:
        for prefix, name in _REFERENCE.findall(json.dumps(waiting.pop())):
            into = closed if prefix == _CLOSED else opened
            if name not in into:
                into[name] = _closed(components[name]) if into is closed else components[name]
                waiting.append(into[name])
    return found


def _closed(value: Any) -> Any:
    """The schema with no more members than it names, unless it says that there may be others."""
    if isinstance(value, list):
        return [_closed(it) for it in value]
    if not isinstance(value, dict):
        return value
    if "allOf" in value:
        # Only the whole knows all members.
        opened = json.loads(json.dumps(value["allOf"]).replace(_CLOSED, _OPEN))
        return {**value, "allOf": opened, "unevaluatedProperties": False}
    found = {
        key: it if key in ("example", "examples") else _closed(it) for key, it in value.items()
    }
    is_object = isinstance(value.get("properties"), dict) and "object" in value.get("type", ())
    if is_object and "additionalProperties" not in value:
        found["additionalProperties"] = False
    return found
