"""What becomes of the recorded calls, scenario by scenario."""

from __future__ import annotations

import functools
import random
from collections import Counter
from uuid import UUID

import attrs
import pytest

from nizam.esl.event import SwitchEvent
from nizam.events.normalise import Normaliser
from nizam.model.events import Event, envelope_bytes
from tests.events.replaying import (
    ACME,
    GLOBEX,
    Replayed,
    feed,
    normaliser,
    recorded,
    step_of,
)

JSON, PLAIN = "calls/esl/events-json-all", "calls/esl/events-plain-all"


@functools.cache
def calls() -> Replayed:
    return feed(normaliser(), recorded(JSON))


@functools.cache
def calls_of(step: str) -> tuple[tuple[Event, ...], ...]:
    """The events of each call that began in this step, in the order of their beginnings."""
    started = sorted(
        (it for it in calls().events if it.type == "call.started"), key=lambda it: it.occurred_at
    )
    return tuple(
        tuple(calls().of_call(it.call_id))
        for it in started
        if it.call_id and step_of("calls", it.occurred_at) == step
    )


@pytest.mark.parametrize(
    ("step", "types"),
    [
        (
            "acme 1001->1002 answered, caller hangs up",
            "started ringing answered bridged ended",
        ),
        ("echo + DTMF by RFC2833", "started answered ended"),
        (
            "bridged + DTMF by SIP INFO",
            "started answered bridged dtmf dtmf dtmf ended",
        ),
        (
            "bridged, hold and unhold by re-INVITE",
            "started answered bridged held resumed ended",
        ),
        (
            "blind transfer by SIP REFER 1001->1002, REFER to 1003",
            "started answered bridged transferred ringing bridged ended",
        ),
        (
            "blind transfer by uuid_transfer of the a-leg to 9197",
            "started answered bridged transferred ended",
        ),
        ("no answer -> voicemail, message left", "started ringing answered ended missed"),
        ("declined 603", "started ringing ended"),
        ("user not registered -> voicemail", "started answered ended missed"),
        ("early media 183 then answer", "started ringing bridged answered ended"),
        ("DID inbound 12025550101 -> acme 1001", "started ringing answered bridged ended"),
        ("DID unknown (404)", "started ended"),
        ("gateway down: outbound call fails", "started ended"),
        (
            "ring group simultaneous: 1002 answers, 1001 lost race",
            "started ringing ringing answered bridged ended",
        ),
        ("ring group nobody answers", "started ringing ringing ended missed"),
        ("IVR: digit 1 -> transfer", "started answered dtmf ended"),
        (
            "click to call: originate user/1001 then bridge 1002",
            "started ringing answered ringing bridged ended",
        ),
        (
            "record_session / stop_record_session in the dialplan",
            "started answered recording.started recording.stopped ended",
        ),
    ],
)
def test_a_call_tells_its_story_in_events(step: str, types: str) -> None:
    [events] = calls_of(step)
    assert " ".join(it.type.removeprefix("call.") for it in events) == types


@pytest.mark.parametrize(
    ("step", "tenant", "direction", "parties", "result", "cause", "hangup_by"),
    [
        (
            "acme 1001->1002 answered, caller hangs up",
            *(ACME, "internal", "1001>1002", "answered", "NORMAL_CLEARING", "caller"),
        ),
        (
            "globex 1001->1002 answered, caller hangs up (same extension numbers, other tenant)",
            *(GLOBEX, "internal", "1001>1002", "answered", "NORMAL_CLEARING", "caller"),
        ),
        (
            "acme 1002->1001 answered, callee hangs up",
            *(ACME, "internal", "1002>1001", "answered", "NORMAL_CLEARING", "callee"),
        ),
        (
            "busy 486 -> voicemail",
            *(GLOBEX, "internal", "1001>1002", "voicemail", "NORMAL_CLEARING", "caller"),
        ),
        (
            "declined 603",
            *(ACME, "internal", "1001>1002", "rejected", "CALL_REJECTED", "callee"),
        ),
        (
            "extension not in dialplan (404)",
            *(ACME, "internal", "1001>9999", "failed", "NO_ROUTE_DESTINATION", "system"),
        ),
        (
            "DID inbound 12025550201 -> globex 1001",
            *(GLOBEX, "inbound", "13105550999>12025550201", "answered"),
            *("NORMAL_CLEARING", "caller"),
        ),
        (
            "DID unknown (404)",
            *(None, "inbound", "13105550999>12025559999", "failed"),
            *("NO_ROUTE_DESTINATION", "system"),
        ),
        (
            "outbound call through the gateway",
            *(ACME, "outbound", "1001>012025550777", "answered", "NORMAL_CLEARING", "caller"),
        ),
        (
            "gateway down: outbound call fails",
            *(ACME, "internal", "1001>012025550777", "failed", "GATEWAY_DOWN", "system"),
        ),
        (
            "ring group nobody answers",
            *(ACME, "internal", "1003>2000", "no_answer", "NORMAL_CLEARING", "system"),
        ),
        (
            "voicemail check with a password",
            *(ACME, "internal", "1002>4000", "answered", "NORMAL_CLEARING", "caller"),
        ),
    ],
)
def test_the_end_of_a_call_sums_it_up(
    step: str,
    tenant: UUID | None,
    direction: str,
    parties: str,
    result: str,
    cause: str,
    hangup_by: str,
) -> None:
    [ended] = [event for events in calls_of(step) for event in events if event.type == "call.ended"]
    data = ended.data
    assert (
        ended.tenant_id,
        data["direction"],
        f"{data['from']}>{data['to']}",
        data["result"],
        data["hangup_cause"],
        data["hangup_by"],
    ) == (tenant, direction, parties, result, cause, hangup_by)


def test_a_caller_who_gives_up_while_it_rings_has_cancelled_and_the_call_is_missed() -> None:
    *_, events = calls_of("caller cancels while ringing")
    assert [it.type for it in events][-2:] == ["call.ended", "call.missed"]
    assert (events[-1].data["result"], events[-1].data["hangup_by"]) == ("cancelled", "caller")


@pytest.mark.parametrize(
    ("step", "reason", "voicemail"),
    [
        ("no answer -> voicemail, message left", "no_answer", True),
        ("busy 486 -> voicemail", "busy", True),
        ("user not registered -> voicemail", "unavailable", True),
        ("ring group nobody answers", "no_answer", False),
    ],
)
def test_a_missed_call_says_why(step: str, reason: str, voicemail: bool) -> None:
    [events] = calls_of(step)
    missed = events[-1]
    assert missed.type == "call.missed"
    assert (missed.data["reason"], missed.data["voicemail"]) == (reason, voicemail)


def test_every_call_begins_once_and_ends_once() -> None:
    for kind in ("call.started", "call.ended"):
        counts = Counter(it.call_id for it in calls().events if it.type == kind)
        assert len(counts) == 80
        assert set(counts.values()) == {1}


def test_events_carry_the_switch_own_time_to_the_microsecond() -> None:
    [started, *_] = calls_of("acme 1001->1002 answered, caller hangs up")[0]
    assert started.occurred_at.isoformat() == "2026-11-23T23:05:31.896196+00:00"
    assert (started.sequence, started.core_id) == (600, "4fb4fae7-8b2d-440b-8903-24ad9988defd")


def test_phones_that_sign_in_and_out_are_told_with_their_tenant() -> None:
    found = Counter(
        (it.type, it.tenant_id) for it in calls().events if it.type.startswith("registration.")
    )
    assert found == {
        ("registration.registered", ACME): 3,
        ("registration.registered", GLOBEX): 3,
        ("registration.unregistered", GLOBEX): 2,
        ("registration.failed", ACME): 2,
        ("registration.failed", None): 1,
    }


def test_gateways_are_told_when_they_change_and_not_at_every_ping() -> None:
    found = [
        (it.type, it.data["gateway"]) for it in calls().events if it.type.startswith("gateway.")
    ]
    assert found == [
        ("gateway.down", "globex-trunk"),
        ("gateway.down", "acme-trunk"),
        ("gateway.down", "static-trunk"),
        ("gateway.up", "acme-trunk"),
        ("gateway.down", "acme-trunk"),
    ]


def test_plain_and_json_streams_give_the_same() -> None:
    plain = feed(normaliser(), recorded(PLAIN))
    assert {envelope_bytes(it) for it in plain.events} == {
        envelope_bytes(it) for it in calls().events
    }
    assert set(plain.legs) == set(calls().legs)


def test_events_that_come_twice_change_nothing() -> None:
    twice = [event for event in recorded(JSON) for _ in range(2)]
    replayed = feed(normaliser(), twice)
    assert {it.id for it in replayed.events} == {it.id for it in calls().events}
    assert set(replayed.legs) == set(calls().legs)


@pytest.mark.parametrize("seed", range(5))
def test_events_out_of_turn_change_nothing(seed: int) -> None:
    """Neighbours are swapped, as FreeSWITCH itself does under load."""
    events, lot = list(recorded(JSON)), random.Random(seed)
    index = 0
    while index < len(events) - 1:
        if lot.random() < 0.1 and close_by(events[index], events[index + 1]):
            events[index : index + 2] = events[index : index + 2][::-1]
            index += 1
        index += 1
    replayed = feed(normaliser(), events)
    assert Counter(it.type for it in replayed.events) == Counter(it.type for it in calls().events)
    assert {it.leg_id for it in replayed.legs} == {it.leg_id for it in calls().legs}


def close_by(first: SwitchEvent, second: SwitchEvent) -> bool:
    times = [int(it.get("Event-Date-Timestamp") or 0) for it in (first, second)]
    return abs(times[0] - times[1]) < 100_000


@pytest.mark.parametrize("stream", ["load/events-json-all-48MB", "load/events-plain-all-48MB"])
@pytest.mark.time_limit(60)
def test_under_load_every_leg_that_ended_is_told(stream: str) -> None:
    events = recorded(stream)
    replayed = feed(normaliser(), events)
    ended = {it.get("Unique-ID") for it in events if it.name == "CHANNEL_HANGUP_COMPLETE"}
    assert {str(leg.leg_id) for leg in replayed.legs} == ended
    assert len(ended) > 400
    recorded.cache_clear()


class TestTenantOfACall:
    """Told by our variables, by the dialplan lookup, by the domain or by another leg."""

    def first(self) -> SwitchEvent:
        """A call to a DID: nothing in it tells the tenant."""
        return next(
            it
            for it in recorded(JSON)
            if it.name == "CHANNEL_CREATE" and it.get("Caller-Destination-Number") == "12025559999"
        )

    def test_events_wait_for_the_lookup_and_then_carry_its_tenant(self) -> None:
        known: dict[str, tuple[UUID, UUID]] = {}
        target, event = normaliser(known.get), self.first()
        assert target.feed(event, 1.0).events == []
        call_id = UUID(event.get("Unique-ID"))
        assert target.tick(5.9).events == []
        [started] = target.learn(call_id, ACME).events
        assert (started.type, started.tenant_id) == ("call.started", ACME)

    def test_after_five_seconds_they_go_without(self) -> None:
        target = normaliser()
        target.feed(self.first(), 1.0)
        [started] = target.tick(6.0).events
        assert (started.type, started.tenant_id) == ("call.started", None)

    def test_a_lookup_before_the_event_needs_no_waiting(self) -> None:
        event = self.first()
        call_id = UUID(event.get("Unique-ID"))
        [started] = normaliser({str(call_id): (GLOBEX, call_id)}.get).feed(event, 1.0).events
        assert started.tenant_id == GLOBEX

    def test_our_variable_comes_before_the_domain(self) -> None:
        event = next(it for it in recorded(JSON) if it.name == "CHANNEL_CREATE")
        assert event.get("variable_domain_name") == "acme.example.test"
        ours = SwitchEvent(
            event.name, dict(event.headers) | {"variable_nizam_tenant_id": str(GLOBEX)}
        )
        [started] = normaliser().feed(ours, 1.0).events
        assert started.tenant_id == GLOBEX

    def test_an_unknown_domain_is_nobodys(self) -> None:
        replayed = feed(normaliser(domains={}), recorded(JSON))
        assert {it.tenant_id for it in replayed.events} == {None}
        assert len(replayed.ended()) == 80


class TestReconciliation:
    """Legs that are gone and legs that are there, without any event."""

    def upto_the_first_bridge(self) -> tuple[Normaliser, Replayed]:
        target, events = normaliser(), recorded(JSON)
        end = next(index for index, it in enumerate(events) if it.name == "CHANNEL_BRIDGE")
        return target, feed(target, events[: end + 1])

    def test_a_ghost_call_ends_when_its_last_leg_is_closed(self) -> None:
        target, replayed = self.upto_the_first_bridge()
        [call] = list(target.calls)
        ended = []
        for leg in calls().legs:
            if leg.leg_id in call.channels:
                at = leg.ended_at
                assert at is not None
                gone = attrs.evolve(leg, from_events=False, reconciled=True)
                ended += target.end_leg(gone, at, 0, 9.0).events
                assert target.end_leg(gone, at, 0, 9.0).events == []
        assert [(it.type, it.data["reconciled"]) for it in ended] == [("call.ended", True)]
        assert list(target.calls) == []
        assert replayed.ended() == {}
