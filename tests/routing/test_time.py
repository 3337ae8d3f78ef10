"""Time conditions on the wall clock: over midnight, over both changes of daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from nizam.model.time_condition import Rule
from nizam.routing.plan import Hangup, Playback
from nizam.routing.time import begun, local_time
from tests.routing.tenants import Tenants, identifier, recorded_tenants

OFFICE = {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:30"}
NIGHT = {"weekdays": ["fri"], "from": "22:00", "to": "06:00"}


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "zone", "moment", "expected"),
    [
        # 2026-11-24 is a Tuesday; Berlin is UTC+1 in winter.
        (OFFICE, "Europe/Berlin", "2026-11-24T07:59:59", False),
        (OFFICE, "Europe/Berlin", "2026-11-24T08:00:00", True),
        (OFFICE, "Europe/Berlin", "2026-11-24T16:29:59", True),
        (OFFICE, "Europe/Berlin", "2026-11-24T16:30:00", False),
        (OFFICE, "Europe/Berlin", "2026-11-28T10:00:00", False),
        (OFFICE, "America/New_York", "2026-11-24T08:00:00", False),
        (OFFICE, "America/New_York", "2026-11-24T14:00:00", True),
        # in summer the same hours are an hour earlier in UTC
        (OFFICE, "Europe/Berlin", "2026-07-21T06:59:59", False),
        (OFFICE, "Europe/Berlin", "2026-07-21T07:00:00", True),
        # Berlin, 2026-03-29: 02:00 becomes 03:00, so 02:30 does not exist
        ({"from": "02:00", "to": "03:00"}, "Europe/Berlin", "2026-03-29T00:59:59", False),
        ({"from": "02:00", "to": "03:00"}, "Europe/Berlin", "2026-03-29T01:00:00", False),
        ({"from": "01:00", "to": "04:00"}, "Europe/Berlin", "2026-03-29T01:00:00", True),
        # Berlin, 2026-10-25: 03:00 becomes 02:00, so 02:30 comes twice
        ({"from": "02:00", "to": "03:00"}, "Europe/Berlin", "2026-10-25T00:30:00", True),
        ({"from": "02:00", "to": "03:00"}, "Europe/Berlin", "2026-10-25T01:30:00", True),
        ({"from": "02:00", "to": "03:00"}, "Europe/Berlin", "2026-10-25T02:00:00", False),
        # a night belongs to the day on which it begins; 2026-11-27 is a Friday
        (NIGHT, "UTC", "2026-11-27T21:59:00", False),
        (NIGHT, "UTC", "2026-11-27T22:00:00", True),
        (NIGHT, "UTC", "2026-11-28T05:59:59", True),
        (NIGHT, "UTC", "2026-11-28T06:00:00", False),
        (NIGHT, "UTC", "2026-11-27T03:00:00", False),
        (NIGHT, "UTC", "2026-11-28T22:30:00", False),
        # from and to alike: the whole day
        ({"weekdays": ["tue"], "from": "00:00", "to": "00:00"}, "UTC", "2026-11-24T23:59:00", True),
        (
            {"weekdays": ["tue"], "from": "00:00", "to": "00:00"},
            "UTC",
            "2026-11-25T00:00:00",
            False,
        ),
        ({"weekdays": ["tue"]}, "Pacific/Auckland", "2026-11-23T12:00:00", True),
        ({"dates": {"from": "2026-12-24", "to": "2026-12-26"}}, "UTC", "2026-12-26T23:59:59", True),
        (
            {"dates": {"from": "2026-12-24", "to": "2026-12-26"}},
            "UTC",
            "2026-12-27T00:00:00",
            False,
        ),
        ({"month_days": [1, 31]}, "UTC", "2026-12-31T12:00:00", True),
        ({"month_days": [1, 31]}, "UTC", "2026-12-30T12:00:00", False),
        ({"month_days": [1], "weekdays": ["tue"]}, "UTC", "2026-12-01T12:00:00", True),
        ({"month_days": [1], "weekdays": ["mon"]}, "UTC", "2026-12-01T12:00:00", False),
    ],
)
def test_when_a_rule_holds(rule: dict[str, Any], zone: str, moment: str, expected: bool) -> None:
    local = local_time(_utc(moment), zone)
    assert (begun(Rule.model_validate_json(orjson.dumps(rule)), local) is not None) is expected


@pytest.fixture
def tenants() -> Tenants:
    return recorded_tenants()


@pytest.mark.parametrize(
    ("changes", "moment", "expected"),
    [
        ({}, "2026-11-24T15:00:00", Playback("open.wav")),
        ({}, "2026-11-24T09:00:00", Hangup("USER_BUSY")),
        ({"time_zone": "Europe/Berlin"}, "2026-11-24T09:00:00", Playback("open.wav")),
        ({"override": "match"}, "2026-11-24T03:00:00", Playback("open.wav")),
        ({"override": "otherwise"}, "2026-11-24T15:00:00", Hangup("USER_BUSY")),
        ({"rules": []}, "2026-11-24T15:00:00", Hangup("USER_BUSY")),
    ],
)
def test_a_time_condition_sends_calls_one_way_or_the_other(
    tenants: Tenants, changes: dict[str, Any], moment: str, expected: Any
) -> None:
    tenants.put(
        "time_condition",
        "acme/7000",
        {
            "number": "7000",
            "name": "Office",
            "rules": [OFFICE],
            "match_destination": {"type": "play", "sound": "open.wav"},
            "otherwise_destination": {"type": "hangup", "cause": "USER_BUSY"},
        }
        | changes,
    )
    decision = tenants.dial("7000", now=_utc(moment))
    assert expected in decision.plan
    assert any(it.step == "time" for it in decision.trace)


def test_a_route_is_used_only_in_its_hours(tenants: Tenants) -> None:
    tenants.put(
        "time_condition",
        "acme/hours",
        {
            "name": "Office",
            "rules": [OFFICE],
            "match_destination": {"type": "hangup"},
            "otherwise_destination": {"type": "hangup"},
        },
    )
    tenants.put(
        "outbound_route",
        "acme/national",
        {
            "name": "National",
            "patterns": ["+1."],
            "gateways": [{"gateway_id": str(identifier("acme/one"))}],
            "time_condition_id": str(identifier("acme/hours")),
        },
    )
    at = {"open": _utc("2026-11-24T15:00:00"), "closed": _utc("2026-11-24T03:00:00")}
    assert tenants.dial("12025550777", now=at["open"]).outcome == "routed"
    assert tenants.dial("12025550777", now=at["closed"]).outcome == "not_found"
