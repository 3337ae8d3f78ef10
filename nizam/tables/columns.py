"""The columns of a resource's table: the fields that a client can write, by their dotted paths."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import attrs
from pydantic import BaseModel

from nizam.document.form import default_of
from nizam.document.links import sides
from nizam.model.destination import Destination
from nizam.model.registry import resource as resource_of
from nizam.model.resource import Resource

Kind = Literal["text", "choice", "boolean", "integer", "list", "destination", "json"]
_KINDS: dict[Any, Kind] = {str: "text", bool: "boolean", int: "integer"}


@attrs.frozen(kw_only=True)
class Column:
    """One column. `default` is what the field has, as a JSON value, when nobody gives it one."""

    path: tuple[str, ...]
    kind: Kind
    default: Any = None
    required: bool = False
    nullable: bool = False
    secret: bool = False

    @property
    def name(self) -> str:
        """What stands in the header: `voicemail.email`."""
        return ".".join(self.path)

    @property
    def clearable(self) -> bool:
        """Whether `null` in a cell means the default; in a text that cannot be null it is text."""
        return not self.required and (self.nullable or self.kind != "text")


def columns_of(resource: Resource) -> tuple[Column, ...]:
    """The columns in the order of the fields; secrets are among them."""
    return _columns_of(resource.name)


@cache
def _columns_of(name: str) -> tuple[Column, ...]:
    it = resource_of(name)
    found = [each for each in _columns(it.body, ()) if each.path[0] not in it.read_only]
    for secret in it.secrets:
        found = [
            attrs.evolve(each, secret=True, nullable=secret.generate is None)
            if each.name == secret.field
            else each
            for each in found
        ]
    # What every body has comes first in the models, and what people look for comes first here.
    return tuple(sorted(found, key=lambda each: each.name == "enabled"))


def _columns(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Column]:
    for field, it in model.model_fields.items():
        name = it.alias or field
        possible = sides(it.annotation)
        given = [side for side in possible if side is not NoneType]
        side = given[0] if len(given) == 1 else None
        if isinstance(side, type) and issubclass(side, BaseModel) and side is not Destination:
            yield from _columns(side, (*path, name))
            continue
        yield Column(
            path=(*path, name),
            kind=_kind(side),
            default=default_of(model, name),
            required=it.is_required(),
            nullable=NoneType in possible,
        )


def _kind(side: Any) -> Kind:
    if side is Destination:
        return "destination"
    if get_origin(side) is Literal:
        return "choice"
    # What cannot be said by texts alone is written as JSON.
    if get_origin(side) in (tuple, list) and str in sides(get_args(side)[0]):
        return "list"
    return _KINDS.get(side, "json")
