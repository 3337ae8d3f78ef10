"""JSON bodies, read strictly: what one peer might read differently from another is refused."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from nizam.document.read import distinct
from nizam.errors import FieldError, MalformedJson
from nizam.http.problems import from_validation, wrong_fields
from nizam.model.pointer import pointer

MAX_DEPTH = 32
B = TypeVar("B", bound=BaseModel)


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw` (RFC 8259, UTF-8).

    Raises MalformedJson for anything that is not JSON, for duplicate keys, NaN, lone surrogates
    and nesting deeper than 32; ValidationFailed for strings with a NUL, which no column can hold.
    """
    if not raw.strip():
        raise MalformedJson("the body is empty; a JSON object is expected")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(str(error)) from None
    if not isinstance(value, dict):
        raise MalformedJson("the body is not a JSON object")
    _check_strings(value)
    try:
        # A number too long for an int is a float here; orjson has read it already.
        json.loads(raw, object_pairs_hook=distinct, parse_int=float)
    except RecursionError:
        raise MalformedJson("nested too deeply") from None
    return value


def validate(model: type[B], value: dict[str, Any]) -> B:
    """`value` as `model`, types taken as they are: no number in a string, no string for a bool.

    Raises ValidationFailed or UnknownField that name every wrong field.
    """
    try:
        return model.model_validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        raise from_validation(error) from None


def _check_strings(value: Any) -> None:
    errors: list[FieldError] = []
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if len(path) > MAX_DEPTH:
            raise MalformedJson(f"nested deeper than {MAX_DEPTH}")
        if isinstance(item, dict):
            for name, inner in item.items():
                if "\x00" in name:
                    errors.append(FieldError(pointer(path), "nul", "a key holds a NUL"))
                waiting.append(((*path, name), inner))
        elif isinstance(item, list):
            waiting.extend(((*path, index), inner) for index, inner in enumerate(item))
        elif isinstance(item, str) and "\x00" in item:
            errors.append(FieldError(pointer(path), "nul", "holds a NUL"))
    if errors:
        raise wrong_fields(errors)


def merge_patch(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`target` changed by `patch` as JSON Merge Patch says (RFC 7396): null removes a member."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            present = merged.get(name)
            merged[name] = merge_patch(present if isinstance(present, dict) else {}, value)
        else:
            merged[name] = value
    return merged
