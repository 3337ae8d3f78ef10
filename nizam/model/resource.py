"""How a resource is declared.

From one declaration come its table, validation, REST routes, OpenAPI, permissions, audit,
change events, quota and its place in the snapshots that calls are routed from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, get_args
from uuid import UUID

import attrs
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nizam.model.base import Body
from nizam.model.destination import Destination

ColumnType = Literal["text", "integer", "boolean", "uuid"]
Scope = Literal["tenant", "platform"]


@attrs.frozen
class Column:
    """A field of the body that the database must see: to be unique, filtered or sorted.

    The table's column is generated from the body, so that the fact stands in one place.
    """

    name: str
    type: ColumnType = "text"


@attrs.frozen
class Unique:
    """Columns that no two rows may share: within a tenant, or anywhere if `everywhere`.

    Of one boolean column that is `only_true` any number of rows may be false.
    """

    columns: tuple[str, ...]
    everywhere: bool = False
    only_true: bool = False


@attrs.frozen
class Secret:
    """A field that is stored encrypted, apart from the body, and never listed.

    `field` is a field of the body, or of an object in it: `voicemail.pin`. `generate` names how a
    value is made when the client gives none: it returns the text that is shown once. None means
    that the field is optional. Of a `one_way` secret only a hash reaches the store, so that it can
    be compared and never revealed.
    """

    field: str
    generate: Literal["password", "webhook_secret", None] = None
    one_way: bool = False

    def of(self, body: Body) -> str | None:
        """The secret that `body` holds, if it holds one."""
        value: Any = body
        for name in self.field.split("."):
            value = getattr(value, name, None)
        return None if value is None else str(value)

    def is_cleared_by(self, given: Mapping[str, Any]) -> bool:
        """Whether the JSON body `given` sets the field, or the object that it is in, to null."""
        value: Any = given
        for name in self.field.split("."):
            if not isinstance(value, Mapping) or name not in value:
                return False
            value = value[name]
            if value is None:
                return True
        return False


def with_fields(document: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with values put where `fields` names them, as secrets are named."""
    result = dict(document)
    for field, value in fields.items():
        *outer, last = field.split(".")
        place = result
        for name in outer:
            inside = place.get(name)
            place[name] = dict(inside) if isinstance(inside, Mapping) else {}
            place = place[name]
        place[last] = value
    return result


@attrs.frozen
class Reference:
    """One field that points to another resource. `path` is a JSON Pointer into the body.

    `by_itself` says that a call goes on to it without anybody answering or pressing a digit.
    """

    path: str
    type: str
    id: UUID
    by_itself: bool = False


Fields = Mapping[str, Any]
"""A body, as a mapping of its fields to their values."""


@attrs.frozen(kw_only=True)
class Resource:
    """One kind of thing that tenants or the platform own.

    `name` is the singular snake_case type of events and references; `path` the plural
    kebab-case segment of the URL. `dialable` resources have a `number` that is unique among all
    dialable numbers of the tenant; `more_numbers` gives further ones with the JSON Pointers of the
    fields that say so. A `destination` can be sent calls, under its name or as
    `destination_as`. `passes` says of a body which of its references, by their paths, a call
    follows without anybody answering or pressing a digit. `routed` ones are resident in the
    snapshots, but for their fields that are `unrouted`. `quota` names the tenant's quota field
    that limits their count. `natural_key` are the fields that name its objects in tenant
    documents, where they do not follow from `unique`, the number or the name. `read_only` fields
    are written by NIZAM alone, and by documents those of `in_documents`; `derive` gives those that
    follow from the rest of the body. A new tenant is given the objects of `defaults`.
    """

    name: str
    path: str
    body: type[Body]
    scope: Scope = "tenant"
    columns: tuple[Column, ...] = ()
    unique: tuple[Unique, ...] = ()
    secrets: tuple[Secret, ...] = ()
    search: tuple[str, ...] = ()
    dialable: bool = False
    more_numbers: Callable[[Fields], Iterable[tuple[str, str]]] | None = None
    destination: bool = False
    destination_as: str | None = None
    passes: Callable[[Any, str], bool] | None = None
    routed: bool = True
    unrouted: tuple[str, ...] = ()
    quota: str | None = None
    natural_key: tuple[str, ...] = ()
    in_documents: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    derive: Callable[[Fields], Fields] | None = None
    defaults: tuple[Body, ...] = ()
    example: dict[str, Any] = attrs.field(factory=dict, eq=False)

    @property
    def table(self) -> str:
        """The name of the table and of the list in documents: plural snake_case."""
        return self.path.replace("-", "_")

    @property
    def kept(self) -> frozenset[str]:
        """The fields that documents do not hold: an object keeps those that it has."""
        return frozenset(self.read_only) - frozenset(self.in_documents)

    @property
    def destination_type(self) -> str | None:
        """The type of the destinations that are of this resource; None if there are none."""
        return (self.destination_as or self.name) if self.destination else None

    @property
    def is_dialled(self) -> bool:
        """Whether its objects can have internal numbers."""
        return self.dialable or self.more_numbers is not None

    def public(self, body: Body) -> dict[str, Any]:
        """The body as JSON values without its secrets."""
        hidden: dict[str, Any] = {}
        for secret in self.secrets:
            outer, _, inner = secret.field.partition(".")
            hidden[outer] = {inner: True} if inner else True
        return body.model_dump(mode="json", by_alias=True, exclude=hidden)

    def derived(self, values: dict[str, Any]) -> dict[str, Any]:
        """`values`, a body as JSON values, with the fields that follow from the others."""
        return values if self.derive is None else {**values, **self.derive(values)}

    def numbers(self, fields: Fields) -> dict[str, str]:
        """The internal numbers that an object with these fields has, each with the JSON Pointer
        of the field that says so."""
        number = fields.get("number") if self.dialable else None
        found = {} if number is None else {str(number): "/number"}
        if self.more_numbers is not None:
            found |= {more: path for path, more in self.more_numbers(fields)}
        return found

    def references(self, body: Body) -> Iterator[Reference]:
        """Every reference that `body` holds, found by the types of its fields."""
        for it in _references(body, ""):
            passes = it.by_itself and self.passes is not None and self.passes(body, it.path)
            yield it if passes == it.by_itself else attrs.evolve(it, by_itself=passes)


def _references(value: object, path: str) -> Iterator[Reference]:
    if isinstance(value, Destination):
        if value.id is not None:
            # A mailbox takes a message: the call goes no further.
            by_itself = value.type != "voicemail"
            yield Reference(f"{path}/id", value.resource, value.id, by_itself)
        if value.prompt_id is not None:
            yield Reference(f"{path}/prompt_id", "prompt", value.prompt_id)
        if value.then is not None:
            yield from _references(value.then, f"{path}/then")
    elif isinstance(value, BaseModel):
        for name, shown, marker in _fields(type(value)):
            item = getattr(value, name)
            if marker is not None and isinstance(item, UUID):
                yield Reference(f"{path}/{shown}", marker.type, item)
            elif isinstance(item, BaseModel | tuple | list):
                yield from _references(item, f"{path}/{shown}")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _references(item, f"{path}/{index}")


@cache
def _fields(kind: type[BaseModel]) -> tuple[tuple[str, str, RefersTo | None], ...]:
    """The fields of a model: attribute, name in JSON, what it refers to."""
    return tuple((name, it.alias or name, _marker(it)) for name, it in kind.model_fields.items())


def _marker(field: FieldInfo) -> RefersTo | None:
    """The field's RefersTo, also where only one side of a union has it."""
    sides = [getattr(side, "__metadata__", ()) for side in get_args(field.annotation)]
    found = [it for part in (field.metadata, *sides) for it in part]
    return next((it for it in found if isinstance(it, RefersTo)), None)


@attrs.frozen
class RefersTo:
    """Marks a UUID field as the id of a resource: `Annotated[UUID, RefersTo("gateway")]`."""

    type: str
