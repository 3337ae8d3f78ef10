"""Phones register one after another, with the recorded events."""

from __future__ import annotations

import json

import attrs
import pytest

from nizam.sim.replay import recorded_events
from nizam.sim.settings import User
from nizam.sim.switch import SimulatedSwitch
from tests.recordings import stream
from tests.sim.answering import AnsweringServer
from tests.sim.conftest import ACME, SCENERY, USERS, Connect, MakeSwitch

EVENTS = "event json MESSAGE_WAITING CUSTOM " + " ".join(
    f"sofia::{name}"
    for name in ("pre_register", "register_attempt", "register", "unregister", "register_failure")
)
OWN = {"nizam_tenant_id", "nizam_extension_id", "tenant_id", "accountcode", "callgroup"} | {
    "outbound_caller_id_number",
    "toll_allow",
}


def _recorded_names(subclass: str) -> list[str]:
    for event, frame in recorded_events(stream("calls/esl/events-json-all")):
        if event.subclass == subclass:
            pairs = json.loads(frame.partition(b"\n\n")[2], object_pairs_hook=list)
            return [name for name, _ in pairs if name not in OWN]
    raise AssertionError(f"{subclass} was not recorded")


@pytest.mark.parametrize(
    ("user", "expires", "subclass"),
    [
        (USERS[0], None, "sofia::pre_register"),
        (USERS[0], None, "sofia::register_attempt"),
        (USERS[0], None, "sofia::register"),
        (USERS[0], 0, "sofia::unregister"),
        (User("1001", ACME, "wrong"), None, "sofia::register_failure"),
    ],
)
async def test_an_event_has_the_recorded_headers_in_their_order(
    make_switch: MakeSwitch,
    client_of: Connect,
    user: User,
    expires: int | None,
    subclass: str,
) -> None:
    switch = make_switch()
    switch.listen()
    client = await client_of(switch)
    await client.say(EVENTS)
    await switch.phones.register(user, expires)
    await client.event(Event_Subclass=subclass)
    (pairs,) = [event for event in client.events if dict(event)["Event-Subclass"] == subclass][:1]
    assert [name for name, _ in pairs if name not in OWN] == _recorded_names(subclass)


async def test_a_registration_is_listed_and_an_unregistration_takes_it_away(
    switch: SimulatedSwitch,
) -> None:
    assert set(switch.core.registrations) == {
        (user.number, ACME, port) for port, user in enumerate(USERS, 7101)
    }
    assert await switch.phones.register(USERS[0], expires=0)
    assert not switch.core.contacts(USERS[0].number, ACME)


async def test_a_registration_is_refreshed_before_it_expires(
    make_switch: MakeSwitch, client_of: Connect
) -> None:
    switch = make_switch(scenery=attrs.evolve(SCENERY, users=USERS[:1], register_expires=1))
    await switch.start()
    client = await client_of(switch)
    await client.say(EVENTS)
    await client.event(Event_Subclass="sofia::register")


async def test_registers_are_looked_up_one_after_another(
    switch: SimulatedSwitch, answers: AnsweringServer
) -> None:
    switch.exchange.questions.flush()
    seen = len(answers.requests)
    both = [switch.exchange.spawn(switch.phones.register(user)) for user in USERS[:2]]
    for registering in both:
        await registering
    forms = [asked.form for asked in answers.requests[seen:]]
    assert [(form["action"], form["user"]) for form in forms] == [
        ("sip_auth", "1001"),
        ("sip_auth", "1002"),
    ]
