"""What commands are given: documents in files, and single fields on the command line."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

Schema = Mapping[str, Any]
_OF_KIND: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "array": list,
    "object": dict,
}


def read_text(name: str) -> str:
    """The text of a file, of standard input for `-`; BadParameter if it cannot be read."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{name}: {error}") from None


def read_document(name: str) -> dict[str, Any]:
    """The mapping in a file of YAML or JSON, `-` for standard input.

    Of YAML's values only those of JSON are taken: `no`, 2026-01-31, 007 and +4930123 are texts.
    Raises BadParameter.
    """
    found = parse_yaml(read_text(name), name)
    if not isinstance(found, dict):
        raise click.BadParameter(f"{name} holds no mapping")
    return found


def parse_yaml(text: str, name: str) -> Any:
    """The value that `text`, YAML or JSON, holds; BadParameter that names the place of an error."""
    import yaml

    with contextlib.suppress(ValueError):
        return json.loads(text)
    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a SafeLoader, with fewer types
    except yaml.YAMLError as error:
        raise click.BadParameter(f"{name}: {error}") from None


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at a dotted path, making what is on the way."""
    *steps, last = path.split(".")
    for step in steps:
        inner = document.setdefault(step, {})
        if not isinstance(inner, dict):
            raise click.BadParameter(f"{step} in {path} has no fields")
        document = inner
    document[last] = value


def value_of(text: str, schema: Schema) -> Any:
    """A value from the command line, by the JSON Schema of its field."""
    kinds = {kind for it in alternatives(schema) for kind in _kinds(it)}
    if text == "null" and "null" in kinds:
        return None
    if "string" in kinds and not kinds & {"object", "array"}:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if not kinds or any(_is(value, kind) for kind in kinds):
        return value
    wanted = " or ".join(sorted(kinds - {"null"}))
    raise click.BadParameter(f"{text!r} is no {wanted}; write it as JSON")


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool) or value is None:
        return kind == ("null" if value is None else "boolean")
    return isinstance(value, _OF_KIND.get(kind, ()))


def as_declared(value: Any, schema: Schema, definitions: Schema) -> Any:
    """`value` with the whole numbers as texts where the JSON Schema takes no number.

    People write `number: 1001` in YAML, and mean the text.
    """
    known = [_resolved(it, definitions) for it in alternatives(schema)]
    if isinstance(value, dict):
        fields = max(
            (it.get("properties", {}) for it in known), key=lambda it: len(it.keys() & value.keys())
        )
        return {
            name: as_declared(inner, fields.get(name, {}), definitions)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        items: Schema = next((it["items"] for it in known if "items" in it), {})
        return [as_declared(inner, items, definitions) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        kinds = {kind for it in alternatives(schema) for kind in _kinds(it)}
        if "string" in kinds and not kinds & {"integer", "number"}:
            return str(value)
    return value


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = definitions[schema["$ref"].rpartition("/")[2]]
    return found


def alternatives(schema: Schema) -> list[Schema]:
    """What a field may be; a side that is a union itself is there with its own sides."""
    sides = schema.get("anyOf") or schema.get("oneOf")
    return [schema] if not sides else [inner for it in sides for inner in alternatives(it)]


def _kinds(schema: Schema) -> list[str]:
    if "$ref" in schema:
        return ["object"]
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _loader() -> Any:
    """YAML with JSON's types alone, and with each key once.

    What it takes for more than text is a part of what YAML 1.1 does, so that texts that our own
    output quotes come back as texts.
    """
    import yaml

    # The one in C, where PyYAML was built with it, is ten times as fast.
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                name = key.value
                if key.tag != "tag:yaml.org,2002:str" or name in seen:
                    problem = f"{name} stands twice" if name in seen else f"{name} is no text"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(name)
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {}
    for tag, pattern, starts in (
        ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("int", "-?(0|[1-9][0-9]*)", "-0123456789"),
        ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+][0-9]+)?", "-0123456789"),
    ):
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(starts)
        )
    return Loader
