"""Every type of destination, walked from a phone through the daemon to where it leads.

A new destination or feature adds its story and names it in WALKS: make what it needs with
`town.make`, let a phone dial, and say what is reached, heard, shown or pressed
(nizam/sim/stage.py). Stories of a walk share a daemon, one after the other; each begins with all
phones hung up and answering after two seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from nizam.dev.demo import DID, DOMAIN
from nizam.sim.people import Manner
from tests.daemon.process import until
from tests.daemon.walking import Town
from tests.daemon.walking import town as town_of
from tests.webhooks.receiver import Answer, Receiver

pytestmark = pytest.mark.time_limit(60)

BUSY = Manner("is busy")
SILENT = Manner("lets it ring")

Story = Callable[[Town], Awaitable[None]]


@pytest_twisted.async_yield_fixture
async def town(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    from twisted.internet import reactor

    async with town_of(reactor, database, redis_url, tmp_path) as made:
        yield made


def _members(town: Town, **fields: Any) -> list[dict[str, Any]]:
    """Ben and Cora, as members of a ring group."""
    return [{"extension_id": town.extensions[it], **fields} for it in ("1002", "1003")]


async def extension_and_voicemail(town: Town) -> None:
    call = town.anna.dials("1002")
    await call.reaches("bridged 1002")
    assert (town.ben.shown.name, town.ben.shown.number) == ("Ada Lovelace", "1001")
    town.ben.hangs_up()
    await call.ended()

    for manner in (BUSY, SILENT):
        town.ben.will(manner)
        missed = town.anna.dials("1002")
        await missed.reaches(f"voicemail 1002@{DOMAIN}")
        town.anna.hangs_up()
        assert (await missed.ended()).answered > 0

    box = await town.make(
        "time-conditions",
        name="To the box",
        number="6100",
        match_destination={"type": "voicemail", "id": town.extensions["1003"]},
        otherwise_destination={"type": "voicemail", "id": town.extensions["1003"]},
    )
    assert box
    leaving = town.anna.dials("6100")
    await leaving.reaches(f"voicemail 1003@{DOMAIN}")


async def mailboxes_here_and_at_the_switch_agree(town: Town) -> None:
    api, messages = town.site.api, f"/api/v1/tenants/{town.site.tenant_id}/voicemail-messages"
    town.cora.will(BUSY)
    call = town.anna.dials("1003")
    await call.reaches(f"voicemail 1003@{DOMAIN}")
    await call.ended()
    held = town.stage.exchange.core.messages
    mine = [it for it in held if (it.user, it.cid_number) == ("1003", "1001")]
    assert mine
    found: list[dict[str, Any]] = []

    async def all_there() -> bool:
        found[:] = (await api.request("GET", f"{messages}?mailbox=1003"))["data"]
        return [it["state"] for it in found] == ["available"] * len(mine)

    assert await until(town.stage.exchange.core.clock, all_there, 10.0), found
    assert [it["call_id"] for it in reversed(found)] == [it.uuid for it in mine]
    [newest, *_] = found
    await api.request("PATCH", f"{messages}/{newest['id']}", {"read": True})
    assert mine[-1].read > 0
    await api.request("DELETE", f"{messages}/{newest['id']}")
    assert mine[-1] not in held


async def ring_group_connects_who_answers(town: Town) -> None:
    for number, strategy, cause in (
        ("2100", "simultaneous", "LOSE_RACE"),
        ("2110", "sequence", "ALLOTTED_TIMEOUT"),
    ):
        await _ring_group(town, number, strategy, cause)


async def _ring_group(town: Town, number: str, strategy: str, cause: str) -> None:
    await town.rest()
    members = [
        {"extension_id": town.extensions[it], "timeout_seconds": 6} for it in ("1002", "1003")
    ]
    await town.make("ring-groups", number=number, name=strategy, strategy=strategy, members=members)
    town.ben.will(SILENT)
    town.cora.will(Manner(ring=2.0))
    call = town.anna.dials(number)
    await call.reaches("bridged 1003")
    assert town.anna.heard == ["ringing"]
    assert town.ben.past_leg.cause == cause


async def ring_groups_of_the_other_strategies_try_everybody_and_then_fall_back(
    town: Town,
) -> None:
    members = [
        {"extension_id": town.extensions[it], "timeout_seconds": 5} for it in ("1002", "1003")
    ]
    fallback = {"type": "play", "sound": "ivr/ivr-nobody.wav"}
    town.ben.will(BUSY)
    town.cora.will(BUSY)
    for number, strategy in (("2101", "rollover"), ("2102", "random"), ("2103", "round_robin")):
        await town.make(
            "ring-groups",
            number=number,
            name=strategy,
            strategy=strategy,
            members=members,
            fallback=fallback,
        )
        call = await town.anna.dials(number).ended()
        assert {it for it in call.proofs if it.startswith("rang")} == {"rang 1002", "rang 1003"}
        assert town.anna.heard[-1] == "ivr/ivr-nobody.wav"


async def ring_group_member_must_confirm(town: Town) -> None:
    members = [{"extension_id": town.extensions["1002"], "confirm": True}]
    await town.make("ring-groups", number="2104", name="Sure", members=members)
    town.ben.will(Manner(ring=1.0, confirm="1"))
    await town.anna.dials("2104").reaches("bridged 1002")
    assert town.ben.heard[0].startswith("tone_stream://")


async def ivr(town: Town) -> None:
    inner = await town.make(
        "ivrs",
        number="5101",
        name="Inner",
        greeting_long="ivr/ivr-inner.wav",
        digit_length=1,
        timeout_seconds=2,
        entries=[{"digits": "7", "destination": town.to("1003")}],
    )
    await town.make(
        "ivrs",
        number="5100",
        name="Outer",
        greeting_long="ivr/ivr-outer.wav",
        invalid_sound="ivr/ivr-invalid.wav",
        digit_length=4,
        timeout_seconds=2,
        max_failures=2,
        max_timeouts=2,
        direct_dial=True,
        entries=[
            {"digits": "1", "destination": town.to("1002")},
            {"digits": "2", "destination": {"type": "ivr", "id": inner}},
        ],
        timeout_destination={"type": "play", "sound": "ivr/ivr-timeout.wav"},
        invalid_destination={"type": "play", "sound": "ivr/ivr-wrong.wav"},
    )
    chosen = town.anna.dials("5100", answering_prompts=("1",))
    await chosen.reaches("bridged 1002")
    town.anna.hangs_up()
    await chosen.ended()
    nested = town.anna.dials("5100", answering_prompts=("2", "7"))
    await nested.reaches("bridged 1003")
    assert "ivr/ivr-inner.wav" in town.anna.heard
    town.anna.hangs_up()
    await nested.ended()
    direct = town.anna.dials("5100", answering_prompts=("1003",))
    await direct.reaches("bridged 1003")
    town.anna.hangs_up()
    await direct.ended()
    for keys, sound in ((("",), "timeout"), (("8", "9"), "wrong"), (("1999", "1999"), "wrong")):
        call = await town.anna.dials("5100", answering_prompts=keys).ended()
        assert town.anna.heard[-1] == f"ivr/ivr-{sound}.wav", call.proofs


async def time_condition_and_routing_policy(town: Town) -> None:
    condition = await town.make(
        "time-conditions",
        number="6000",
        name="Hours",
        override="match",
        match_destination=town.to("1002"),
        otherwise_destination={"type": "hangup", "cause": "USER_BUSY"},
    )
    open_ = town.anna.dials("6000")
    await open_.reaches("bridged 1002")
    town.anna.hangs_up()
    await open_.ended()
    await town.change(f"time-conditions/{condition}", override="otherwise")
    assert (await town.anna.dials("6000").ended()).cause == "USER_BUSY"
    await town.make(
        "routing-policies",
        name="Not to Karen",
        applies_to="internal",
        condition={"type": "destination", "pattern": "1003"},
        action={"type": "reject", "cause": "CALL_REJECTED"},
    )
    assert (await town.anna.dials("1003").ended()).cause == "CALL_REJECTED"


async def conference(town: Town) -> None:
    await town.make(
        "conference-rooms",
        number="8100",
        name="Board",
        member_pin="1234",
        moderator_pin="9999",
        wait_for_moderator=True,
        max_members=2,
    )
    one = town.anna.dials("8100", answering_prompts=("1111", "1234"))
    await one.reaches("conference ")
    two = town.ben.dials("8100", answering_prompts=("9999",))
    await two.reaches("conference ")
    await town.anna.hears("conference of 2")
    full = await town.cora.dials("8100", answering_prompts=("1234",)).ended()
    assert "conference full" in full.proofs
    town.anna.presses("0")
    await town.anna.hears("conference muted")
    # Whoever ends the PIN with it stays.
    town.ben.presses("#")
    town.ben.presses("0")
    await town.ben.hears("conference muted")
    town.ben.hangs_up()
    await two.ended()


async def parking(town: Town) -> None:
    lot = await town.make(
        "parking-lots",
        number="700",
        name="Lot",
        slot_from="701",
        slot_to="702",
        timeout_seconds=20,
        return_destination=town.to("1003"),
    )
    assert lot
    parked = town.anna.dials("700")
    await parked.reaches("parked 701")
    fetching = town.ben.dials("701")
    await fetching.reaches("retrieved 701")
    await town.stage.until(lambda: town.anna.leg.other is town.ben.leg)
    town.ben.hangs_up()
    await parked.ended()
    again = town.anna.dials("700")
    await again.reaches("parked 701")
    town.cora.will(Manner(ring=1.0))
    await again.reaches("bridged 1003")


async def a_talked_to_call_is_parked_by_transfer(town: Town) -> None:
    call = town.anna.dials("1002")
    await call.reaches("bridged 1002")
    town.ben.refers_to("700")
    await call.reaches("parked 701")
    await town.cora.dials("701").reaches("retrieved 701")


async def did(town: Town) -> None:
    outside = town.stage.outside("13105550999")
    reaching = outside.dials(DID.removeprefix("+"))
    await reaching.reaches("bridged 100")
    outside.hangs_up()
    await reaching.ended()
    await town.make("dids", number="+12025550177", destination=town.to("1002"), label="Direct")
    await outside.dials("12025550177").reaches("bridged 1002")
    assert town.ben.shown.number.endswith("3105550999")
    wrong = await outside.dials("12025550999").ended()
    assert wrong.cause == "UNALLOCATED_NUMBER"


async def external_with_failover(town: Town) -> None:
    first = await town.make("gateways", name="First", host="192.0.2.10")
    second = await town.make("gateways", name="Second", host="192.0.2.20")
    switch = town.site.switch
    await town.make(
        "outbound-routes",
        name="National",
        patterns=["+1XXXXXXXXXX"],
        gateways=[{"gateway_id": first, "order": 0}, {"gateway_id": second, "order": 1}],
    )
    await town.make(
        "time-conditions",
        number="6200",
        name="Mobile",
        override="match",
        match_destination={"type": "external", "number": "+13125550123"},
        otherwise_destination={"type": "hangup"},
    )
    await town.stage.until(lambda: {first, second} <= switch.core.gateways.keys())
    through = town.anna.dials("6200")
    await through.reaches("bridged ")
    town.anna.hangs_up()
    await through.ended()
    switch.trunks.set_up(first, False)
    by_second = town.anna.dials("6200")
    await by_second.reaches("bridged ")
    town.anna.hangs_up()
    truth = await by_second.ended()
    assert {leg.role for leg in truth.legs} == {"internal", "gateway"}


async def play_and_hangup(town: Town) -> None:
    play: dict[str, Any] = {
        "type": "play",
        "sound": "ivr/ivr-one.wav",
        "then": {"type": "hangup", "cause": "USER_BUSY"},
    }
    await town.make(
        "time-conditions",
        number="6300",
        name="Play",
        override="match",
        match_destination=play,
        otherwise_destination=play,
    )
    call = await town.anna.dials("6300").ended()
    assert (call.cause, town.anna.heard) == ("USER_BUSY", ["ivr/ivr-one.wav"])


async def pickup_and_echo(town: Town) -> None:
    town.ben.will(SILENT)
    call = town.anna.dials("1002")
    await town.ben.rings()
    await town.calls_are_known(1)
    taking = town.cora.dials("**1002")
    await taking.reaches("intercepted 1001")
    await town.stage.until(lambda: town.anna.leg.other is town.cora.leg)
    town.anna.hangs_up()
    await call.ended()
    await taking.ended()
    await town.anna.dials("*9196").reaches("echo")


async def call_flow(town: Town) -> None:
    flow = await town.make(
        "call-flows",
        number="5300",
        name="Orders",
        start="welcome",
        nodes=[
            {"id": "welcome", "type": "play", "sound": "ivr/ivr-orders.wav", "next": "ask"},
            {
                "id": "ask",
                "type": "collect",
                "variable": "order",
                "max_digits": 4,
                "branches": [{"digits": "0", "next": "desk"}],
                "next": "bye",
                "timeout_next": "bye",
            },
            {"id": "desk", "type": "bridge", "destination": town.to("1002")},
            {"id": "bye", "type": "hangup"},
        ],
    )
    await town.act(f"call-flows/{flow}/publish")
    to_desk = town.anna.dials("5300", answering_prompts=("0#",))
    await to_desk.reaches("bridged 1002")
    assert town.anna.heard[0] == "ivr/ivr-orders.wav"
    await town.rest()
    told = await town.anna.dials("5300", answering_prompts=("4711",)).ended()
    assert "digits" in " ".join(told.proofs)
    assert town.ben.legs == []


async def call_flow_that_asks_a_server(town: Town) -> None:
    server = Receiver(town.site.reactor)
    server.start()
    # The first answer comes before the switch gives up waiting, the second long after.
    delays = iter((0.0, 2.5))
    server.behave["orders"] = lambda seen: Answer(200, (), b'{"state": "sent"}', next(delays))
    url = server.url("orders")
    desk = {"type": "bridge", "destination": town.to("1002"), "next": "sorry"}
    flow = await town.make(
        "call-flows",
        number="5310",
        name="Orders by number",
        start="ask",
        nodes=[
            {"id": "ask", "type": "collect", "variable": "order", "max_digits": 4, "next": "look"},
            {"id": "look", "type": "http", "url": url, "variable": "order", "next": "known",
             "error_next": "end"},
            {"id": "known", "type": "branch", "variable": "order_state", "next": "end",
             "branches": [{"value": "sent", "next": "desk"}]},
            {"id": "desk", **desk},
            {"id": "sorry", "type": "play", "sound": "ivr/ivr-sorry.wav", "next": "end"},
            {"id": "end", "type": "hangup"},
        ],
    )  # fmt: skip
    await town.act(f"call-flows/{flow}/publish")
    for count in (1, 2):
        await town.rest()
        town.ben.will(BUSY)
        call = town.anna.dials("5310", answering_prompts=("4711",))
        await call.ended(seconds=200.0)
        assert "ivr/ivr-sorry.wav" in town.anna.heard
        assert len(server.on("orders")) == count
    assert server.on("orders")[1].event["variables"] == {"order": "4711"}
    await server.stop()


async def do_not_disturb(town: Town) -> None:
    await town.ben.dials("*78").ended()
    assert town.ben.heard
    missed = town.anna.dials("1002")
    await missed.reaches("voicemail")
    await town.rest()
    await town.ben.dials("*78").ended()
    await town.anna.dials("1002").reaches("bridged 1002")


async def forwards_and_night_mode_by_code(town: Town) -> None:
    await town.ben.dials("*721003").ended()
    await town.anna.dials("1002").reaches("bridged 1003")
    await town.rest()
    await town.ben.dials("*72").ended()
    await town.anna.dials("1002").reaches("bridged 1002")
    await town.rest()
    office = await town.make(
        "time-conditions",
        number="6400",
        name="Office",
        override="match",
        match_destination=town.to("1002"),
        otherwise_destination=town.to("1003"),
    )
    await town.make("feature-codes", code="*27", feature="night_mode", time_condition_id=office)
    await town.anna.dials("*27").ended()
    await town.anna.dials("6400").reaches("bridged 1003")


async def a_call_is_recorded_on_demand(town: Town) -> None:
    await town.change(f"extensions/{town.extensions['1001']}", recording="on_demand")
    call = town.anna.dials("1002")
    await call.reaches("bridged 1002")
    town.anna.presses("*2")
    await town.stage.until(lambda: bool(town.anna.leg.recordings))
    (path,) = town.anna.leg.recordings
    assert path.endswith(f"/recordings/{town.anna.leg.uuid}.wav")
    town.anna.presses("*2")
    await town.stage.until(lambda: not town.anna.leg.recordings)
    await town.change(f"extensions/{town.extensions['1001']}", recording="never")


async def intercom_and_page(town: Town) -> None:
    call = town.anna.dials("*801002")
    await call.reaches("bridged 1002")
    town.anna.hangs_up()
    await call.ended()
    members = [{"extension_id": town.extensions[it]} for it in ("1002", "1003")]
    await town.make("feature-codes", code="*724", feature="page", members=members)
    paging = town.anna.dials("*724")
    await paging.reaches("conference page-")
    await town.stage.until(
        lambda: all("conference muted" in it.heard for it in (town.ben, town.cora))
    )
    town.anna.hangs_up()
    await paging.ended()
    await town.stage.until(lambda: not town.ben.legs + town.cora.legs)


WALKS: dict[str, tuple[Story, ...]] = {
    "phones": (
        extension_and_voicemail,
        mailboxes_here_and_at_the_switch_agree,
        time_condition_and_routing_policy,
        play_and_hangup,
    ),
    "ring groups": (
        ring_group_connects_who_answers,
        ring_groups_of_the_other_strategies_try_everybody_and_then_fall_back,
        ring_group_member_must_confirm,
    ),
    "menus and flows": (ivr, call_flow, call_flow_that_asks_a_server),
    "rooms and slots": (conference, parking, a_talked_to_call_is_parked_by_transfer),
    "outside": (did, external_with_failover),
    "feature codes": (pickup_and_echo, do_not_disturb, forwards_and_night_mode_by_code),
    "loudspeakers and recordings": (a_call_is_recorded_on_demand, intercom_and_page),
}


@pytest.mark.parametrize("walk", WALKS)
async def test_every_destination_leads_where_it_should(town: Town, walk: str) -> None:
    for story in WALKS[walk]:
        await town.rest()
        await story(town)
