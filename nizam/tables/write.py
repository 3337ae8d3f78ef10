"""Writing CSV (RFC 4180): UTF-8, commas, CR LF."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from nizam.document.form import pick
from nizam.document.links import slots
from nizam.model.resource import Resource
from nizam.tables.cells import cell_of, written
from nizam.tables.columns import columns_of

Document = Mapping[str, Any]
Names = Callable[[str, str], str | None]
"""(type, id) -> what the object is called; None for one that no name alone tells."""


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows of cells as lines of a file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def object_header(resource: Resource) -> list[str]:
    """The names of the columns that objects are written in: all but the secret ones."""
    return [it.name for it in columns_of(resource) if not it.secret]


def object_row(resource: Resource, document: Document, names: Names) -> list[str]:
    """An object, as the API shows it, in the cells from which it can be read again."""
    own = {name: document[name] for name in resource.body.model_fields if name in document}
    if any(True for _ in slots(resource.body, own)):
        own = orjson.loads(orjson.dumps(own))
        for slot in slots(resource.body, own):
            slot.put(names(slot.type, slot.value) or slot.value)
    columns = (it for it in columns_of(resource) if not it.secret)
    return [written(it, pick(own, it.name)) for it in columns]


def references_of(resource: Resource, document: Document) -> Iterator[tuple[str, str]]:
    """(type, id) of everything that an object refers to."""
    own = {name: document[name] for name in resource.body.model_fields if name in document}
    return ((slot.type, slot.value) for slot in slots(resource.body, own))


def plain_header(schema: Mapping[str, Any]) -> list[str]:
    """The names of the columns for documents of this JSON Schema, one for each field that is no
    object with fields of its own."""
    return [".".join(it) for it in _paths(schema, ())]


def plain_row(header: Sequence[str], document: Document) -> list[str]:
    """A document in the cells of a header."""
    return [cell_of(pick(document, it)) for it in header]


def _paths(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, it in schema["properties"].items():
        if "properties" in it:
            yield from _paths(it, (*path, name))
        else:
            yield (*path, name)
