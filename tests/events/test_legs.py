"""Legs whose caller FreeSWITCH has overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.esl.event import SwitchEvent
from nizam.events.legs import Leg, leg_from_event, leg_from_json_cdr

LEG = "a14dff0c-93da-48e2-b860-2c4c35b43e2f"


def from_record(direction: str) -> Leg:
    """1002 has fetched the parked call of 1001, and is written as 1001 now."""
    variables = {"uuid": LEG, "direction": direction, "sip_from_display": "Phone 1002"}
    caller = {"caller_id_number": "1001", "caller_id_name": "Phone 1001", "ani": "1002"}
    times = {"created_time": "1795872408789988"}
    callflow = [{"times": times, "caller_profile": caller}]
    return leg_from_json_cdr({"variables": variables, "callflow": callflow}, "fs1")


def from_event(direction: str) -> Leg:
    headers = {
        "Unique-ID": LEG,
        "Call-Direction": direction,
        "Caller-Channel-Created-Time": "1795872408789988",
        "Caller-Caller-ID-Number": "1001",
        "Caller-Caller-ID-Name": "Phone 1001",
        "Caller-ANI": "1002",
        "variable_sip_from_display": "Phone 1002",
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
