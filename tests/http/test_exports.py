"""Lists as files: all of them, in the memory of a page, and what was imported comes out again."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed, readBody
from twisted.web.http_headers import Headers

from nizam.http.exports import PAGE_ROWS
from nizam.store.listing import page_of
from nizam.store.pool import Pool
from tests.http.conftest import Answer, Server
from tests.http.holding import used_at_once
from tests.http.test_imports import CSV

reactor: Any = installed_reactor
NDJSON = "application/x-ndjson"
ID = "01937a5e-0000-7000-8000-000000000c01"
MANY, WIDE = 6000, 4000
"""Rows, and characters of each: more than the kernel keeps for the two ends of a connection."""

EXTENSIONS = (
    "number,display_name,caller_id.external_number,voicemail.email,ring_seconds,follow_me,"
    "forward.busy,forward.no_answer,forward.always,enabled\r\n"
    "1001,Ada,+12025550101,ada@example.com,30,1002;+4930123456,extension:1002,hangup:USER_BUSY,,\r\n"
    '1002,"Grace, ""Amazing""",,,,,voicemail:1001,time_condition:Office,,false\r\n'
    '1003,\'=cmd|\' /C calc\'!A0,,,,,,,"{""type"":""play"",""sound"":""a.wav"",'
    '""then"":{""type"":""hangup""}}",\r\n'
)
CALLS = """
insert into cdrs (call_id, started_at, tenant_id, direction, from_number, to_number, duration_ms,
    billable_ms, result, hangup_by, source, mos, route)
select gen_random_uuid(), '2026-11-01Z'::timestamptz + it * interval '1 second', %s, 'inbound',
    %s, '+12025550101', 1000 * it, 900 * it, 'answered', 'caller', 'both', 4.41, repeat('x', %s)
from generate_series(1, %s) it
"""


def rows_of(answer: Answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


async def _export(server: Server, path: str, accept: str = CSV, **more: Any) -> Answer:
    return await server.request("GET", path, accept=accept, **more)


async def _with_extensions(server: Server, slug: str = "acme") -> str:
    tenant = await server.make_tenant(slug)
    hours = {
        "name": "Office",
        "match_destination": {"type": "hangup"},
        "otherwise_destination": {"type": "hangup"},
    }
    await server.make(f"{tenant}/time-conditions", hours)
    answer = await server.request(
        "POST", f"{tenant}/extensions/import", raw=EXTENSIONS.encode(), Content_Type=CSV
    )
    assert answer.status == 200, answer.body
    return tenant


async def _calls(
    server: Server, tenant: str, count: int, caller: str = "+4930123456", width: int = 10
) -> None:
    """So many calls, each with a route of `width` characters."""
    await server.pool.execute(CALLS, (str(server.tenant_id(tenant)), caller, width, count))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each page had that was read of history."""
    counts: list[int] = []
    page = page_of

    def counted(rows: Any, *more: Any) -> Any:
        counts.append(len(rows))
        return page(rows, *more)

    monkeypatch.setattr("nizam.store.cdr_history.page_of", counted)
    return counts


async def test_what_is_exported_can_be_imported_unchanged(server: Server) -> None:
    tenant = await _with_extensions(server)
    first = await _export(server, f"{tenant}/extensions/export?sort=number")
    assert first.status == 200
    assert first.headers["content-type"] == "text/csv; charset=utf-8"
    assert first.headers["content-disposition"] == 'attachment; filename="extensions.csv"'
    again = await server.request(
        "POST",
        f"{tenant}/extensions/import?on_existing=update",
        raw=first.body,
        Content_Type=CSV,
    )
    assert (again.status, again.json["unchanged"], again.json["rows"]) == (200, 3, 3), again.body
    other = await _with_extensions(server, "rival")
    for it in (await server.request("GET", f"{other}/extensions?sort=-number")).json["data"]:
        patch = {"forward": None, "display_name": "Somebody", "ring_seconds": None}
        await server.request("PATCH", f"{other}/extensions/{it['id']}", patch)
    there = await server.request(
        "POST", f"{other}/extensions/import?on_existing=update", raw=first.body, Content_Type=CSV
    )
    assert there.status == 200, there.body
    assert (await _export(server, f"{other}/extensions/export?sort=number")).body == first.body
    ada, grace, formula = rows_of(first)
    assert ada["follow_me"] == "1002;+4930123456"
    assert ada["caller_id.external_number"] == "+12025550101"
    assert (ada["forward.busy"], grace["forward.no_answer"]) == (
        "extension:1002",
        "time_condition:Office",
    )
    assert formula["display_name"].startswith("'=cmd")


async def test_dids_are_exported_with_the_names_of_their_destinations(server: Server) -> None:
    tenant = await _with_extensions(server)
    text = "number,label,destination\n+12025550101,Main,extension:1002\n+12025550102,,hangup\n"
    await server.request("POST", f"{tenant}/dids/import", raw=text.encode(), Content_Type=CSV)
    found = rows_of(await _export(server, f"{tenant}/dids/export?sort=number"))
    assert [(it["number"], it["label"], it["destination"]) for it in found] == [
        ("+12025550101", "Main", "extension:1002"),
        ("+12025550102", "", "hangup"),
    ]


async def test_an_object_that_shares_its_name_is_referred_to_by_its_id(server: Server) -> None:
    tenant = await _with_extensions(server)
    hours = {
        "name": "Office ",
        "match_destination": {"type": "hangup"},
        "otherwise_destination": {"type": "hangup"},
    }
    await server.make(f"{tenant}/time-conditions", hours)
    (first, _) = (await server.request("GET", f"{tenant}/time-conditions?sort=created_at")).json[
        "data"
    ]
    exported = await _export(server, f"{tenant}/extensions/export?number=1002")
    assert rows_of(exported)[0]["forward.no_answer"] == f"time_condition:{first['id']}"
    again = await server.request(
        "POST",
        f"{tenant}/extensions/import?on_existing=update",
        raw=exported.body,
        Content_Type=CSV,
    )
    assert (again.status, again.json["unchanged"]) == (200, 1)


async def test_no_secret_is_exported(server: Server) -> None:
    tenant = await server.make_tenant()
    body = {
        "number": "1001",
        "display_name": "Ada",
        "sip_password": "correct-horse-battery",
        "voicemail": {"pin": "471147"},
    }
    await server.make(f"{tenant}/extensions", body)
    for accept in (CSV, NDJSON):
        text = (await _export(server, f"{tenant}/extensions/export", accept)).body.decode()
        assert "1001" in text
        assert not [it for it in ("correct-horse", "471147", "sip_password", "pin") if it in text]


async def test_lines_of_json_are_the_objects_of_the_list(server: Server) -> None:
    tenant = await _with_extensions(server)
    await _calls(server, tenant, 3)
    for path in ("extensions", "cdrs", "call-events", "audit-logs"):
        listed = (await server.request("GET", f"{tenant}/{path}?limit=200")).json["data"]
        answer = await _export(server, f"{tenant}/{path}/export", NDJSON)
        assert answer.headers["content-type"] == NDJSON
        found = [json.loads(line) for line in answer.body.splitlines()]
        # The export itself has added a row to the audit log.
        assert [it for it in found if it.get("action") != "exported"] == [
            it for it in listed if it.get("action") != "exported"
        ]
        assert found


async def test_history_in_columns(server: Server) -> None:
    tenant = await _with_extensions(server)
    await _calls(server, tenant, 2, "=HYPERLINK(1)")
    (last, _) = rows_of(await _export(server, f"{tenant}/cdrs/export"))
    assert (last["from"], last["to"]) == ("'=HYPERLINK(1)", "+12025550101")
    assert (last["quality.mos"], last["duration_ms"], last["recording_ids"]) == ("4.41", "2000", "")
    assert last["started_at"] == "2026-11-01T00:00:02.000000Z"
    events = rows_of(await _export(server, f"{tenant}/call-events/export?type=extension.created"))
    assert len(events) == 3
    (listed, *_) = (await server.request("GET", f"{tenant}/call-events?limit=1")).json["data"]
    assert json.loads(events[0]["data"]) == listed["data"]
    logs = rows_of(await _export(server, f"{tenant}/audit-logs/export?action=created"))
    assert json.loads(logs[0]["after"])


async def test_filters_order_and_search_are_those_of_the_list(server: Server) -> None:
    tenant = await _with_extensions(server)
    for query, numbers in (
        ("sort=-number", ["1003", "1002", "1001"]),
        ("q=Amazing", ["1002"]),
        ("enabled=true&sort=number", ["1001", "1003"]),
        ("number[in]=1001,1003&sort=-number", ["1003", "1001"]),
        ("number=4711", []),
    ):
        found = await _export(server, f"{tenant}/extensions/export?{query}")
        assert [it["number"] for it in rows_of(found)] == numbers, query
        assert found.body.startswith(b"number,display_name,")


ASKED = [
    ("*/*", "", 200, "text/csv; charset=utf-8"),
    ("text/*;q=0.5, application/x-ndjson", "", 200, NDJSON),
    ("application/json", "?format=ndjson", 200, NDJSON),
    (NDJSON, "?format=csv", 200, "text/csv; charset=utf-8"),
    ("application/json", "", 406, "application/problem+json"),
    (CSV, "?format=xlsx", 400, "application/problem+json"),
    (CSV, "?limit=5", 422, "application/problem+json"),
    (CSV, "?cursor=x", 422, "application/problem+json"),
    (CSV, "?after_row=x", 422, "application/problem+json"),
    (CSV, "?after_row=x,y", 422, "application/problem+json"),
    (CSV, f"?sort=created_at&after_row=,{ID}", 422, "application/problem+json"),
    (CSV, f"?after_row=2026-11-28,{ID}&after_row=2026-11-28,{ID}", 422, "application/problem+json"),
    (CSV, f"?after_row=2026-11-28,{ID}", 200, "text/csv; charset=utf-8"),
    (CSV, "?colour=red", 422, "application/problem+json"),
]


async def test_which_file_is_answered(server: Server) -> None:
    tenant = await server.make_tenant()
    for accept, query, status, content_type in ASKED:
        answer = await _export(server, f"{tenant}/extensions/export{query}", accept)
        assert (answer.status, answer.headers["content-type"]) == (status, content_type), query


@pytest.mark.parametrize("sort", ["-started_at", "duration_ms", "from", "-answered_at"])
async def test_an_export_that_was_cut_off_goes_on_after_its_last_row(
    server: Server, sort: str
) -> None:
    tenant = await server.make_tenant()
    await _calls(server, tenant, 20)
    for accept in (CSV, NDJSON):
        path = f"{tenant}/cdrs/export?sort={sort}"
        lines = (await _export(server, path, accept)).body.splitlines(keepends=True)
        last = json.loads((await _export(server, path, NDJSON)).body.splitlines()[6])
        head = 8 if accept == CSV else 7
        value = last[sort.removeprefix("-")]
        place = f"{'' if value is None else value},{last['call_id']}".replace("+", "%2B")
        rest = await _export(server, f"{path}&after_row={place}", accept)
        assert rest.body == b"".join(lines[head:])
        assert len(lines) == head + 13


async def test_an_export_begins_where_a_page_of_the_list_ends(server: Server) -> None:
    tenant = await server.make_tenant()
    await _calls(server, tenant, 5)
    page = (await server.request("GET", f"{tenant}/cdrs?limit=2")).json
    path = f"{tenant}/cdrs/export?cursor={page['next_cursor']}"
    rows = (await _export(server, path, NDJSON)).body.splitlines()
    all_rows = (await _export(server, f"{tenant}/cdrs/export", NDJSON)).body.splitlines()
    assert rows == all_rows[2:]
    twice = await _export(server, f"{path}&after_row=2026-11-28,{ID}", NDJSON)
    assert (twice.status, twice.json["errors"][0]["path"]) == (422, "after_row")


async def test_an_export_is_audited_and_needs_the_right_to_read(server: Server) -> None:
    tenant = await server.make_tenant()
    await _export(server, f"{tenant}/cdrs/export?result=answered")
    logs = await server.request("GET", f"{tenant}/audit-logs?action=exported")
    (row,) = logs.json["data"]
    assert (row["resource_type"], row["after"]) == (
        "cdr",
        {"format": "csv", "query": ["result=answered"]},
    )
    key = await server.make_key("extensions:read", tenant=tenant)
    assert (await _export(server, f"{tenant}/extensions/export", key=key)).status == 200
    for path, scope in (
        ("cdrs", "cdrs:read"),
        ("call-events", "call_events:read"),
        ("audit-logs", "audit_logs:read"),
    ):
        refused = await _export(server, f"{tenant}/{path}/export", key=key)
        assert (refused.status, refused.json["scope"]) == (403, scope)


async def test_an_export_does_not_hold_the_thread(server: Server) -> None:
    tenant = await server.make_tenant()
    await _calls(server, tenant, 10 * PAGE_ROWS)
    for accept in (CSV, NDJSON):
        with used_at_once() as held:
            found = await readBody(await _asked(server, f"{tenant}/cdrs/export", accept))
        assert found.count(b"\n") >= 10 * PAGE_ROWS
        assert max(held) < 0.05


async def test_a_long_list_is_read_page_by_page_as_the_client_takes_it(
    server: Server, read: list[int]
) -> None:
    reader = await _reading_many(server)
    await reader.full(100_000)
    reader.flow.pauseProducing()
    await _until_quiet(read)
    # What is on its way fills the buffers of both ends, and not the memory of the server.
    assert sum(read) < MANY
    reader.flow.resumeProducing()
    body = await reader.all
    assert (body.count(b"\r\n"), max(read)) == (MANY + 1, PAGE_ROWS + 1)
    started = [it["started_at"] for it in csv.DictReader(io.StringIO(body.decode(), newline=""))]
    assert started == sorted(started, reverse=True)


async def test_nothing_more_is_read_for_a_client_that_has_gone(
    server: Server, read: list[int]
) -> None:
    reader = await _reading_many(server)
    await reader.full(1000)
    reader.flow.loseConnection()
    await _until_quiet(read)
    assert sum(read) < MANY


async def test_an_export_that_fails_midway_is_cut_and_not_ended(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await server.make_tenant()
    await _calls(server, tenant, 3 * PAGE_ROWS)
    query, asked = Pool.tenant_query, []

    async def failing(*args: Any, **more: Any) -> Any:
        if "FROM cdrs" in str(args[2]):
            asked.append(1)
            if len(asked) > 2:
                raise RuntimeError("lost")
        return await query(*args, **more)

    monkeypatch.setattr(Pool, "tenant_query", failing)
    response = await _asked(server, f"{tenant}/cdrs/export")
    with pytest.raises(ResponseFailed):
        await readBody(response)
    assert len(asked) == 3


async def _asked(server: Server, path: str, accept: str = CSV) -> Any:
    fields = Headers({"Authorization": [f"Bearer {server.key}"], "Accept": [accept]})
    return await server.agent.request(b"GET", f"{server.base}{path}".encode(), fields)


async def _reading_many(server: Server) -> _Reader:
    """Who has begun to read an export of many calls."""
    tenant = await server.make_tenant()
    await _calls(server, tenant, MANY, width=WIDE)
    reader = _Reader()
    (await _asked(server, f"{tenant}/cdrs/export")).deliverBody(reader)
    return reader


async def _until_quiet(read: list[int]) -> None:
    """Until nothing was read for a while."""
    seen = -1
    while seen != len(read):
        seen = len(read)
        await deferLater(reactor, 0.3)


class _Reader(Protocol):
    """Collects a body, and can be made to wait."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.all: Deferred[bytes] = Deferred()
        self._wanted: tuple[int, Deferred[None]] | None = None

    @property
    def flow(self) -> Any:
        """What lets the body come, and stop."""
        return self.transport

    async def full(self, size: int) -> None:
        """Until so many bytes have come."""
        if len(self.content) < size:
            waiting: Deferred[None] = Deferred()
            self._wanted = (size, waiting)
            await waiting

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.content += data
        if self._wanted is not None and len(self.content) >= self._wanted[0]:
            (_, waiting), self._wanted = self._wanted, None
            waiting.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.all.callback(bytes(self.content))
