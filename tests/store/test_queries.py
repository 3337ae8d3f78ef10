"""Reading resources: filters, order, search and pages, from the replicas where there are any."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_twisted

from nizam.errors import ValidationFailed
from nizam.http.reply import to_json
from nizam.model.registry import resource, resources
from nizam.store.cdr_history import CDR_FIELDS
from nizam.store.listing import Page, parse_listing
from nizam.store.pages import page_statement
from nizam.store.pool import Pool, Transaction
from nizam.store.queries import listing_fields
from nizam.store.statements import compile_statement
from nizam.store.store import Store
from nizam.store.tables.cdrs import CDRS
from tests.store.conftest import Workshop

NAMES = {"1001": "Ada", "1002": "Grace", "1003": "Alan", "1004": "100%"}


@pytest_twisted.async_yield_fixture
async def staffed(acme: Workshop, rival: Workshop) -> AsyncIterator[Workshop]:
    for number, name in NAMES.items():
        await acme.create("extension", number=number, display_name=name)
    await acme.create("extension", number="1005", display_name="Off", enabled=False)
    await rival.create("extension", number="1001", display_name="Mallory")
    yield acme


async def listed(workshop: Workshop, *, using: Store | None = None, **parameters: Any) -> Page:
    it = resource("extension")
    query = [
        (name.replace("__", "[") + "]" if "__" in name else name, value)
        for name, value in parameters.items()
    ]
    listing = parse_listing(query, listing_fields(it), "created_at", searchable=True)
    page = await (using or workshop.store).list(it, workshop.tenant_id, listing)
    return Page([orjson.loads(row) for row in page.rows], page.next_cursor)


def numbers(page: Page) -> list[str]:
    return [row["number"] for row in page.rows]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["1001", "1002", "1003", "1004", "1005"]),
        ({"number": "1002"}, ["1002"]),
        ({"number__in": "1001,1003"}, ["1001", "1003"]),
        ({"display_name__prefix": "A"}, ["1001", "1003"]),
        ({"display_name__prefix": "100%"}, ["1004"]),
        ({"number__gte": "1003", "enabled": "true"}, ["1003", "1004"]),
        ({"enabled": "false"}, ["1005"]),
        ({"created_at__gt": "2100-01-01T00:00:00Z"}, []),
        ({"sort": "-number"}, ["1005", "1004", "1003", "1002", "1001"]),
        ({"sort": "display_name"}, ["1004", "1001", "1003", "1002", "1005"]),
        ({"q": "a", "sort": "number"}, ["1001", "1002", "1003"]),
        ({"q": "100", "sort": "-number", "limit": "2"}, ["1005", "1004"]),
    ],
)
async def test_lists_are_filtered_sorted_and_searched(
    staffed: Workshop, parameters: dict[str, Any], expected: list[str]
) -> None:
    assert numbers(await listed(staffed, **parameters)) == expected


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "number", "-display_name"])
async def test_pages_make_the_whole_list_even_while_it_changes(
    staffed: Workshop, sort: str
) -> None:
    whole = numbers(await listed(staffed, sort=sort))
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await listed(staffed, sort=sort, limit="2", **cursor)
        seen += numbers(page)
        if page.next_cursor is None:
            break
        cursor = {"cursor": page.next_cursor}
        first = (await listed(staffed, sort=sort, limit="1")).rows[0]
        await staffed.change("extension", first["id"], ring_seconds=len(seen) + 10)
    assert seen == whole


async def test_an_unknown_parameter_is_refused(staffed: Workshop) -> None:
    with pytest.raises(ValidationFailed):
        await listed(staffed, sip_password="x")


async def test_what_is_listed_is_what_is_shown(staffed: Workshop) -> None:
    (row,) = (await listed(staffed, number="1001")).rows
    assert row == orjson.loads(to_json((await staffed.get("extension", row["id"])).shown()))


async def test_every_resource_can_be_listed_and_searched(acme: Workshop, store: Store) -> None:
    for it in resources().values():
        query = [("q", "nothing has this")] if it.search else []
        listing = parse_listing(query, listing_fields(it), "created_at", searchable=bool(it.search))
        page = await store.list(it, acme.tenant_id, listing)
        assert page.rows == []


@pytest.mark.parametrize("sort", ["started_at", "-started_at"])
async def test_a_page_of_a_long_list_is_found_by_its_index(
    acme: Workshop, pool: Pool, sort: str
) -> None:
    place = base64.urlsafe_b64encode(orjson.dumps([sort, "2026-11-01T00:00:00Z", str(UUID(int=7))]))
    listing = parse_listing([("cursor", place.decode()), ("sort", sort)], CDR_FIELDS, "started_at")
    statement = page_statement(
        [CDRS.c.result], CDR_FIELDS, CDRS.c.call_id, listing, CDRS.c.tenant_id == acme.tenant_id
    )
    sql, args = compile_statement(statement)

    async def explained(transaction: Transaction) -> str:
        # A table without rows would not need its index.
        transaction.add("set local enable_seqscan = off")
        transaction.add("set local enable_bitmapscan = off")
        return "\n".join(line for (line,) in await transaction.query(f"explain {sql}", args))

    plan = await pool.transaction(explained)
    assert "Index" in plan
    assert "Sort" not in plan.replace("Incremental Sort", "").replace("Sort Key", "")
    assert re.search(r"Index Cond: .*ROW\(started_at, call_id\)", plan), plan
