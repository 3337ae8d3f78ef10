"""Which greeting callers hear, by the mailbox's own choice."""

from __future__ import annotations

import pytest

from nizam.fsxml.dialplan import actions
from nizam.routing.plan import Voicemail
from tests.routing.tenants import ACME, last, recorded_tenants


@pytest.mark.parametrize(
    ("greeting", "data"),
    [
        (None, f"default {ACME} 1003"),
        (3, f"%[voicemail_greeting_number=3]default {ACME} 1003"),
    ],
)
def test_the_greeting_that_is_chosen_holds_for_this_mailbox_alone(
    greeting: int | None, data: str
) -> None:
    tenants = recorded_tenants()
    tenants.extension("acme/1003", voicemail={"enabled": True, "greeting": greeting})
    step = last(tenants.dial("*991003"))
    assert step == Voicemail(ACME, "1003", greeting)
    *_, action = actions((step,))
    assert action == ("voicemail", data)
