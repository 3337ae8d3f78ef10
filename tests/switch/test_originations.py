"""What became of a placed call is told truly, also when the link is lost before the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import attrs
import pytest
from twisted.internet.defer import Deferred

from nizam.errors import SwitchUnavailable
from nizam.esl.interface import ISwitchLink
from nizam.esl.link import EslLink
from nizam.esl.subscription import CALL_CONTROL
from nizam.kv.single import SingleRedis
from nizam.model.events import Event
from nizam.switch.live import LiveState
from nizam.switch.originations import LOOK_SECONDS, LOST_SECONDS, Originations, Placed
from tests.esl.switchboard import Switchboard, Wire

CALL = UUID("5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b11")
TENANT = UUID("01937a5e-0000-7000-8000-000000000001")
PLACED = Placed(
    call_id=CALL,
    tenant_id=TENANT,
    node="fs1",
    kind="originate",
    from_number="1001",
    to_number="1002",
    requested_at=datetime(2026, 11, 28, tzinfo=UTC),
)
LINE = "originate 'user/1001@acme.example.test' 1002 XML acme.example.test"
RETRY_SECONDS = 1.0


@attrs.define
class Exchange:
    """Originations over a real link to a switch that the test plays; Redis is away."""

    board: Switchboard
    link: EslLink
    live: LiveState
    originations: Originations
    told: list[Event]

    @property
    def placed(self) -> Placed:
        found: Placed | None = _now(self.originations.find(CALL))
        assert found is not None
        return found

    def place(self) -> None:
        _now(self.originations.place(PLACED, LINE, 30))

    def connect(self) -> Wire:
        return self.board.accept_and_authenticate(subscribed=True)

    def show(self, state: str, legs: Sequence[dict[str, Any]] = ()) -> None:
        """The intake hears of the call."""
        ids = {"call_id": str(CALL), "tenant_id": str(TENANT)}
        document: dict[str, Any] = {**ids, "state": state, "legs": legs}
        self.live.put("calls", "fs1", str(CALL), document)


@pytest.fixture
def exchange() -> Exchange:
    board = Switchboard()
    link = EslLink(
        board, board.endpoint(), "ClueCon", subscription=CALL_CONTROL, random=lambda: 0.5
    )
    link.startService()

    class Links:
        def command_link(self, name: str | None = None) -> ISwitchLink:
            found: ISwitchLink = link
            return found

    live = LiveState(board)
    told: list[Event] = []

    def tell(events: Sequence[Event]) -> None:
        told.extend(events)

    away = SingleRedis(board, "127.0.0.1", 1, None)

    def now() -> datetime:
        return PLACED.requested_at + timedelta(seconds=board.seconds())

    placing = Originations(board, away, Links(), live, tell, now)
    return Exchange(board, link, live, placing, told)


def _now(work: Any) -> Any:
    """The result of what waits for nothing."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    assert found, "it waits"
    return found[0]


def _finish(wire: Wire, command: str, result: str) -> None:
    """The switch runs the background job of this command that it has just received."""
    heard = wire.heard().decode()
    found = re.search(rf"bgapi ({command}[^\n]*)\nJob-UUID: (\S+)", heard)
    assert found, heard
    _end(wire, found[2], result)


def _end(wire: Wire, job_id: str, result: str) -> None:
    job = f"Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job_id}\n\n"
    body = result.replace("\n", "\\n")
    event = f'{{"Event-Name":"BACKGROUND_JOB","Job-UUID":"{job_id}","_body":"{body}"}}'
    size = len(event)
    frame = f"Content-Length: {size}\nContent-Type: text/event-json\n\n{event}"
    wire.say(job.encode(), frame.encode())


@pytest.mark.parametrize(
    ("said", "state", "cause", "leg"),
    [
        (f"+OK {CALL}\n", "answered", None, CALL),
        ("-ERR USER_BUSY\n", "failed", "USER_BUSY", None),
        ("-ERR USER_NOT_REGISTERED\n", "failed", "USER_NOT_REGISTERED", None),
        ("-USAGE: <call url> <exten>\n", "failed", "-USAGE: <call url> <exten>", None),
    ],
)
def test_what_the_switch_says_is_the_outcome(
    exchange: Exchange, said: str, state: str, cause: str | None, leg: UUID | None
) -> None:
    wire = exchange.connect()
    exchange.place()
    assert exchange.placed.state == "dialling"
    _finish(wire, "originate", said)
    found = exchange.placed
    assert (found.state, found.cause, found.leg_id) == (state, cause, leg)
    events = [(it.type, it.data["cause"]) for it in exchange.told]
    assert events == ([] if cause is None else [("call.originate_failed", cause)])


def test_what_could_not_be_sent_was_not_placed(exchange: Exchange) -> None:
    exchange.place()
    assert (exchange.placed.state, exchange.placed.cause) == ("failed", "SWITCH_UNAVAILABLE")


def test_a_command_that_never_arrived_is_told_as_not_placed(exchange: Exchange) -> None:
    wire = exchange.connect()
    exchange.place()
    wire.break_off()
    assert exchange.placed.state == "unknown"
    assert exchange.told == []
    exchange.board.pump([RETRY_SECONDS])
    wire = exchange.connect()
    exchange.board.pump([LOOK_SECONDS] * 4)
    _finish(wire, f"uuid_exists {CALL}", "false")
    assert (exchange.placed.state, exchange.placed.cause) == ("failed", "NOT_PLACED")
    assert [it.data["cause"] for it in exchange.told] == ["NOT_PLACED"]


def test_a_call_that_came_about_all_the_same_is_found_by_its_id(exchange: Exchange) -> None:
    wire = exchange.connect()
    exchange.place()
    wire.break_off()
    exchange.show("ringing")
    exchange.board.pump([RETRY_SECONDS])
    wire = exchange.connect()
    exchange.board.pump([LOOK_SECONDS] * 4)
    _finish(wire, f"uuid_exists {CALL}", "true")
    assert exchange.placed.state == "unknown"
    exchange.show("answered")
    exchange.board.pump([LOOK_SECONDS])
    assert (exchange.placed.state, exchange.placed.leg_id) == ("answered", CALL)
    assert exchange.told == []


def test_of_several_phones_the_one_that_was_answered_is_told(exchange: Exchange) -> None:
    wire = exchange.connect()
    exchange.place()
    wire.break_off()
    states = {str(CALL): "ringing", str(TENANT): "answered"}
    legs = [{"leg_id": leg, "extension_id": None, "state": state} for leg, state in states.items()]
    exchange.show("answered", legs)
    exchange.board.pump([LOOK_SECONDS])
    assert (exchange.placed.state, exchange.placed.leg_id) == ("answered", TENANT)


def test_what_was_not_found_out_in_time_is_looked_at_when_somebody_asks(
    exchange: Exchange,
) -> None:
    _now(exchange.originations._keep(attrs.evolve(PLACED, state="unknown")))
    exchange.board.advance(LOST_SECONDS)
    assert exchange.placed.state == "unknown"
    exchange.board.advance(RETRY_SECONDS)
    wire = exchange.connect()
    found: list[Placed | None] = []
    for _ in range(2):
        Deferred.fromCoroutine(exchange.originations.find(CALL)).addCallback(found.append)
    heard = wire.heard().decode()
    for job in re.findall(rf"bgapi uuid_exists {CALL}\nJob-UUID: (\S+)", heard):
        _end(wire, job, "false")
    assert [it and it.state for it in found] == ["failed", "failed"]
    assert [it.data["cause"] for it in exchange.told] == ["ENDED_UNHEARD"]


def test_an_answer_that_never_comes_is_asked_about(exchange: Exchange) -> None:
    wire = exchange.connect()
    exchange.place()
    wire.heard()
    exchange.board.pump([46.0])
    states = [exchange.placed.state]
    _finish(wire, f"uuid_exists {CALL}", "false")
    assert [*states, exchange.placed.state] == ["unknown", "failed"]


def test_waiting_ends_with_the_outcome_or_with_the_time(exchange: Exchange) -> None:
    wire = exchange.connect()
    exchange.place()
    found: list[Placed] = []
    for seconds in (2.0, 20.0):
        waiting = exchange.originations.settled(exchange.placed, seconds)
        Deferred.fromCoroutine(waiting).addCallback(found.append)
    exchange.board.pump([2.0])
    assert [it.state for it in found] == ["dialling"]
    _finish(wire, "originate", f"+OK {CALL}\n")
    assert [it.state for it in found] == ["dialling", "answered"]


async def test_another_instance_knows_what_became_of_it(redis_url: str) -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    parts = urlsplit(redis_url)
    key_value = SingleRedis(clock, str(parts.hostname), int(parts.port or 0), parts.password)
    await key_value.start()

    class Links:
        def command_link(self, name: str | None = None) -> ISwitchLink:
            raise SwitchUnavailable("fs1 is not connected")

    live = LiveState(clock)
    one, other = (Originations(clock, key_value, Links(), live) for _ in range(2))
    try:
        await one._keep(attrs.evolve(PLACED, state="answered", leg_id=CALL))
        assert await other.find(CALL) == attrs.evolve(PLACED, state="answered", leg_id=CALL)
        assert await other.find(TENANT) is None
        # Its instance has died; the switch, which cannot be asked here, may know.
        await one._keep(PLACED)
        found = await other.find(CALL)
        assert found is not None
        assert found.state == "unknown"
    finally:
        await key_value.stop()
