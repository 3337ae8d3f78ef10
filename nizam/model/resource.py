"""How a resource is declared.

From one declaration come its table, validation, REST routes, OpenAPI, permissions, audit,
change events, quota and its place in the snapshots that calls are routed from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args
from uuid import UUID

import attrs
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

    `generate` names how a value is made when the client gives none: it returns the text that is
    shown once. None means that the field is optional.
    """

    field: str
    generate: Literal["password", "webhook_secret", None] = None


@attrs.frozen
class Reference:
    """One field that points to another resource. `path` is a JSON Pointer into the body."""

    path: str
    type: str
    id: UUID


@attrs.frozen(kw_only=True)
class Resource:
    """One kind of thing that tenants or the platform own.

    `name` is the singular snake_case type of events and references; `path` the plural
    kebab-case segment of the URL. `dialable` resources have a `number` that is unique among all
    dialable numbers of the tenant, and can be destinations. `routed` ones are resident in the
    snapshots. `quota` names the tenant's quota field that limits their count. `special_routes`
    resources have hand-written create or status handling and are left out of the generated API.
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
    destination: bool = False
    routed: bool = True
    quota: str | None = None
    read_only: tuple[str, ...] = ()
    example: dict[str, Any] = attrs.field(factory=dict, eq=False)

    @property
    def table(self) -> str:
        """The name of the table and of the list in documents: plural snake_case."""
        return self.path.replace("-", "_")

    def references(self, body: Body) -> Iterator[Reference]:
        """Every reference that `body` holds, found by the types of its fields."""
        yield from _references(body, "")


def _references(value: object, path: str) -> Iterator[Reference]:
    if isinstance(value, Destination):
        if value.id is not None:
            yield Reference(f"{path}/id", value.resource, value.id)
        if value.then is not None:
            yield from _references(value.then, f"{path}/then")
    elif isinstance(value, Body) or hasattr(type(value), "model_fields"):
        for name, field in type(value).model_fields.items():  # type: ignore[attr-defined]
            item = getattr(value, name)
            marker = _marker(field)
            if marker is not None and isinstance(item, UUID):
                yield Reference(f"{path}/{name}", marker.type, item)
            else:
                yield from _references(item, f"{path}/{name}")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _references(item, f"{path}/{index}")


def _marker(field: FieldInfo) -> RefersTo | None:
    """The field's RefersTo, also where only one side of a union has it."""
    sides = [getattr(side, "__metadata__", ()) for side in get_args(field.annotation)]
    found = [it for part in (field.metadata, *sides) for it in part]
    return next((it for it in found if isinstance(it, RefersTo)), None)


@attrs.frozen
class RefersTo:
    """Marks a UUID field as the id of a resource: `Annotated[UUID, RefersTo("gateway")]`."""

    type: str
