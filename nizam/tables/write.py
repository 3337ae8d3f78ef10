"""Writing CSV (RFC 4180): UTF-8, commas, CR LF."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nizam.document.form import pick
from nizam.document.links import Slot, slots
from nizam.model.resource import Resource
from nizam.tables.cells import cell_of, written
from nizam.tables.columns import columns_of

Document = Mapping[str, Any]


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows of cells as lines of a file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def object_header(resource: Resource) -> list[str]:
    """The names of the columns that objects are written in: all but the secret ones."""
    return [it.name for it in columns_of(resource) if not it.secret]


def references_of(resource: Resource, document: Document) -> list[Slot]:
    """Where an object, as the API shows it, refers to others; names can be put there."""
    return list(slots(resource.body, document))


def object_row(resource: Resource, document: Document) -> list[str]:
    """An object, with names where it refers to others, in the cells from which it can be read
    again."""
    columns = (it for it in columns_of(resource) if not it.secret)
    return [written(it, pick(document, it.name)) for it in columns]


Paths = Sequence[tuple[str, ...]]
"""Where in a document the value of each column is: the names of the fields on the way."""


def plain_paths(schema: Mapping[str, Any]) -> Paths:
    """The columns for documents of this JSON Schema, one for each field that is no object with
    fields of its own."""
    return tuple(_paths(schema, ()))


def plain_header(paths: Paths) -> list[str]:
    """The names of the columns."""
    return [".".join(it) for it in paths]


def plain_row(paths: Paths, document: Document) -> list[str]:
    """A document in the cells of these columns. Objects in it may be missing or null."""
    cells = []
    for path in paths:
        value: Any = document.get(path[0])
        for name in path[1:]:
            value = value.get(name) if value else None
        cells.append(cell_of(value))
    return cells


def _paths(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, it in schema["properties"].items():
        if "properties" in it:
            yield from _paths(it, (*path, name))
        else:
            yield (*path, name)
