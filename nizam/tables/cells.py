"""Cells: values of fields as texts, and back.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and carries it out
(https://owasp.org/www-community/attacks/CSV_Injection). What callers send as their names and
numbers ends up in such cells. An apostrophe before it makes it text; reading takes it away again.
Telephone numbers keep their plus sign bare: digits after it compute nothing, and every program
that reads the file finds the number itself.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from nizam.model.destination import FIELDS, destination_of, destination_words
from nizam.model.events import timestamp
from nizam.tables.columns import Column

SEPARATOR = ";"
"""Stands between the items of a list."""

_BRACKETS = 32
"""How many objects and lists the JSON of one cell may hold, however deep in each other."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBERS = re.compile(r"\+[0-9*#]+(;\+?[0-9*#]+)*\Z")
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")


def defused(text: str) -> str:
    """`text` as a cell that no spreadsheet carries out."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBERS.match(text) else text


def cell_of(value: Any) -> str:
    """A value of a JSON document as a cell for people and programs to read."""
    # What most cells of long lists hold comes first.
    if value is None:
        return ""
    if type(value) is str:
        return defused(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Mapping) or _has_parts(value):
        return orjson.dumps(value, default=str).decode()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return defused(SEPARATOR.join(map(str, value)))
    return defused(str(value))


def written(column: Column, value: Any) -> str:
    """The cell from which `read` makes the value again, except that what is empty is not said."""
    if value is None or value == [] or (value == "" and column.default == ""):
        return ""
    if column.kind == "destination":
        words = destination_words(value)
        if words is None:
            shown = {name: it for name, it in value.items() if it is not None}
            return orjson.dumps(shown).decode()
        return words
    if column.kind in ("text", "choice"):
        return f"'{value}" if _would_change(value) and not _NUMBERS.match(value) else str(value)
    return cell_of(value)


def read(column: Column, cell: str) -> Any:
    """The value that a cell gives a field; what it cannot be stays text, for validation to name.

    For cells that say something: see `is_empty`.
    """
    text = _bare(cell)
    if cell.strip() == "null" and column.clearable:
        return column.default
    if column.kind == "boolean":
        word = text.lower()
        return True if word in _TRUE else False if word in _FALSE else text
    if column.kind == "integer":
        return int(text) if _INTEGER.match(text) else text
    if column.kind == "list":
        if text.startswith("["):
            return _json(text)
        return [it.strip() for it in text.split(SEPARATOR) if it.strip()]
    if column.kind == "destination":
        return _destination(text)
    return _json(text) if column.kind == "json" else text


def is_empty(cell: str) -> bool:
    """Whether a cell says nothing of its field."""
    return not cell.strip()


def _destination(text: str) -> Any:
    given: Any = None
    if text.startswith("{"):
        given = _json(text)
    else:
        with contextlib.suppress(ValueError):
            given = destination_of(text)
    if not isinstance(given, dict):
        return text
    # One destination takes the place of another: nothing of that stays in the fields of this.
    return {**dict.fromkeys(FIELDS), **given}


def _json(text: str) -> Any:
    if text.count("{") + text.count("[") > _BRACKETS:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _has_parts(value: Any) -> bool:
    """Whether it is a list that cannot be written with separators."""
    return isinstance(value, list | tuple) and any(
        not isinstance(it, str | int) or _is_unclear(str(it)) for it in value
    )


def _is_unclear(item: str) -> bool:
    unlike = item in ("", "null") or item != item.strip()
    return unlike or SEPARATOR in item or item.startswith(("[", "'"))


def _bare(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _would_change(cell[1:]) else cell.strip()


def _would_change(text: str) -> bool:
    """Whether a cell with nothing but this text would be read, or carried out, as another one."""
    return (
        not text
        or text == "null"
        or text != text.strip()
        or text.startswith(_FORMULA)
        or (text.startswith("'") and _would_change(text[1:]))
    )
