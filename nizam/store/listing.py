"""One page of a list: what a client asks for by filters, order and cursor, and what it is given.

A page continues after the last row of the one before, by the value it is sorted by and its id.
Rows that come and go meanwhile therefore make no other row appear twice or not at all, and page
one thousand costs what page one does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import attrs
import orjson
from sqlalchemy import ColumnElement

from nizam.errors import FieldError, ValidationFailed

Kind = Literal["text", "integer", "boolean", "uuid", "time"]
DEFAULT_LIMIT = 50
MAX_LIMIT = 200
OPERATORS = ("gte", "lte", "gt", "lt", "in", "prefix")
_IN_LIMIT = 100
_OWN = frozenset({"limit", "cursor", "sort", "q"})


@attrs.frozen
class Field:
    """A column that lists may be filtered and, if `sortable`, sorted by. One that has `many`
    values fits if the wanted one, or one of them, is among these."""

    column: ColumnElement[Any]
    kind: Kind
    sortable: bool = True
    many: bool = False

    @property
    def can_be_null(self) -> bool:
        """Whether rows may have no value."""
        return bool(getattr(self.column, "nullable", True))


@attrs.frozen
class Filter:
    """`field operator value`; for `in` the value is a tuple."""

    field: str
    operator: str
    value: Any


@attrs.frozen
class Listing:
    """What a client asks of a list. `after` is the sort value and the id of the last row seen."""

    limit: int
    sort: str
    descending: bool
    filters: tuple[Filter, ...] = ()
    q: str | None = None
    after: tuple[Any, Any] | None = None


@attrs.frozen
class Page:
    """Rows, as mappings or as JSON text, and the cursor of the next page if there is one."""

    rows: Sequence[Any]
    next_cursor: str | None


def parse_listing(
    query: Sequence[tuple[str, str]],
    fields: Mapping[str, Field],
    default_sort: str,
    *,
    id_kind: Kind = "uuid",
    searchable: bool = False,
    extra: frozenset[str] = frozenset(),
) -> Listing:
    """The list that the query parameters ask for; parameters in `extra` are somebody else's.

    Raises ValidationFailed that names every parameter that is unknown or wrong.
    """
    errors: list[FieldError] = []
    own: dict[str, str] = {}
    filters: list[Filter] = []
    for name, text in query:
        if name in extra:
            continue
        if name in _OWN and (name != "q" or searchable):
            if name in own:
                errors.append(FieldError(name, "duplicate", "stands twice"))
            own[name] = text
            continue
        field, bracket, operator = name.partition("[")
        operator = operator.removesuffix("]") if bracket else "eq"
        if field not in fields or (bracket and not name.endswith("]")):
            known = ", ".join(sorted(fields))
            errors.append(FieldError(name, "unknown_parameter", f"filters are {known}"))
        elif operator != "eq" and operator not in OPERATORS:
            message = f"operators are {', '.join(OPERATORS)}"
            errors.append(FieldError(name, "unknown_operator", message))
        else:
            try:
                filters.append(
                    Filter(field, operator, _operand(operator, text, fields[field].kind))
                )
            except ValueError as error:
                errors.append(FieldError(name, "invalid_value", str(error)))
    limit = DEFAULT_LIMIT
    if "limit" in own:
        text = own["limit"]
        if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT:
            limit = int(text[:9])
        else:
            errors.append(FieldError("limit", "out_of_range", f"takes 1 to {MAX_LIMIT}"))
    sort = own.get("sort", default_sort)
    descending, name = sort.startswith("-"), sort.removeprefix("-")
    after = None
    if name not in fields or not fields[name].sortable:
        known = ", ".join(sorted(key for key, it in fields.items() if it.sortable))
        errors.append(FieldError("sort", "unknown_field", f"sorts by {known}; - for descending"))
    elif "cursor" in own:
        try:
            after = _read_cursor(own["cursor"], sort, fields[name].kind, id_kind)
        except ValueError:
            message = "is no cursor of this list in this order"
            errors.append(FieldError("cursor", "invalid_cursor", message))
    q = own.get("q")
    if q is not None and not 1 <= len(q) <= 200:
        errors.append(FieldError("q", "out_of_range", "takes 1 to 200 characters"))
    if errors:
        names = ", ".join(it.path for it in errors)
        raise ValidationFailed(f"wrong parameters: {names}", errors=errors)
    return Listing(limit, name, descending, tuple(filters), q, after)


def after_row(
    listing: Listing, text: str, fields: Mapping[str, Field], id_kind: Kind = "uuid"
) -> Listing:
    """The list as it goes on after a row: `text` is the value that the row is sorted by, nothing
    if it has none, a comma, and its id. Raises ValidationFailed for what is no such place."""
    field = fields[listing.sort]
    value, comma, identifier = text.rpartition(",")
    try:
        if not comma:
            raise ValueError("is the value that the rows are sorted by, a comma, and an id")
        if "\x00" in text:
            raise ValueError("has a NUL in it")
        place = _value(value, field.kind) if value else None
        if place is None and not field.can_be_null:
            raise ValueError(f"every row has its {listing.sort}")
        return attrs.evolve(listing, after=(place, _value(identifier, id_kind)))
    except ValueError as error:
        found = FieldError("after_row", "invalid_value", str(error))
        raise ValidationFailed("wrong parameters: after_row", errors=[found]) from None


def page_of(rows: Sequence[Sequence[Any]], names: Sequence[str], listing: Listing) -> Page:
    """The page that the rows of pages.page_statement make; `names` are those of its columns."""
    shown = rows[: listing.limit]
    cursor = None
    if len(rows) > listing.limit:
        value, identifier = shown[-1][-2], shown[-1][-1]
        cursor = _cursor(listing, value, identifier)
    return Page([dict(zip(names, row, strict=False)) for row in shown], cursor)


def _operand(operator: str, text: str, kind: Kind) -> Any:
    if operator == "in":
        values = text.split(",")
        if len(values) > _IN_LIMIT:
            raise ValueError(f"takes at most {_IN_LIMIT} values")
        return tuple(_value(it, kind) for it in values)
    if operator == "prefix" and kind != "text":
        raise ValueError("prefix is for text")
    if operator in ("gte", "lte", "gt", "lt") and kind in ("boolean", "uuid"):
        raise ValueError(f"{operator} is for text, numbers and times")
    return _value(text, kind)


def _value(text: str, kind: Kind) -> Any:
    if kind == "integer":
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
            raise ValueError("is not a whole number")
        if len(text) > 18:
            raise ValueError("is out of range")
        return int(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise ValueError("is neither true nor false")
        return text == "true"
    if kind == "uuid":
        try:
            return UUID(text)
        except ValueError:
            raise ValueError("is not a UUID") from None
    if kind == "time":
        return _time(text)
    if len(text) > 2000:
        raise ValueError("is too long")
    return text


def _time(text: str) -> datetime:
    # A plus sign that was not percent-encoded arrives as a blank.
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise ValueError("is not a time such as 2026-01-31T12:00:00Z") from None
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _cursor(listing: Listing, value: Any, identifier: Any) -> str:
    sort = f"-{listing.sort}" if listing.descending else listing.sort
    plain = value.isoformat() if isinstance(value, datetime) else value
    content = [sort, str(plain) if isinstance(plain, UUID) else plain, str(identifier)]
    return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()


def _read_cursor(text: str, sort: str, kind: Kind, id_kind: Kind) -> tuple[Any, Any]:
    if not text.isascii() or len(text) > 4000:
        raise ValueError
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        content = orjson.loads(raw)
    except (binascii.Error, orjson.JSONDecodeError):
        raise ValueError("not a cursor") from None
    if not isinstance(content, list) or len(content) != 3 or content[0] != sort:
        raise ValueError
    _, value, identifier = content
    if value is not None:
        value = _value(str(value).lower() if kind == "boolean" else str(value), kind)
    if "\x00" in f"{value}{identifier}":
        raise ValueError
    return value, _value(str(identifier), id_kind)
