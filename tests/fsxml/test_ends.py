"""How a call ends that nobody has taken: with the cause that was decided, at the phone too."""

from __future__ import annotations

import pytest

from nizam.fsxml.dialplan import actions
from nizam.routing.plan import Bridge, ContinueOn, Hangup, UserLeg

LEG = UserLeg(number="1001", domain="acme.example.test")


@pytest.mark.parametrize(
    ("continue_on", "rendered"),
    [("never", "false"), ("always", "true"), (("USER_BUSY",), "USER_BUSY")],
)
def test_a_bridge_says_when_the_call_goes_on_whatever_an_earlier_answer_said(
    continue_on: ContinueOn, rendered: str
) -> None:
    [first, *_] = actions((Bridge(legs=(LEG,), continue_on=continue_on),))
    assert first == ("set", f"continue_on_fail={rendered}")


def test_the_same_is_not_said_twice() -> None:
    twice = tuple(actions((Bridge(legs=(LEG,)), Bridge(legs=(LEG,)))))
    assert [it for it in twice if it[1].startswith("continue_on_fail=")] == [
        ("set", "continue_on_fail=false")
    ]


def test_a_cause_that_is_decided_is_not_hidden_by_what_a_phone_has_said() -> None:
    *_, before, last = actions((Bridge(legs=(LEG,)), Hangup(cause="USER_BUSY")))
    assert (before, last) == (("set", "sip_ignore_remote_cause=true"), ("hangup", "USER_BUSY"))
