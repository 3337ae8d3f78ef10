"""Legs that FreeSWITCH makes apart from the channel of their call: the phones of a page."""

from __future__ import annotations

from uuid import UUID

from nizam.esl.event import SwitchEvent
from nizam.events.channels import Calls
from nizam.events.normalise import Normaliser

CALL, LEG = UUID(int=1), UUID(int=2)


def test_a_leg_belongs_to_the_call_that_its_variables_name() -> None:
    calls = Calls(lambda domain: None, lambda channel: None)
    headers = {"Unique-ID": str(LEG), "Call-Direction": "outbound"}
    # As conference_outcall makes it: no link to the caller, and no variables yet.
    calls.find(SwitchEvent("CHANNEL_OUTGOING", headers))
    created = {**headers, "variable_nizam_call_id": str(CALL)}
    found = calls.find(SwitchEvent("CHANNEL_CREATE", created))
    assert found is not None
    assert (found[0].call_id, found[1].leg_id) == (CALL, LEG)
    assert len(calls) == 1


def test_what_it_was_taken_for_until_then_is_shown_no_more() -> None:
    normaliser = Normaliser("fs1", tenant_of_domain=lambda _: None, lookup=lambda _: None)
    headers = {"Unique-ID": str(LEG), "Call-Direction": "outbound"}
    shown = normaliser.feed(SwitchEvent("CHANNEL_OUTGOING", headers), 0.0).changed
    assert [call.call_id for call in shown.values() if call.live] == [LEG]
    created = {**headers, "variable_nizam_call_id": str(CALL)}
    changed = normaliser.feed(SwitchEvent("CHANNEL_CREATE", created), 0.0).changed
    assert {key: bool(call.live) for key, call in changed.items()} == {LEG: False, CALL: True}
