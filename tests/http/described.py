"""The OpenAPI document, with what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import attrs
from jsonschema_rs import Draft202012Validator

from nizam.cli.openapi import described
from nizam.http.openapi.examples import sample

Schema = Mapping[str, Any]


@attrs.frozen
class Operation:
    """One operation of the document."""

    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.described["operationId"])

    @property
    def request_media(self) -> Mapping[str, Any]:
        """What the body is, by media type."""
        found: Mapping[str, Any] = self.described.get("requestBody", {}).get("content", {})
        return found

    @property
    def responses(self) -> dict[str, Mapping[str, Any]]:
        """The answers by status."""
        return {status: followed(it) for status, it in self.described["responses"].items()}


@cache
def document() -> dict[str, Any]:
    """The document, made once for all tests."""
    return described("http://127.0.0.1")


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(
        Operation(method.upper(), path, it)
        for path, methods in document()["paths"].items()
        for method, it in methods.items()
    )


def followed(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to; itself if it is none."""
    while "$ref" in found:
        target: Any = document()
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found = target
    return found


def sample_of(name: str) -> dict[str, Any]:
    """A whole object of the schema of this name."""
    found: dict[str, Any] = sample({"$ref": f"#/components/schemas/{name}"}, _schemas())
    return found


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = document()["components"]["schemas"]
    return found


def wrong(schema: Schema, value: Any) -> list[str]:
    """What of the value the schema does not take; references are into the document."""
    return errors(_checker(json.dumps(schema)), value)


def wrong_places(schema: Schema, value: Any) -> set[str]:
    """The JSON Pointers of what the schema does not take."""
    return {it.partition(": ")[0] for it in wrong(schema, value)}


@lru_cache(maxsize=4)
def _checker(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return Draft202012Validator(whole, validate_formats=True)


def errors(checker: Draft202012Validator, value: Any) -> list[str]:
    """What the checker says of the value."""
    return [
        f"/{'/'.join(map(str, it.instance_path))}: {it.message}"
        for it in checker.iter_errors(value)
    ]


def parts(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """The schema and all that stand in it, each with its place; references are not followed."""
    yield path, schema
    for name, it in schema.get("properties", {}).items():
        yield from parts(it, f"{path}/{name}")
    for key in ("oneOf", "anyOf", "allOf"):
        for number, it in enumerate(schema.get(key, ())):
            yield from parts(it, f"{path}/{key}/{number}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from parts(schema[key], f"{path}/{key}")
