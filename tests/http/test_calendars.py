"""iCalendar files go into calendars and come out of them again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import icalendar
import pytest
import pytest_twisted

from nizam.calendars.reader import MAX_BYTES
from nizam.http.calendars import ICALENDAR
from tests.calendars.files import CHRISTMAS, ics
from tests.http.conftest import Answer, Server

YEAR = datetime.now(UTC).year
PARTY = f"UID:party\nDTSTART;VALUE=DATE:{YEAR + 1}0717\nSUMMARY:Summer party"
EVENING = f"UID:eve\nDTSTART:{YEAR + 1}1224T200000Z\nDTEND:{YEAR + 1}1224T233000Z\nSUMMARY:Eve"
_CHRISTMAS = {"date": None, "month": 12, "day": 25, "label": "Christmas Day"}
_PARTY = {"date": f"{YEAR + 1}-07-17", "month": None, "day": None, "label": "Summer party"}


@pytest_twisted.async_fixture
async def path(server: Server) -> str:
    """An empty calendar of a tenant in Berlin."""
    tenant = await server.make_tenant()
    await server.request("PATCH", tenant, {"time_zone": "Europe/Berlin"})
    made = await server.make(f"{tenant}/calendars", {"name": "Holidays"})
    return f"{tenant}/calendars/{made['id']}"


async def load(
    server: Server, path: str, *events: str, query: str = "", raw: bytes | None = None, **more: Any
) -> Answer:
    more.setdefault("Content_Type", ICALENDAR)
    content = ics(*events).encode() if raw is None else raw
    return await server.request("POST", f"{path}/import{query}", raw=content, **more)


async def days(server: Server, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.request("GET", path)).json["days"]
    return found


async def test_the_days_of_a_file_become_those_of_the_calendar(server: Server, path: str) -> None:
    answer = await load(server, path, CHRISTMAS, PARTY)
    assert answer.status == 200, answer.body
    assert await days(server, path) == [_CHRISTMAS, _PARTY]
    assert answer.json == {
        "dry_run": False,
        "version": 2,
        "events": 2,
        "cancelled_events": 0,
        "timed_events": 0,
        "outside_events": 0,
        "first": f"{YEAR}-01-01",
        "last": f"{YEAR + 4}-12-31",
        "time_zone": "Europe/Berlin",
        "added": [_CHRISTMAS, _PARTY],
        "changed": [],
        "removed": [],
        "unchanged": 0,
    }
    assert answer.headers["etag"] == (await server.request("GET", path)).headers["etag"]


async def test_a_dry_run_says_the_same_and_changes_nothing(server: Server, path: str) -> None:
    tried = await load(server, path, CHRISTMAS, PARTY, query="?dry_run=true")
    assert (tried.json["dry_run"], tried.json["version"]) == (True, 1)
    assert await days(server, path) == []
    done = await load(server, path, CHRISTMAS, PARTY)
    assert {**tried.json, "dry_run": False, "version": 2} == done.json


async def test_an_import_takes_the_place_of_the_days_or_joins_them(
    server: Server, path: str
) -> None:
    await load(server, path, CHRISTMAS)
    merged = await load(server, path, PARTY, query="?mode=merge")
    assert (merged.json["added"], merged.json["unchanged"]) == ([_PARTY], 1)
    assert await days(server, path) == [_CHRISTMAS, _PARTY]
    replaced = await load(server, path, PARTY)
    assert (replaced.json["removed"], replaced.json["unchanged"]) == ([_CHRISTMAS], 1)
    assert await days(server, path) == [_PARTY]


async def test_the_same_file_again_is_no_change(server: Server, path: str) -> None:
    await load(server, path, CHRISTMAS, PARTY)
    again = await load(server, path, PARTY, CHRISTMAS)
    assert (again.json["version"], again.json["unchanged"]) == (2, 2)


async def test_hours_become_days_in_the_time_zone_that_is_asked_for(
    server: Server, path: str
) -> None:
    async def ask(query: str) -> list[str]:
        answer = await load(server, path, EVENING, query=f"?dry_run=true{query}")
        assert answer.json["timed_events"] == 1
        return [it["date"] for it in answer.json["added"]]

    eve, day = f"{YEAR + 1}-12-24", f"{YEAR + 1}-12-25"
    assert await ask("") == [eve, day]  # until half past midnight in Berlin
    assert await ask("&time_zone=America/New_York") == [eve]
    assert await ask("&time_zone=Asia/Tokyo") == [day]
    assert await ask("&timed=skip") == []


async def test_how_many_years_are_worked_out_is_asked_for(server: Server, path: str) -> None:
    thanksgiving = "UID:t\nDTSTART;VALUE=DATE:20201126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"
    for years in (1, 3, 10):
        answer = await load(server, path, thanksgiving, query=f"?dry_run=true&years={years}")
        assert len(answer.json["added"]) == years


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("?years=11", {"years"}),
        ("?years=0&mode=both", {"years", "mode"}),
        ("?timed=perhaps&dry_run=maybe", {"timed", "dry_run"}),
        ("?time_zone=Europe/Atlantis", {"time_zone"}),
        ("?mode=merge&mode=merge", {"mode"}),
        ("?horizon=5", {"horizon"}),
    ],
)
async def test_wrong_parameters_are_named(
    server: Server, path: str, query: str, wrong: set[str]
) -> None:
    answer = await load(server, path, CHRISTMAS, query=query)
    assert answer.status == 422
    assert {it["path"] for it in answer.json["errors"]} == wrong


async def test_what_is_wrong_in_the_file_is_told_by_line_and_property(
    server: Server, path: str
) -> None:
    answer = await load(server, path, CHRISTMAS, "UID:1\nSUMMARY:Party\nDTSTART:soon")
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert (error["row"], error["column"], error["code"]) == (13, "DTSTART", "value")
    assert answer.json["detail"].startswith("line 13: event 2 (Party): ")
    assert await days(server, path) == []


@pytest.mark.parametrize(
    ("raw", "media_type", "status", "code"),
    [
        (b"<html></html>", ICALENDAR, 422, "validation_failed"),
        (b"", ICALENDAR, 422, "validation_failed"),
        (b"\xff\xfe", ICALENDAR, 422, "validation_failed"),
        (b" " * (MAX_BYTES + 1), ICALENDAR, 413, "payload_too_large"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
        (ics(CHRISTMAS).encode(), f"{ICALENDAR}; charset=latin1", 415, "unsupported_media_type"),
    ],
)
async def test_other_bodies_are_refused(
    server: Server, path: str, raw: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await load(server, path, raw=raw, Content_Type=media_type)
    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_calendar_that_has_changed_keeps_its_days(server: Server, path: str) -> None:
    for query in ("", "?dry_run=true"):
        answer = await load(server, path, CHRISTMAS, query=query, If_Match='"7"')
        assert answer.status == 412
    assert (await load(server, path, CHRISTMAS, If_Match='"1"')).status == 200


async def test_an_import_that_is_repeated_is_carried_out_once(server: Server, path: str) -> None:
    first = await load(server, path, CHRISTMAS, Idempotency_Key="once")
    await server.request("PATCH", path, {"days": []})
    again = await load(server, path, CHRISTMAS, Idempotency_Key="once")
    assert again.json == first.json
    assert await days(server, path) == []


async def test_the_import_is_in_the_audit_log(server: Server, path: str) -> None:
    await load(server, path, CHRISTMAS)
    tenant = path.rpartition("/calendars/")[0]
    logs = await server.request("GET", f"{tenant}/audit-logs?resource_type=calendar")
    newest = max(logs.json["data"], key=lambda it: it["revision"])
    assert newest["action"] == "updated"
    assert newest["after"]["days"] == [_CHRISTMAS]


async def test_a_calendar_that_is_not_there_takes_no_file(server: Server, path: str) -> None:
    collection = path.rpartition("/")[0]
    nowhere = f"{collection}/{UUID(int=0)}"
    assert (await load(server, nowhere, raw=b"anything")).status == 404
    assert (await server.request("GET", f"{nowhere}/export")).status == 404


async def test_a_calendar_comes_out_as_a_file_that_gives_the_same_days(
    server: Server, path: str
) -> None:
    leap = {"month": 2, "day": 29, "label": "Leap; day, with\\signs"}
    given = [leap, _CHRISTMAS, _PARTY, {"date": f"{YEAR + 1}-01-02", "label": ""}]
    await server.request("PATCH", path, {"days": given, "name": "Tage für Ünna"})
    present = await days(server, path)
    answer = await server.request("GET", f"{path}/export")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert (
        "filename*=UTF-8''Tage%20f%C3%BCr%20%C3%9Cnna.ics" in answer.headers["content-disposition"]
    )
    calendar = icalendar.Calendar.from_ical(answer.body)
    assert [str(it["SUMMARY"]) for it in calendar.walk("VEVENT")] == [it["label"] for it in present]
    assert len({it["UID"] for it in calendar.walk("VEVENT")}) == 4
    again = await load(server, path, raw=answer.body, query="?dry_run=true")
    assert (again.json["unchanged"], again.json["added"]) == (4, [])
    assert (again.json["changed"], again.json["removed"]) == ([], [])


async def test_an_empty_calendar_is_a_file_without_events(server: Server, path: str) -> None:
    answer = await server.request("GET", f"{path}/export")
    assert icalendar.Calendar.from_ical(answer.body).walk("VEVENT") == []
