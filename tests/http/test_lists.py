"""Lists: pages neither skip nor repeat, filters and search find what they say."""

from __future__ import annotations

import pytest

from tests.http.conftest import Server


async def _extensions(server: Server, tenant: str, count: int) -> list[str]:
    made = []
    for number in range(count):
        body = {
            "number": str(2000 + number),
            "display_name": f"Group {number % 3}",
            "enabled": number % 2 == 0,
        }
        made.append((await server.make(f"{tenant}/extensions", body))["id"])
    return made


@pytest.mark.parametrize(
    "sort", ["created_at", "-created_at", "display_name", "-display_name", "number"]
)
async def test_pages_neither_skip_nor_repeat_while_objects_come_and_go(
    server: Server, sort: str
) -> None:
    tenant = await server.make_tenant()
    ids = await _extensions(server, tenant, 11)
    seen: list[str] = []
    cursor = ""
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await server.request("GET", f"{tenant}/extensions?limit=3&sort={sort}{more}")).json
        seen += [it["id"] for it in page["data"]]
        if len(seen) == 3:
            # The row that the cursor points to goes; the rest is found all the same.
            await server.request("DELETE", f"{tenant}/extensions/{seen[-1]}")
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen))
    assert set(seen) == set(ids)


async def test_a_cursor_belongs_to_its_order(server: Server) -> None:
    tenant = await server.make_tenant()
    await _extensions(server, tenant, 3)
    page = (await server.request("GET", f"{tenant}/extensions?limit=1&sort=number")).json
    answer = await server.request(
        "GET", f"{tenant}/extensions?sort=-number&cursor={page['next_cursor']}"
    )
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("number=2001", {"2001"}),
        ("number[in]=2001,2003", {"2001", "2003"}),
        ("number[prefix]=200", {"2000", "2001", "2002", "2003"}),
        ("number[gte]=2002", {"2002", "2003"}),
        ("number[gt]=2002", {"2003"}),
        ("number[lt]=2001", {"2000"}),
        ("enabled=true", {"2000", "2002"}),
        ("enabled=false&number[lte]=2001", {"2001"}),
        ("q=group 2", {"2002"}),
        ("q=%25", set()),
        ("created_at[gte]=2999-01-01T00:00:00Z", set()),
        ("created_at[lt]=2999-01-01T00:00:00%2B01:00", {"2000", "2001", "2002", "2003"}),
    ],
)
async def test_filters_find_what_they_say(server: Server, query: str, numbers: set[str]) -> None:
    tenant = await server.make_tenant()
    await _extensions(server, tenant, 4)
    answer = await server.request("GET", f"{tenant}/extensions?{query.replace(' ', '+')}")
    assert answer.status == 200, answer.body
    assert {it["number"] for it in answer.json["data"]} == numbers
