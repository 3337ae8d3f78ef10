"""Where the fields of a body, as JSON values, refer to other objects.

The models say which fields do. Working on plain values, and not on validated bodies, lets a
document name objects by their keys where the API takes their ids.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nizam.model.destination import Destination
from nizam.model.resource import RefersTo

Path = tuple[str | int, ...]
_UNIONS = (Union, types.UnionType)


@attrs.frozen
class Slot:
    """One field that holds a reference: `holder[field]` names an object of type `type`."""

    holder: Any = attrs.field(eq=False)
    field: str | int
    type: str
    path: Path

    @property
    def value(self) -> Any:
        """What it holds now."""
        return self.holder[self.field]

    def put(self, value: str) -> None:
        """Let it hold another name of the object."""
        self.holder[self.field] = value


def slots(model: type[BaseModel], raw: Mapping[str, Any], path: Path = ()) -> Iterator[Slot]:
    """Every field of `raw`, JSON values meant for `model`, that holds a reference as text.

    What does not have the model's shape is passed over: it is for validation to say so.
    """
    if issubclass(model, Destination):
        yield from _of_destination(raw, path)
        return
    for name, annotation in _linking_fields(model):
        if name in raw:
            yield from _walk(annotation, raw, name, (*path, name))


def _of_destination(raw: Mapping[str, Any], path: Path) -> Iterator[Slot]:
    kind = raw.get("type")
    if isinstance(kind, str) and isinstance(raw.get("id"), str):
        yield Slot(raw, "id", Destination.model_construct(type=kind).resource, (*path, "id"))
    if isinstance(raw.get("prompt_id"), str):
        yield Slot(raw, "prompt_id", "prompt", (*path, "prompt_id"))
    if isinstance(raw.get("then"), dict):
        yield from _of_destination(raw["then"], (*path, "then"))


def _walk(annotation: Any, holder: Any, field: str | int, path: Path) -> Iterator[Slot]:
    value = holder[field]
    marker = _marker(annotation)
    if marker is not None:
        if isinstance(value, str):
            yield Slot(holder, field, marker.type, path)
        return
    if isinstance(value, dict):
        chosen = model_of(annotation, value)
        if chosen is not None:
            yield from slots(chosen, value, path)
            return
        for side in sides(annotation):
            if get_origin(side) is dict:
                inner = get_args(side)[1]
                for name in value:
                    yield from _walk(inner, value, name, (*path, name))
    elif isinstance(value, list):
        for side in sides(annotation):
            if get_origin(side) in (tuple, list):
                inner = get_args(side)[0]
                for index in range(len(value)):
                    yield from _walk(inner, value, index, (*path, index))
                return


def model_of(annotation: Any, value: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model that `value` is meant for, of those that the annotation allows."""
    return next((it for it in sides(annotation) if _is_model(it) and _fits(it, value)), None)


def sides(annotation: Any) -> tuple[Any, ...]:
    """What a value may be: the sides of a union, without what is only said about them."""
    while True:
        if hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        elif get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        else:
            break
    if get_origin(annotation) in _UNIONS:
        return tuple(found for it in get_args(annotation) for found in sides(it))
    return (annotation,)


def _marker(annotation: Any) -> RefersTo | None:
    if hasattr(annotation, "__value__"):
        annotation = annotation.__value__
    if get_origin(annotation) is Annotated:
        inner, *said = get_args(annotation)
        return next((it for it in said if isinstance(it, RefersTo)), None) or _marker(inner)
    if get_origin(annotation) in _UNIONS:
        found = (_marker(it) for it in get_args(annotation))
        return next((it for it in found if it is not None), None)
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fits(model: type[BaseModel], raw: Mapping[str, Any]) -> bool:
    """Whether `raw` can be meant for this side of a union: by its fields and its literal ones."""
    fields = {it.alias or name: it for name, it in model.model_fields.items()}
    return (
        raw.keys() <= fields.keys()
        and all(name in raw for name, it in fields.items() if it.is_required())
        and all(
            raw[name] in get_args(it.annotation)
            for name, it in fields.items()
            if name in raw and get_origin(it.annotation) is Literal
        )
    ) or _only_choice(model)


def _only_choice(model: type[BaseModel]) -> bool:
    return issubclass(model, Destination)


@cache
def _linking_fields(model: type[BaseModel]) -> tuple[tuple[str, Any], ...]:
    """The fields of `model` that can hold references, by their names in JSON."""
    return tuple(
        (it.alias or name, _whole(it))
        for name, it in model.model_fields.items()
        if _links(_whole(it), frozenset({model}))
    )


def _whole(field: FieldInfo) -> Any:
    """The annotation with what pydantic has taken out of it."""
    said = tuple(it for it in field.metadata if isinstance(it, RefersTo))
    return Annotated[(field.annotation, *said)] if said else field.annotation


def _links(annotation: Any, seen: frozenset[type]) -> bool:
    if _marker(annotation) is not None:
        return True
    for side in sides(annotation):
        if _is_model(side):
            if issubclass(side, Destination):
                return True
            if side not in seen and any(
                _links(_whole(it), seen | {side}) for it in side.model_fields.values()
            ):
                return True
        elif any(_links(it, seen) for it in get_args(side) if it is not Ellipsis):
            return True
    return False
