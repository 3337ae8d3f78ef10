"""The schemas of pydantic models, with what their sources say of each field."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType

from pydantic import BaseModel

from nizam.http.openapi.destinations import with_destinations
from nizam.http.openapi.walk import REF, Schema, Schemas, changed, hoisted, name_of, ref
from nizam.model.base import Value


def model_schema(model: type[BaseModel]) -> Schema:
    """The schema of a request that is no resource's; its title is its name in the document."""
    schema, inner = definitions(model)
    return {**schema, "title": model.__name__, "$defs": inner}


@cache
def definitions(model: type[BaseModel]) -> tuple[Schema, Schemas]:
    """The schema of a model, and those that it refers to by name, ready for the document; both are
    shared by all who ask, and stay as they are.

    Fields have no titles, which would only repeat their names, and the descriptions that stand
    below them in the source; unions whose members say what they are have a discriminator.
    """
    schema = model.model_json_schema(ref_template=REF, mode="validation")
    found: Schemas = {}
    for name, it in {**schema.get("$defs", {}), "": schema}.items():
        plain = {key: value for key, value in it.items() if key not in ("$defs", "title")}
        model_name = str(it.get("title", name))
        found[name] = _described(hoisted(changed(plain, _without_title), found), model_name)
    found = with_destinations(found)
    for name, it in list(found.items()):
        found[name] = changed(it, lambda part: _discriminated(part, found))
    return found.pop(""), found


def _without_title(schema: Schema) -> Schema:
    if "oneOf" in schema and " " not in schema.get("title", " "):
        return schema
    return {key: value for key, value in schema.items() if key != "title"}


def _described(schema: Schema, model: str) -> Schema:
    texts = _models().get(model, {})
    if "properties" not in schema or not texts:
        return schema
    properties = {
        name: {"description": texts[name], **it} if name in texts else it
        for name, it in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _discriminated(schema: Schema, schemas: Schemas) -> Schema:
    """The union with a discriminator for those of its members that have a `type`."""
    if "oneOf" not in schema or "discriminator" in schema:
        return schema
    kinds = {name: _kind(schemas[name]) for name in map(name_of, schema["oneOf"]) if name}
    mapping = {kind: ref(name)["$ref"] for name, kind in kinds.items() if kind is not None}
    if not mapping:
        return schema
    discriminator = {"propertyName": "type", "mapping": mapping}
    if len(mapping) == len(schema["oneOf"]):
        return {**schema, "discriminator": discriminator}
    leaves = [ref(name) for name, kind in kinds.items() if kind is not None]
    others = [it for it in schema["oneOf"] if it not in leaves]
    return {**schema, "oneOf": [*others, {"oneOf": leaves, "discriminator": discriminator}]}


def _kind(schema: Schema) -> str | None:
    kind = schema.get("properties", {}).get("type", {}).get("const")
    return None if kind is None else str(kind)


# -- what the sources say --------------------------------------------------------------------------


@cache
def _models() -> Mapping[str, Mapping[str, str]]:
    """The texts below the fields of every model, by the model's name and the field's in JSON."""
    return {it.__name__: _field_texts(it) for it in _subclasses(Value)}


def _subclasses(model: type[BaseModel]) -> Iterable[type[BaseModel]]:
    for it in model.__subclasses__():
        yield it
        yield from _subclasses(it)


def _field_texts(model: type[BaseModel]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base.__module__ in sys.modules:
            texts |= _texts_of_module(sys.modules[base.__module__]).get(base.__name__, {})
    fields = model.model_fields
    return {fields[name].alias or name: it for name, it in texts.items() if name in fields}


@cache
def _texts_of_module(module: ModuleType) -> Mapping[str, Mapping[str, str]]:
    """The strings below the fields of each class of a module; none where there is no source."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):
        return {}
    return {
        it.name: dict(_texts_of_class(it))
        for it in ast.parse(source).body
        if isinstance(it, ast.ClassDef)
    }


def _texts_of_class(found: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for field, text in zip(found.body, found.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield field.target.id, inspect.cleandoc(str(text.value.value)).replace("\n", " ")
