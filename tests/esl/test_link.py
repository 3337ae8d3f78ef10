"""The link: up, down and up again, at the times it promises."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import attrs
import pytest
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from nizam.errors import ConnectionGone, SwitchError, SwitchUnavailable, TimeoutExceeded
from nizam.esl.errors import EslUsageError
from nizam.esl.interface import ISwitchLink
from nizam.esl.link import EslLink
from nizam.esl.protocol import MAX_UNANSWERED
from nizam.esl.retry import FIRST, LONGEST, retry_delay
from nizam.esl.session import Refusal, SwitchEvent
from nizam.esl.subscription import CALL_CONTROL, Subscription
from tests import recordings
from tests.esl.switchboard import (
    ACCEPTED,
    GREETING,
    RUDE_REJECTION,
    SUBSCRIBED,
    WRONG_PASSWORD,
    Switchboard,
    Wire,
    api_response,
    json_event,
    reply,
)

T = TypeVar("T")
HEARTBEAT_ONLY = Subscription(("HEARTBEAT",))
NOTICE = b"Content-Type: text/disconnect-notice\nContent-Length: 12\n\nSee you\nbye\n"


@attrs.define
class Listener:
    """What a link told."""

    said: list[str] = attrs.Factory(list)
    events: list[tuple[SwitchEvent, float]] = attrs.Factory(list)

    def on_event(self, event: SwitchEvent, received_at: float) -> None:
        self.events.append((event, received_at))

    def on_up(self) -> None:
        self.said.append("up")

    def on_down(self, reason: str) -> None:
        self.said.append(f"down: {reason}")

    def on_refused(self, refusal: Refusal, detail: str) -> None:
        self.said.append(f"refused: {refusal.value}: {detail}")


@pytest.fixture
def switchboard() -> Iterator[Switchboard]:
    board = Switchboard()
    board.advance(1000)
    yield board
    left = [call for call in board.getDelayedCalls() if call.active()]
    assert left == [], "a stopped link leaves nothing on the clock"


@pytest.fixture
def listener() -> Listener:
    return Listener()


def make_link(
    switchboard: Switchboard, listener: Listener, subscription: Subscription | None = None
) -> EslLink:
    return EslLink(
        switchboard,
        switchboard.endpoint(),
        "ClueCon",
        subscription=subscription,
        on_event=listener.on_event,
        on_up=listener.on_up,
        on_down=listener.on_down,
        on_refused=listener.on_refused,
        random=lambda: 1.0,
    )


@pytest.fixture
def link(switchboard: Switchboard, listener: Listener) -> Iterator[EslLink]:
    """A link for commands, started."""
    link = make_link(switchboard, listener, CALL_CONTROL)
    link.startService()
    yield link
    if link.running:
        stop(link, switchboard)


@pytest.fixture
def event_link(switchboard: Switchboard, listener: Listener) -> Iterator[EslLink]:
    """A link for events, started."""
    link = make_link(switchboard, listener, HEARTBEAT_ONLY)
    link.startService()
    yield link
    if link.running:
        stop(link, switchboard)


@pytest.fixture
def wire(link: EslLink, switchboard: Switchboard) -> Wire:
    """The command link's connection, up."""
    return switchboard.accept_and_authenticate(subscribed=True)


def stop(link: EslLink, switchboard: Switchboard) -> None:
    stopped = link.stopService()
    switchboard.advance(5)
    assert stopped.called


def is_up(link: EslLink) -> bool:
    return link.connected


def start(awaitable: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(awaitable)


def result(deferred: Deferred[T]) -> T:
    """The result that is there already; raises what it failed with."""
    results: list[T] = []
    failures: list[BaseException] = []
    deferred.addCallbacks(results.append, lambda failure: failures.append(failure.value))
    if failures:
        raise failures[0]
    assert results, "there is no result yet"
    return results[0]


# -- coming up -----------------------------------------------------------------------------------


def test_it_authenticates_subscribes_and_then_is_up(
    link: EslLink, switchboard: Switchboard, listener: Listener
) -> None:
    verifyObject(ISwitchLink, link)
    wire = switchboard.accept()
    assert wire.heard() == b""
    wire.say(GREETING)
    assert wire.heard() == b"auth ClueCon\n\n"
    wire.say(ACCEPTED)
    assert wire.heard() == b"event json BACKGROUND_JOB\n\n"
    assert (is_up(link), listener.said) == (False, [])
    wire.say(SUBSCRIBED)
    assert (is_up(link), listener.said) == (True, ["up"])


def test_without_a_subscription_authentication_is_enough(
    switchboard: Switchboard, listener: Listener
) -> None:
    link = make_link(switchboard, listener)
    link.startService()
    switchboard.accept_and_authenticate(subscribed=False)
    assert is_up(link)
    stop(link, switchboard)


def test_events_come_with_their_time_of_arrival(
    event_link: EslLink, switchboard: Switchboard, listener: Listener
) -> None:
    wire = switchboard.accept_and_authenticate(subscribed=True)
    switchboard.advance(2.5)
    wire.say(json_event("HEARTBEAT"), json_event("SHUTDOWN"))
    assert [(event.name, at) for event, at in listener.events] == [
        ("HEARTBEAT", 1002.5),
        ("SHUTDOWN", 1002.5),
    ]


def test_what_a_listener_raises_harms_neither_the_link_nor_later_events(
    switchboard: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def on_event(event: SwitchEvent, received_at: float) -> None:
        heard.append(event.name)
        raise RuntimeError("a bug in the listener")

    def on_up() -> None:
        raise RuntimeError("another one")

    link = EslLink(
        switchboard, switchboard.endpoint(), "pw", on_event=on_event, on_up=on_up, name="fs1"
    )
    link.startService()
    wire = switchboard.accept_and_authenticate(subscribed=False)
    wire.say(json_event("API"), json_event("DTMF"))
    assert heard == ["API", "DTMF"]
    assert is_up(link)
    stop(link, switchboard)


# -- coming back ---------------------------------------------------------------------------------


def test_the_first_retry_comes_within_250_ms_and_the_later_ones_within_15_s(
    link: EslLink, switchboard: Switchboard
) -> None:
    waits = []
    for attempt in range(1, 12):
        assert switchboard.attempts == attempt
        switchboard.refuse()
        began = switchboard.seconds()
        while switchboard.attempts == attempt:
            switchboard.advance(0.05)
        waits.append(switchboard.seconds() - began)
    assert waits[0] <= 0.25 + 0.05
    assert waits == sorted(waits)
    assert waits[-1] <= 15 + 0.05
    assert waits[-1] > 14


@pytest.mark.parametrize("failures", [1, 2, 7, 1000, 10**9])
def test_jitter_stays_within_the_upper_half_of_the_bound(failures: int) -> None:
    least, most = retry_delay(failures, 0.0), retry_delay(failures, 1.0)
    assert FIRST / 2 <= least == most / 2
    assert most <= LONGEST
    assert least <= retry_delay(failures, 0.3) <= most


def test_a_lost_connection_is_told_and_made_again(
    link: EslLink, wire: Wire, switchboard: Switchboard, listener: Listener
) -> None:
    switchboard.advance(60)
    wire.break_off()
    assert not is_up(link)
    assert listener.said[0] == "up"
    assert listener.said[1].startswith("down: ")
    switchboard.advance(0.25)
    switchboard.accept_and_authenticate(subscribed=True)
    assert is_up(link)
    assert listener.said[2:] == ["up"]


def test_connections_that_last_only_moments_make_the_waits_grow(
    link: EslLink, switchboard: Switchboard
) -> None:
    for _ in range(6):
        switchboard.accept_and_authenticate(subscribed=True).break_off()
        switchboard.advance(15)
    attempts = switchboard.attempts
    switchboard.accept_and_authenticate(subscribed=True).break_off()
    switchboard.advance(10)
    assert switchboard.attempts == attempts
    switchboard.advance(5)
    wire = switchboard.accept_and_authenticate(subscribed=True)
    switchboard.advance(6)
    wire.break_off()
    switchboard.advance(0.25)
    assert switchboard.attempts == attempts + 2


@pytest.mark.parametrize(
    ("frames", "alarm"),
    [
        ((GREETING, WRONG_PASSWORD, NOTICE), "refused: wrong_password: -ERR invalid"),
        ((RUDE_REJECTION, NOTICE), "refused: access_denied: Access Denied, go away."),
        (
            (GREETING, ACCEPTED, reply("-ERR no keywords supplied")),
            "refused: subscription_denied: -ERR no keywords supplied",
        ),
    ],
)
def test_a_refusal_raises_an_alarm_and_waits_60_seconds(
    frames: tuple[bytes, ...],
    alarm: str,
    link: EslLink,
    switchboard: Switchboard,
    listener: Listener,
) -> None:
    wire = switchboard.accept()
    wire.say(*frames)
    wire.break_off()
    assert listener.said == [alarm]
    switchboard.advance(59)
    assert switchboard.attempts == 1
    switchboard.advance(1.1)
    assert switchboard.attempts == 2
    switchboard.refuse()
    switchboard.advance(0.5)
    assert switchboard.attempts == 3


def test_a_peer_that_refuses_but_does_not_close_is_closed(
    link: EslLink, switchboard: Switchboard
) -> None:
    wire = switchboard.accept()
    wire.say(GREETING, WRONG_PASSWORD)
    switchboard.advance(5)
    assert wire.end() == "aborted"


# -- deadlines -----------------------------------------------------------------------------------


def test_a_connection_attempt_has_ten_seconds(link: EslLink, switchboard: Switchboard) -> None:
    switchboard.advance(9.9)
    assert switchboard.attempts == 1
    switchboard.advance(0.1)
    switchboard.advance(0.25)
    assert switchboard.attempts == 2


@pytest.mark.parametrize("said", [b"", GREETING, GREETING + ACCEPTED, b"Content-Type: auth/"])
def test_authentication_and_subscription_have_ten_seconds_from_the_attempt(
    said: bytes, link: EslLink, switchboard: Switchboard, listener: Listener
) -> None:
    switchboard.advance(4)
    wire = switchboard.accept()
    if said:
        wire.say(said)
    switchboard.advance(5.9)
    assert not wire.end()
    switchboard.advance(0.1)
    assert wire.end() == "aborted"
    assert listener.said == []
    switchboard.advance(0.25)
    assert switchboard.attempts == 2


def test_silence_where_heartbeats_are_due_ends_the_connection_after_45_s(
    event_link: EslLink, switchboard: Switchboard, listener: Listener
) -> None:
    wire = switchboard.accept_and_authenticate(subscribed=True)
    for _ in range(10):
        switchboard.advance(20)
        wire.say(json_event("HEARTBEAT"))
    switchboard.pump([1] * 44)
    assert is_up(event_link)
    switchboard.advance(1)
    assert wire.end() == "aborted"
    assert listener.said == ["up", "down: no heartbeat for 45 s"]


def test_silence_is_normal_where_no_heartbeat_was_asked_for(
    link: EslLink, wire: Wire, switchboard: Switchboard
) -> None:
    switchboard.advance(3600)
    assert is_up(link)


def test_after_a_disconnect_notice_events_still_count_and_the_peer_has_five_seconds_to_close(
    event_link: EslLink, switchboard: Switchboard, listener: Listener
) -> None:
    wire = switchboard.accept_and_authenticate(subscribed=True)
    wire.say(NOTICE)
    assert not is_up(event_link)
    switchboard.advance(1)
    wire.say(json_event("SHUTDOWN"), NOTICE)
    assert [event.name for event, _ in listener.events] == ["SHUTDOWN"]
    switchboard.advance(5)
    assert wire.end() == "aborted"
    assert listener.said == ["up", "down: FreeSWITCH closes: See you"]


@pytest.mark.parametrize("garbage", [b"\n\n", b"HTTP/1.1 200 OK\n\n", reply("+OK to nothing")])
def test_a_breach_of_the_protocol_closes_and_connects_again(
    garbage: bytes, link: EslLink, wire: Wire, switchboard: Switchboard, listener: Listener
) -> None:
    wire.say(json_event("API"), garbage, json_event("DTMF"))
    assert wire.end() == "aborted"
    assert [event.name for event, _ in listener.events] == ["API"]
    assert listener.said[1].startswith("down: FreeSWITCH broke the protocol: ")
    switchboard.advance(0.25)
    assert switchboard.attempts == 2


# -- commands ------------------------------------------------------------------------------------


def test_each_command_is_written_at_once_and_whole(link: EslLink, wire: Wire) -> None:
    first, second = start(link.api("status", 5)), start(link.api("version", 5))
    assert wire.heard() == b"api status\n\napi version\n\n"
    wire.say(api_response("UP\n"), api_response("1.11\n\n"))
    assert result(first) == "UP"
    assert result(second) == "1.11\n"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (api_response("-ERR No such channel!\n"), "No such channel!"),
        (api_response("-USAGE: <uuid>\n"), "-USAGE: <uuid>"),
        (reply("-ERR permission denied"), "permission denied"),
        (api_response("-ERR\n"), "-ERR"),
    ],
)
def test_an_error_answer_is_a_switch_error_with_its_text(
    answer: bytes, detail: str, link: EslLink, wire: Wire
) -> None:
    answered = start(link.api("uuid_kill x", 5))
    wire.say(answer)
    with pytest.raises(SwitchError) as raised:
        result(answered)
    assert raised.value.detail == detail


def job_uuid_of(command: bytes) -> str:
    return command.decode().split("Job-UUID: ")[1].strip()


def test_a_background_job_ends_with_its_event(
    link: EslLink, wire: Wire, listener: Listener
) -> None:
    answered = start(link.bgapi("originate user/1 &park", 5))
    sent = wire.heard()
    job = job_uuid_of(sent)
    assert sent == f"bgapi originate user/1 &park\nJob-UUID: {job}\n\n".encode()
    wire.say(reply(f"+OK Job-UUID: {job}"))
    assert not answered.called
    event = {"Job-UUID": job, "_body": "+OK 28af\\n"}
    wire.say(json_event("BACKGROUND_JOB", **event))
    assert result(answered) == "+OK 28af"
    assert listener.events == []


def test_a_background_job_may_fail(link: EslLink, wire: Wire) -> None:
    answered = start(link.bgapi("originate user/1 &park", 5))
    event = {"Job-UUID": job_uuid_of(wire.heard()), "_body": "-ERR USER_BUSY\\n"}
    wire.say(json_event("BACKGROUND_JOB", **event))
    with pytest.raises(SwitchError, match="USER_BUSY"):
        result(answered)


def test_a_late_answer_is_a_timeout_and_does_not_shift_the_next_ones(
    link: EslLink, wire: Wire, switchboard: Switchboard
) -> None:
    late = start(link.api("msleep 9000", 2))
    switchboard.advance(2)
    with pytest.raises(TimeoutExceeded):
        result(late)
    next_one = start(link.api("status", 2))
    wire.say(api_response("slept"), api_response("UP"))
    assert result(next_one) == "UP"


def test_a_cancelled_command_does_not_shift_the_next_ones(link: EslLink, wire: Wire) -> None:
    cancelled = start(link.api("msleep 9000", 2))
    cancelled.cancel()
    with pytest.raises(CancelledError):
        result(cancelled)
    next_one = start(link.api("status", 2))
    wire.say(api_response("slept"), api_response("UP"))
    assert result(next_one) == "UP"


def test_a_job_that_nobody_waits_for_any_more_is_an_event(
    link: EslLink, wire: Wire, switchboard: Switchboard, listener: Listener
) -> None:
    late = start(link.bgapi("originate user/1 &park", 2))
    job = job_uuid_of(wire.heard())
    wire.say(reply(f"+OK Job-UUID: {job}"))
    switchboard.advance(2)
    with pytest.raises(TimeoutExceeded):
        result(late)
    event = {"Job-UUID": job}
    wire.say(json_event("BACKGROUND_JOB", **event))
    assert [event.name for event, _ in listener.events] == ["BACKGROUND_JOB"]


def test_commands_in_flight_end_as_maybe_executed_when_the_connection_ends(
    link: EslLink, wire: Wire
) -> None:
    pending = [start(link.api("status", 60)), start(link.bgapi("status", 60))]
    wire.break_off()
    for deferred in pending:
        with pytest.raises(ConnectionGone) as raised:
            result(deferred)
        assert raised.value.maybe_executed


def test_without_a_connection_a_command_fails_at_once_and_was_not_executed(
    link: EslLink, switchboard: Switchboard
) -> None:
    def attempt() -> None:
        with pytest.raises(ConnectionGone) as raised:
            result(start(link.api("status", 60)))
        assert not raised.value.maybe_executed

    attempt()
    switchboard.accept().say(GREETING)
    attempt()


def test_nothing_is_sent_for_a_command_with_a_line_end(link: EslLink, wire: Wire) -> None:
    with pytest.raises(EslUsageError):
        result(start(link.api("status\n\napi shutdown", 60)))
    assert wire.heard() == b""


def test_unanswered_commands_are_bounded(link: EslLink, wire: Wire) -> None:
    pending = [start(link.api("status", 60)) for _ in range(MAX_UNANSWERED)]
    with pytest.raises(SwitchUnavailable, match="wait for FreeSWITCH already"):
        result(start(link.api("status", 60)))
    wire.say(api_response("UP") * MAX_UNANSWERED)
    assert {result(deferred) for deferred in pending} == {"UP"}


# -- stopping ------------------------------------------------------------------------------------


def test_stopping_says_exit_and_closes(
    link: EslLink, wire: Wire, switchboard: Switchboard, listener: Listener
) -> None:
    stopped = link.stopService()
    assert wire.heard() == b"exit\n\n"
    assert wire.end() == "closed"
    assert stopped.called
    assert listener.said == ["up", "down: stopped"]
    switchboard.advance(120)
    assert switchboard.attempts == 1


def test_stopping_waits_for_answers_but_takes_no_new_commands(link: EslLink, wire: Wire) -> None:
    pending = start(link.api("status", 60))
    stopped, stopped_too = link.stopService(), link.stopService()
    assert not is_up(link)
    with pytest.raises(ConnectionGone):
        result(start(link.api("version", 60)))
    ended: list[None] = []
    stopped.addCallback(ended.append)
    stopped_too.addCallback(ended.append)
    assert ended == []
    wire.say(api_response("UP"))
    assert result(pending) == "UP"
    assert len(ended) == 2


def test_stopping_waits_five_seconds_at_most(
    link: EslLink, wire: Wire, switchboard: Switchboard
) -> None:
    pending = start(link.api("msleep 60000", 60))
    stopped = link.stopService()
    switchboard.advance(5)
    assert wire.end() == "aborted"
    assert stopped.called
    with pytest.raises(ConnectionGone):
        result(pending)


def test_stopping_ends_a_connection_attempt(link: EslLink, switchboard: Switchboard) -> None:
    stopped = link.stopService()
    assert stopped.called
    switchboard.advance(120)
    assert switchboard.attempts == 1


def test_stopping_ends_authentication(link: EslLink, switchboard: Switchboard) -> None:
    wire = switchboard.accept()
    wire.say(GREETING)
    stopped = link.stopService()
    assert wire.end() == "closed"
    assert stopped.called


def test_stopping_ends_the_wait_for_the_next_attempt(
    link: EslLink, switchboard: Switchboard
) -> None:
    switchboard.refuse()
    assert link.stopService().called
    switchboard.advance(120)
    assert switchboard.attempts == 1


def test_a_stopped_link_can_be_started_again(link: EslLink, switchboard: Switchboard) -> None:
    link.stopService()
    assert link.stopService().called
    link.startService()
    link.startService()
    assert switchboard.attempts == 2
    switchboard.accept_and_authenticate(subscribed=True)
    assert is_up(link)


# -- recorded traffic ----------------------------------------------------------------------------


def test_every_recorded_event_reaches_the_listener(
    switchboard: Switchboard, listener: Listener
) -> None:
    link = make_link(switchboard, listener, Subscription(("ALL",)))
    link.startService()
    wire = switchboard.accept()
    wire.say(recordings.stream("calls/esl/events-json-all"))
    assert len(listener.events) == 5274
    wire.break_off()
    stop(link, switchboard)
