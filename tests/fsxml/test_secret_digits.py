"""What callers press that may be a PIN comes into no event and no log of the switch."""

from __future__ import annotations

import attrs
import pytest

from nizam.fsxml.dialplan import actions, render
from nizam.fsxml.request import XmlRequest, call_request
from nizam.routing.decision import Decision
from nizam.routing.plan import (
    CollectDigits,
    Conference,
    Plan,
    RunIvr,
    Step,
    Voicemail,
    VoicemailCheck,
)

HIDE, SHOW = ("set", "sensitive_dtmf=true"), ("unset", "sensitive_dtmf")
DOMAIN = "acme.example.test"
COLLECT = CollectDigits("nizam_flow_number", 1, 8, attempts=1, timeout=1, digit_timeout=1)
DECISION = Decision((RunIvr("menu"),), (), "routed", "")


@pytest.mark.parametrize(
    "step",
    [VoicemailCheck(DOMAIN), Voicemail(DOMAIN, "1001"), Conference("room-1"), COLLECT],
    ids=lambda it: type(it).__name__,
)
def test_digits_are_hidden_where_they_may_be_a_pin(step: Step) -> None:
    [first, second, *rest] = actions((step,))
    assert (first, second[0] in {"voicemail", "conference", "play_and_get_digits"}) == (HIDE, True)
    assert rest == ([SHOW] if step is COLLECT else [])


def test_what_is_chosen_in_a_menu_is_no_secret() -> None:
    assert HIDE not in list(actions((RunIvr("menu"),)))


@pytest.mark.parametrize("hidden", [True, False])
def test_a_call_that_goes_on_elsewhere_shows_its_digits_again(hidden: bool) -> None:
    before = b"&variable_sensitive_dtmf=true" if hidden else b""
    request = call_request(XmlRequest(b"section=dialplan&Hunt-Context=acme" + before))
    document = render(DECISION, DOMAIN, digits_hidden=request.digits_hidden)
    assert (b'application="unset" data="sensitive_dtmf"' in document) is hidden


def test_they_stay_hidden_where_it_goes_to_another_pin() -> None:
    plan: Plan = (Conference("room-2"),)
    document = render(attrs.evolve(DECISION, plan=plan), DOMAIN, digits_hidden=True)
    assert document.index(b"unset") < document.index(b"sensitive_dtmf=true")
