"""The SQL of one page of a list, over any table; see listing.py."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from operator import eq, ge, gt, le, lt
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.sql import CompoundSelect, Select

from nizam.errors import NotFound
from nizam.store.listing import Field, Listing, Page, page_of
from nizam.store.statements import compile_statement

_SHAPES = 500


class TenantQueries(Protocol):
    """What runs one statement for one tenant: a pool."""

    async def tenant_query(
        self, tenant_id: UUID, sql: str, args: Any = ..., deadline: float | None = ...
    ) -> list[tuple[Any, ...]]:
        """The rows of the statement, of which the tenant sees only its own."""


async def tenant_row(
    pool: TenantQueries,
    tenant_id: UUID,
    columns: Sequence[ColumnElement[Any]],
    *where: ColumnElement[bool],
) -> dict[str, Any]:
    """The one row of what a tenant has, by the names of `columns`. Raises NotFound."""
    rows = await pool.tenant_query(tenant_id, *compile_statement(select(*columns).where(*where)))
    if not rows:
        raise NotFound
    return dict(zip((str(it.key) for it in columns), rows[0], strict=True))


async def tenant_page(
    pool: TenantQueries,
    tenant_id: UUID,
    columns: Sequence[ColumnElement[Any]],
    fields: Mapping[str, Field],
    identifier: ColumnElement[Any],
    listing: Listing,
    *where: ColumnElement[bool],
) -> Page:
    """One page of what a tenant has: rows by the names of `columns`."""
    statement = page_statement(columns, fields, identifier, listing, *where)
    rows = await pool.tenant_query(tenant_id, *compile_statement(statement))
    return page_of(rows, [str(it.key) for it in columns], listing)


def time_text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A time as PostgreSQL writes it in the form of model.events.timestamp, under its own name.

    Rows of texts cost less than rows of datetimes: neither is a time made of each text and a text
    of each time again, nor has the garbage collector anything to follow in them.
    """
    moment = func.timezone("UTC", column)
    return func.to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"').label(column.key)


def id_text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A UUID as text, under its own name."""
    return cast(column, Text).label(column.key)


def page_statement(
    columns: Sequence[ColumnElement[Any]],
    fields: Mapping[str, Field],
    identifier: ColumnElement[Any],
    listing: Listing,
    *where: ColumnElement[bool],
    search: Sequence[ColumnElement[Any]] = (),
) -> Select[Any] | CompoundSelect[Any]:
    """The statement for one row more than a page; its last two columns make the cursor."""
    statement = _statement(columns, fields, identifier, listing, where, search)
    return statement.params(_arguments(listing))


class CompiledPages:
    """The SQL of one list, compiled once for each combination of order, filters and search.

    The arguments are those of `page_statement`; `where` may hold named bind parameters, whose
    values are given with each page.
    """

    def __init__(
        self,
        columns: Sequence[ColumnElement[Any]],
        fields: Mapping[str, Field],
        identifier: ColumnElement[Any],
        *where: ColumnElement[bool],
        search: Sequence[ColumnElement[Any]] = (),
    ) -> None:
        self._build = partial(_statement, columns, fields, identifier)
        self._where, self._search = where, search
        self._compiled: OrderedDict[object, tuple[str, dict[str, Any]]] = OrderedDict()

    def sql(self, listing: Listing, **values: Any) -> tuple[str, dict[str, Any]]:
        """The text and the arguments of a page."""
        shape = _shape(listing)
        compiled = self._compiled.get(shape)
        if compiled is None:
            statement = self._build(listing, self._where, self._search)
            compiled = self._compiled[shape] = compile_statement(statement)
            if len(self._compiled) > _SHAPES:
                self._compiled.popitem(last=False)
        text, constants = compiled
        return text, {**constants, **values, **_arguments(listing)}


def _shape(listing: Listing) -> object:
    """What of a page makes its SQL: everything but the values."""
    return (
        listing.sort,
        listing.descending,
        tuple((it.field, it.operator) for it in listing.filters),
        listing.q is None,
        None if listing.after is None else listing.after[0] is None,
    )


def _arguments(listing: Listing) -> dict[str, Any]:
    """The values of the bind parameters that `_statement` makes."""
    found: dict[str, Any] = {"page_limit": listing.limit + 1}
    for number, it in enumerate(listing.filters):
        value = it.value
        if it.operator == "in":
            value = list(value)
        elif it.operator == "prefix":
            value = f"{_escaped(value)}%"
        found[f"filter_{number}"] = value
    if listing.q is not None:
        found["search"] = f"%{_escaped(listing.q)}%"
    if listing.after is not None:
        found["after_value"], found["after_id"] = listing.after
        if listing.after[0] is None:
            del found["after_value"]
    return found


def _escaped(text: str) -> str:
    return re.sub(r"([%_/])", r"/\1", text)


def _statement(
    columns: Sequence[ColumnElement[Any]],
    fields: Mapping[str, Field],
    identifier: ColumnElement[Any],
    listing: Listing,
    where: Sequence[ColumnElement[bool]],
    search: Sequence[ColumnElement[Any]],
) -> Select[Any] | CompoundSelect[Any]:
    field = fields[listing.sort]
    by = field.column
    conditions = [
        *where,
        *(_condition(fields[it.field], it.operator, n) for n, it in enumerate(listing.filters)),
    ]
    if listing.q is not None:
        wanted = bindparam("search", type_=Text())
        conditions.append(or_(*(it.ilike(wanted, escape="/") for it in search)))
    all_rows = select(*columns, by.label("cursor_value"), cast(identifier, Text).label("cursor_id"))
    order = [by, identifier]
    limit = bindparam("page_limit", type_=Integer())

    def page(order: Sequence[ColumnElement[Any]], *more: ColumnElement[bool]) -> Select[Any]:
        found = all_rows.where(and_(true(), *conditions, *more))
        directed = [it.desc() if listing.descending else it.asc() for it in order]
        return found.order_by(*directed).limit(limit)

    if not field.can_be_null:
        return page(order, *_following(field, identifier, listing))
    # Those without a value come last, in either direction, and no index has them there in both. So
    # they are a list of their own, which is read when the other one has not filled the page.
    without = page([identifier], by.is_(None), *_following_without(identifier, listing))
    if listing.after is not None and listing.after[0] is None:
        return without
    having = page(order, by.is_not(None), *_following(field, identifier, listing))
    return union_all(having, without).limit(limit)


def conditions(fields: Mapping[str, Field], listing: Listing) -> list[ColumnElement[bool]]:
    """The filters of a list alone, with their values."""
    values = _arguments(listing)
    return [
        _condition(fields[it.field], it.operator, n).params(values)
        for n, it in enumerate(listing.filters)
    ]


def _following(
    field: Field, identifier: ColumnElement[Any], listing: Listing
) -> list[ColumnElement[bool]]:
    """Rows after the last one seen, which had a value to be sorted by."""
    if listing.after is None:
        return []
    by, last = field.column, bindparam("after_id", type_=identifier.type)
    pair, place = tuple_(by, identifier), tuple_(bindparam("after_value", type_=by.type), last)
    return [pair < place if listing.descending else pair > place]


def _following_without(
    identifier: ColumnElement[Any], listing: Listing
) -> list[ColumnElement[bool]]:
    """Rows without a value after the last one seen: all of them if that one had one."""
    if listing.after is None or listing.after[0] is not None:
        return []
    last = bindparam("after_id", type_=identifier.type)
    return [identifier < last if listing.descending else identifier > last]


def _condition(field: Field, operator: str, number: int) -> ColumnElement[bool]:
    column, name = field.column, f"filter_{number}"
    if field.many:
        # So written that an index of the values can be used.
        if operator == "in":
            return column.op("&&", is_comparison=True)(bindparam(name, type_=column.type))
        wanted: Any = array([bindparam(name, type_=UUID_TYPE())])
        return column.op("@>", is_comparison=True)(wanted)
    if operator == "in":
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    value = bindparam(name, type_=column.type)
    if operator == "prefix":
        return column.like(value, escape="/")
    # SQLAlchemy compares booleans only for equality, so nothing is built that is not asked for.
    compare = {"gte": ge, "lte": le, "gt": gt, "lt": lt}.get(operator, eq)
    condition: ColumnElement[bool] = compare(column, value)
    return condition
