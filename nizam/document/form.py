"""The form of objects in documents: by names, without what NIZAM writes itself, without defaults.

A secret is shown as the mark `{"secret": true}`: there is one, which the document does not say.
Reading it back, the mark stands for the secret that the object has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from nizam.document.keys import natural_key
from nizam.document.links import model_of, sides, slots
from nizam.model.registry import resource as resource_of
from nizam.model.resource import Resource, with_fields

FORMAT = 1
"""The version of the form; a document of another one is refused."""

MARK: Mapping[str, Any] = {"secret": True}

Names = Callable[[str, str], str | None]
"""(type, id) -> what the object is called; None for one that is not known."""

_TENANT_IDENTITY = frozenset({"name", "slug", "domain", "enabled"})


@cache
def tenant_fields() -> tuple[str, ...]:
    """The fields of the tenant itself that a document holds: not who it is nor in what state."""
    tenant = resource_of("tenant")
    return tuple(
        it.alias or name
        for name, it in tenant.body.model_fields.items()
        if name not in _TENANT_IDENTITY and name not in tenant.read_only
    )


def form(
    resource: Resource,
    body: Mapping[str, Any],
    names: Names,
    secrets: Iterable[str] = (),
    revealed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An object with this body as documents have it. `secrets` are the fields of its stored ones;
    `revealed` gives some of them in clear."""
    own = {name: value for name, value in body.items() if name not in resource.kept}
    if any(True for _ in slots(resource.body, own)):
        own = orjson.loads(orjson.dumps(own))
        for slot in slots(resource.body, own):
            slot.put(names(slot.type, slot.value) or slot.value)
    shown = _trimmed(resource.body, own)
    shown = with_fields(
        shown, {field: (revealed or {}).get(field, dict(MARK)) for field in secrets}
    )
    first = [name for name in natural_key(resource) if name in shown]
    return {name: shown[name] for name in first} | shown


def tenant_form(body: Mapping[str, Any]) -> dict[str, Any]:
    """The tenant's own settings as documents have them."""
    own = {name: body[name] for name in tenant_fields() if name in body}
    return _trimmed(resource_of("tenant").body, own)


def pick(fields: Mapping[str, Any], path: str) -> Any:
    """The value of the field that `path` names, with a dot between the steps; None without it."""
    value: Any = fields
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def default_of(model: type[BaseModel], name: str) -> Any:
    """The default of the field as JSON values; None for one without."""
    return _defaults(model).get(name)


@cache
def _defaults(model: type[BaseModel]) -> Mapping[str, Any]:
    return {
        it.alias or name: to_jsonable_python(
            it.get_default(call_default_factory=True, validated_data={}), by_alias=True
        )
        for name, it in model.model_fields.items()
        if not it.is_required()
    }


@cache
def _fields(model: type[BaseModel]) -> tuple[tuple[str, Any, bool], ...]:
    """(name in JSON, annotation, whether a default may be left out) of each field."""
    return tuple(
        (it.alias or name, it.annotation, not (_is_tag(it.annotation) or it.is_required()))
        for name, it in model.model_fields.items()
    )


def _is_tag(annotation: Any) -> bool:
    """Whether the field says which side of a union the object is."""
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _trimmed(model: type[BaseModel], raw: Mapping[str, Any]) -> dict[str, Any]:
    """`raw` in the order of the model's fields, without what equals the defaults."""
    defaults = _defaults(model)
    found: dict[str, Any] = {}
    for name, annotation, optional in _fields(model):
        if name not in raw or (optional and raw[name] == defaults[name]):
            continue
        shown = _trim(annotation, raw[name])
        # What is stored apart, such as a secret, is in the default and not in `raw`.
        if not (optional and shown == {} == _trim(annotation, defaults[name])):
            found[name] = shown
    return found


def _trim(annotation: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        model = model_of(annotation, value)
        return dict(value) if model is None else _trimmed(model, value)
    if isinstance(value, list):
        inner = [get_args(it)[0] for it in sides(annotation) if get_origin(it) in (tuple, list)]
        return [_trim(inner[0], it) for it in value] if inner else value
    return value
