"""Files that an export was cut off from: up to where they are whole, and after which row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import attrs


@attrs.frozen
class Unfinished:
    """`size` is that of the whole rows in bytes, 0 when there is none; `after` the place after
    the last one, as exports take it."""

    size: int
    after: str | None


def unfinished(file: BinaryIO, form: str, sort: str, identifier: str) -> Unfinished:
    """How far a file came whose rows are sorted by `sort` and told apart by `identifier`.

    Raises ValueError when these two do not stand in its rows.
    """
    rows = _csv_rows(file) if form == "csv" else _json_rows(file)
    size, last = 0, None
    for size, row in rows:  # noqa: B007 - the last ones are used
        last = row
    if last is None:
        return Unfinished(0, None)
    field = sort.removeprefix("-")
    if field not in last or identifier not in last:
        raise ValueError(f"its rows have no {field} and {identifier} to go on after")
    value = last[field]
    return Unfinished(size, f"{'' if value is None else value},{last[identifier]}")


def _json_rows(file: BinaryIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The last row, with the size of the file up to it."""
    size, last = 0, b""
    for line in file:
        if line.endswith(b"\n"):
            size, last = size + len(line), line
    if last:
        yield size, json.loads(last)


def _csv_rows(file: BinaryIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every whole row, with the size of the file up to it. A cell can hold line ends."""
    size = 0
    whole = True

    def lines() -> Iterator[str]:
        nonlocal size, whole
        for line in file:
            size += len(line)
            whole = line.endswith(b"\n")
            yield line.decode()

    reader = csv.DictReader(lines(), strict=True)
    try:
        for row in reader:
            if whole:
                yield size, {name: _bare(cell) for name, cell in row.items()}
    except csv.Error:
        return  # cut off inside of a cell


def _bare(cell: Any) -> Any:
    """The text of a cell without the apostrophe that keeps spreadsheets from computing it."""
    found = isinstance(cell, str) and cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@")
    return cell[1:] if found else cell
