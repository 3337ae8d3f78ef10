"""Reading CSV files (RFC 4180) as spreadsheets and programs write them.

UTF-8 with or without a byte order mark; lines that end in CR LF, LF or CR; cells between commas,
semicolons or tabs, whichever the header has. The csv module takes the file apart.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from nizam.document.keys import natural_key
from nizam.errors import FieldError, MalformedTable, PayloadTooLarge, ValidationFailed
from nizam.model.resource import Resource
from nizam.slices import Sliced
from nizam.tables.cells import is_empty, read
from nizam.tables.columns import Column, columns_of
from nizam.tables.faults import Places, cell_error

MAX_BYTES = 8 * 1024 * 1024
MAX_ROWS = 10_000
MAX_COLUMNS = 100
MAX_CELL = 4000
"""Characters."""
MOST_FAULTS = 1000
"""After so many nothing more is read."""

_SEPARATORS = ",;\t"
_EVERY = 50


@attrs.frozen(kw_only=True)
class Table:
    """What a file says: `objects` in the form that documents have them, where they stood, and
    what is wrong with rows that are no objects."""

    objects: Sequence[Mapping[str, Any]]
    places: Places
    faults: Sequence[FieldError]


def read_table(raw: bytes, resource: Resource) -> Sliced[Table]:
    """The table in `raw`. A cell that says nothing says nothing of its field, either.

    Raises MalformedTable for what is no such file, PayloadTooLarge for too many rows or columns,
    and ValidationFailed for a header without the key of the objects, or if too much is wrong.
    """
    text = _text(raw)
    records = _records(text)
    header = [it.strip().lower() for it in next(records, [])]
    known = {it.name: it for it in columns_of(resource)}
    faults = _header_faults(header, known, natural_key(resource))
    columns = [known.get(name) for name in header]
    (key,) = natural_key(resource)
    objects: list[dict[str, Any]] = []
    rows: list[int] = []
    first: dict[Any, int] = {}
    for row, record in enumerate(records, start=2):
        if row % _EVERY == 0:
            yield
        if not all(map(is_empty, record)):
            wrong = list(_record_faults(row, record, header))
            found = {} if wrong else _object(columns, record)
            if found.get(key) in first:
                message = f"{found[key]} stands in row {first[found[key]]}, too"
                wrong.append(cell_error(row, key, "duplicate", message))
            if wrong:
                faults += wrong
            else:
                first.setdefault(found.get(key, row), row)
                objects.append(found)
                rows.append(row)
        if len(faults) > MOST_FAULTS:
            raise ValidationFailed(
                f"more than {MOST_FAULTS} things are wrong; row {row} was the last that was read",
                errors=faults[:MOST_FAULTS],
                error_count=len(faults),
            )
        if len(rows) > MAX_ROWS:
            raise PayloadTooLarge(f"a table has at most {MAX_ROWS} rows; divide it")
    return Table(
        objects=objects, places=Places(resource.table, rows, list(known)), faults=tuple(faults)
    )


def _text(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise MalformedTable("the file is UTF-16; save it as CSV UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise MalformedTable(
            f"line {line} is not UTF-8, it has the byte 0x{raw[error.start]:02X}; save the file "
            "as CSV UTF-8"
        ) from None
    if not text.strip():
        raise MalformedTable("the file is empty; its first row names the fields")
    return text


def _records(text: str) -> Iterator[list[str]]:
    """The rows, each a list of cells."""
    start = text[:MAX_CELL].splitlines()[0]
    separator = max(_SEPARATORS, key=start.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise MalformedTable(f"line {reader.line_num}: {error}") from None


def _header_faults(
    header: Sequence[str], known: Mapping[str, Column], key: Sequence[str]
) -> list[FieldError]:
    if len(header) > MAX_COLUMNS:
        raise PayloadTooLarge(f"a table has at most {MAX_COLUMNS} columns")
    faults: list[FieldError] = []
    for place, name in enumerate(header):
        shown = name[:80] or f"column {place + 1}"
        if name not in known:
            message = f"there is no such field; there are {', '.join(known)}"
            faults.append(cell_error(1, shown, "unknown_field", message))
        elif name in header[:place]:
            faults.append(cell_error(1, shown, "duplicate", "the header has it twice"))
    missing = [cell_error(1, it, "missing", "a column is needed") for it in key if it not in header]
    if missing:
        raise ValidationFailed(
            f"the header lacks the column {missing[0].column}", errors=[*faults, *missing]
        )
    return faults


def _record_faults(row: int, record: Sequence[str], header: Sequence[str]) -> Iterator[FieldError]:
    if len(record) != len(header):
        message = f"has {len(record)} cells where the header has {len(header)}"
        yield cell_error(row, None, "cell_count", message)
        return
    for name, cell in zip(header, record, strict=True):
        if len(cell) > MAX_CELL:
            message = f"has more than {MAX_CELL} characters"
            yield cell_error(row, name, "string_too_long", message)
        elif "\x00" in cell:
            yield cell_error(row, name, "nul", "holds a NUL")


def _object(columns: Sequence[Column | None], record: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, cell in zip(columns, record, strict=True):
        if column is None or is_empty(cell):
            continue
        place = found
        for step in column.path[:-1]:
            place = place.setdefault(step, {})
        place[column.path[-1]] = read(column, cell)
    return found
