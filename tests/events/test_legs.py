"""Legs whose caller FreeSWITCH has overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.esl.event import SwitchEvent
from nizam.events.legs import Leg, leg_from_event, leg_from_json_cdr

LEG = "a14dff0c-93da-48e2-b860-2c4c35b43e2f"


def profile(number: str) -> dict[str, Any]:
    caller = {"uuid": LEG, "caller_id_number": number, "caller_id_name": f"Phone {number}"}
    return {"times": {"created_time": "1795872408789988"}, "caller_profile": caller}


def from_record(direction: str) -> Leg:
    """1002 has fetched the parked call of 1001: the newest profile, which is first, has 1001."""
    variables = {"uuid": LEG, "direction": direction}
    callflow = [profile("1001"), profile("1002")]
    return leg_from_json_cdr({"variables": variables, "callflow": callflow}, "fs1")


def from_event(direction: str) -> Leg:
    headers = {
        "Event-Name": "CHANNEL_HANGUP_COMPLETE",
        "Unique-ID": LEG,
        "Call-Direction": direction,
        "Caller-Channel-Created-Time": "1795872408789988",
        "Caller-Caller-ID-Number": "1001",
        "Caller-Caller-ID-Name": "Phone 1001",
        "variable_original_caller_id_number": "1002",
        "variable_original_caller_id_name": "Phone 1002",
    }
    leg = leg_from_event(SwitchEvent("CHANNEL_HANGUP_COMPLETE", headers), "fs1")
    assert leg is not None
    return leg


@pytest.mark.parametrize("read", [from_record, from_event])
@pytest.mark.parametrize(("direction", "caller"), [("inbound", "1002"), ("outbound", "1001")])
def test_who_called_is_as_it_was_before_a_bridge_of_two_callers(
    read: Any, direction: str, caller: str
) -> None:
    leg = read(direction)
    assert (leg.caller_number, leg.caller_name) == (caller, f"Phone {caller}")
