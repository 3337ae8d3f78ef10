"""Lists of what is in memory, with the parameters and the paging of every other list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import eq, ge, gt, le, lt
from typing import Any

from sqlalchemy import column

from nizam.store.listing import Field, Filter, Kind, Listing, Page, page_of, parse_listing

_COMPARE = {"eq": eq, "gte": ge, "lte": le, "gt": gt, "lt": lt}


def memory_fields(**kinds: Kind) -> Mapping[str, Field]:
    """The fields that such a list may be filtered and sorted by."""
    return {name.removesuffix("_"): Field(column(name), kind) for name, kind in kinds.items()}


def page_of_documents(
    query: Sequence[tuple[str, str]],
    documents: Iterable[Mapping[str, Any]],
    fields: Mapping[str, Field],
    default_sort: str,
    *,
    id_field: str,
    id_kind: Kind,
) -> Page:
    """The page that the query parameters ask for. Raises ValidationFailed as every list does."""
    listing = parse_listing(query, fields, default_sort, id_kind=id_kind)
    chosen = [
        (_key(it, listing, fields, id_field), it)
        for it in documents
        if all(_fits(_value(it, filter_.field, fields), filter_) for filter_ in listing.filters)
    ]
    chosen.sort(key=lambda it: _order(it[0], listing), reverse=listing.descending)
    if listing.after is not None:
        value, identifier = listing.after
        last = _order((value, str(identifier)), listing)
        beyond = lt if listing.descending else gt
        chosen = [it for it in chosen if beyond(_order(it[0], listing), last)]
    rows = [(document, *key) for key, document in chosen[: listing.limit + 1]]
    page = page_of(rows, ["document"], listing)
    return Page([it["document"] for it in page.rows], page.next_cursor)


def _key(
    document: Mapping[str, Any], listing: Listing, fields: Mapping[str, Field], id_field: str
) -> tuple[Any, str]:
    return _value(document, listing.sort, fields), str(document[id_field])


def _order(key: tuple[Any, str], listing: Listing) -> tuple[bool, Any, str]:
    """Where a row stands; those without a value come last, in either direction."""
    value, identifier = key
    absent = value is None
    return (absent != listing.descending, "" if absent else value, identifier)


def _value(document: Mapping[str, Any], name: str, fields: Mapping[str, Field]) -> Any:
    value = document.get(name)
    if value is not None and fields[name].kind == "time":
        return datetime.fromisoformat(value)
    return value


def _fits(value: Any, it: Filter) -> bool:
    if value is None:
        return False
    if it.operator == "in":
        return str(value) in {str(each) for each in it.value}
    if it.operator == "prefix":
        return str(value).startswith(it.value)
    return bool(_COMPARE[it.operator](value, it.value))
