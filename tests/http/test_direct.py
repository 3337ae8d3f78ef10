"""Lookups that are read without twisted.web's Request are answered as they are with it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs

from nizam.http.channel import BODY_SECONDS, SLOWEST_BYTES_PER_SECOND
from nizam.http.closing import SPREAD_SECONDS
from nizam.http.direct import DIRECT_HEAD, Answer, DirectResource
from nizam.http.server import BoundedSite
from tests.http.test_hostile_http import POST, REFUSED
from tests.recordings import http_requests

BODY = b"section=dialplan&Hunt-Destination-Number=1002"


def head(length: int = len(BODY), path: bytes = b"/lookup") -> bytes:
    """The head that libcurl sends."""
    return (
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:8088\r\nAuthorization: Basic ZnMxOnMzY3JldA==\r\n"
        b"User-Agent: freeswitch-xml/1.0\r\nAccept: */*\r\nContent-Length: %d\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    ) % (path, length)


WHOLE = head() + BODY
OTHERWISE = WHOLE.replace(b"Accept: */*", b"accept: */*")
"""The same request in a form that is left to twisted.web."""


class Lookups(DirectResource):
    """Keeps what it is asked, and answers with it, or with `answers` when there are any;
    `general` counts the requests that came through twisted.web."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.general = 0
        self.asked: list[tuple[bytes, bytes | None, str, bytes | None]] = []
        self.answers: list[Answer | Deferred[Answer]] = []

    def render(self, request: Any) -> Any:
        self.general += 1
        return super().render(request)

    def answer(
        self, method: bytes, authorization: bytes | None, address: str, body: bytes | None
    ) -> Answer | Deferred[Answer]:
        self.asked.append((method, authorization, address, body))
        if self.answers:
            return self.answers.pop(0)
        return Answer(200, b"text/xml; charset=utf-8", b"<%b>" % (body or b"none"))


class Caller:
    """One connection to a site that asks `lookups`."""

    def __init__(self, **bounds: Any) -> None:
        self.lookups = Lookups()
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        site = BoundedSite(self.lookups, self.clock, **bounds)
        site.direct = {b"/lookup": self.lookups}
        address = IPv4Address("TCP", "192.0.2.1", 1)
        self.channel: Any = site.buildProtocol(address)
        transport: Any = StringTransportWithDisconnection(  # type: ignore[no-untyped-call]
            peerAddress=address
        )
        transport.abortConnection = transport.loseConnection
        transport.protocol = self.channel
        self.transport = transport
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def got(self) -> bytes:
        """What was answered since the last time."""
        got: bytes = self.transport.value()
        self.transport.clear()
        return got


def fields(answer: bytes) -> dict[bytes, bytes]:
    """The status, the header without what names the software and the time, and the body."""
    before, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = before.split(b"\r\n")
    named = (line.partition(b": ") for line in lines)
    found = {name.lower(): value for name, _, value in named}
    assert found.pop(b"date").endswith(b" GMT")
    found.pop(b"server", None)
    return found | {b"": status, b"body": body}


def test_whatever_freeswitch_was_recorded_to_post_has_the_form() -> None:
    heads = [it["head"] for it in http_requests("calls") if it["path"] == "/freeswitch/xml"]
    assert len(heads) > 100
    assert [it for it in heads if DIRECT_HEAD.fullmatch(f"{it}\r\n\r\n".encode()) is None] == []


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"text/xml; charset=utf-8", b"<document/>"),
        Answer(401, b"text/plain", b"no\n", b'WWW-Authenticate: Basic realm="FreeSWITCH"\r\n'),
        Answer(503, b"text/plain", b""),
    ],
    ids=lambda it: str(it.status),
)
@pytest.mark.parametrize("later", [False, True])
def test_both_ways_ask_and_say_the_same(answer: Answer, later: bool) -> None:
    caller = Caller()
    said = []
    for request in (WHOLE, OTHERWISE):
        deferred: Deferred[Answer] = Deferred()
        caller.lookups.answers.append(deferred if later else answer)
        caller.send(request)
        if later:
            assert caller.got() == b""
            deferred.callback(answer)
        said.append(fields(caller.got()))
    assert said[0] == said[1]
    assert said[0][b"body"] == answer.body
    assert caller.lookups.asked[0] == caller.lookups.asked[1]
    assert caller.lookups.asked[0] == (
        b"POST",
        b"Basic ZnMxOnMzY3JldA==",
        "192.0.2.1",
        BODY,
    )
    assert caller.lookups.general == 1


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_a_request_in_pieces_is_one_request(cut: int) -> None:
    caller = Caller()
    caller.send(WHOLE[:cut])
    assert caller.lookups.asked == []
    caller.send(WHOLE[cut:])
    assert fields(caller.got())[b"body"] == b"<%b>" % BODY
    assert len(caller.lookups.asked) == 1
    assert caller.lookups.general == (cut < len(head()))


def test_the_date_is_that_of_the_second() -> None:
    caller = Caller()
    for _ in range(2):
        caller.send(WHOLE)
        assert b"\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in caller.got()
    caller.clock.advance(1)
    caller.send(WHOLE)
    assert b"\r\nDate: Tue, 14 Nov 2023 22:13:21 GMT\r\n" in caller.got()


@pytest.mark.parametrize(
    "other",
    [
        OTHERWISE,
        head(path=b"/elsewhere") + BODY,
        head(path=b"/lookup?a=1") + BODY,
        WHOLE.replace(b"POST", b"PUT"),
        WHOLE.replace(b"Accept: */*\r\n", b""),
        WHOLE.replace(b"Accept: */*\r\n", b"Accept: */*\r\nExpect: 100-continue\r\n"),
        WHOLE.replace(b"Accept: */*\r\n", b"Accept: */*\r\nConnection: keep-alive\r\n"),
        WHOLE.replace(b"Basic Z", b"Bearer Z"),
        WHOLE + WHOLE,
    ],
)
def test_any_other_form_is_left_to_twisted_web(other: bytes) -> None:
    caller = Caller()
    caller.send(other)
    assert caller.lookups.general > 0
    assert caller.got().count(b"HTTP/1.1 200 OK\r\n") == other.count(b"HTTP/1.1\r\n")


@pytest.mark.parametrize("shape", REFUSED.values(), ids=REFUSED)
def test_what_is_ambiguous_is_no_lookup(shape: bytes) -> None:
    caller = Caller()
    begin = b"POST /lookup HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nAccept: */*\r\n"
    caller.send(shape.replace(POST, begin) + WHOLE)
    assert caller.lookups.asked == []


@pytest.mark.parametrize("length", [b"5\r\nContent-Length: 5", b"5, 5", b"-1", b"", b"\x00"])
def test_a_length_that_is_none_is_no_lookup(length: bytes) -> None:
    caller = Caller()
    caller.send(WHOLE.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: " + length))
    assert caller.lookups.asked == []
    assert caller.got().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("length", [11, 9_999_999, 99_999_999])
def test_a_body_over_the_limit_of_the_path_is_not_read(length: int) -> None:
    caller = Caller(body_limits={b"/lookup": 10})
    caller.send(head(length) + BODY)
    assert [it[-1] for it in caller.lookups.asked] == [None]


def test_a_body_that_is_late_is_told_and_cut_off() -> None:
    caller = Caller()
    caller.send(head(9999) + BODY)
    seconds = BODY_SECONDS + 9999 / SLOWEST_BYTES_PER_SECOND
    for _ in range(int(seconds)):
        caller.clock.advance(1)
        caller.send(b"a")
    assert caller.transport.connected
    caller.clock.advance(1 + SPREAD_SECONDS)
    assert caller.got().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert not caller.transport.connected
    assert caller.lookups.asked == []


def test_a_connection_takes_requests_of_both_ways_in_turn() -> None:
    caller = Caller()
    for request in (WHOLE, OTHERWISE, WHOLE, WHOLE, OTHERWISE):
        caller.send(request)
    assert len(caller.lookups.asked) == 5
    assert caller.lookups.general == 2
    assert caller.got().count(b"HTTP/1.1 200 OK\r\n") == 5


def test_what_is_sent_early_waits_and_no_more_is_read() -> None:
    caller = Caller()
    deferred: Deferred[Answer] = Deferred()
    caller.lookups.answers.append(deferred)
    caller.send(WHOLE)
    caller.send(OTHERWISE)
    assert caller.transport.producerState == "paused"
    assert len(caller.lookups.asked) == 1
    deferred.callback(Answer(200, b"text/xml", b"first"))
    assert caller.transport.producerState == "producing"
    first, second = caller.got().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"first")
    assert second.endswith(b"<%b>" % BODY)


@pytest.mark.parametrize("answered", [False, True])
def test_a_server_that_stops_answers_first(answered: bool) -> None:
    caller = Caller()
    deferred: Deferred[Answer] = Deferred()
    if not answered:
        caller.lookups.answers.append(deferred)
    caller.send(WHOLE)
    caller.channel.finish()
    assert caller.transport.connected is not answered
    if not answered:
        assert not caller.channel.waiting
        deferred.callback(Answer(200, b"text/xml", b"last"))
        assert b"\r\nConnection: close\r\n" in caller.got()
        assert not caller.transport.connected


def test_nothing_more_is_asked_for_a_caller_that_is_gone() -> None:
    caller = Caller()
    deferred: Deferred[Answer] = Deferred()
    caller.lookups.answers.append(deferred)
    caller.send(WHOLE)
    caller.send(WHOLE)
    caller.transport.loseConnection()
    deferred.callback(Answer(200, b"text/xml", b"late"))
    assert len(caller.lookups.asked) == 1


def test_a_caller_whose_answer_cannot_be_given_is_cut_off() -> None:
    caller = Caller()
    deferred: Deferred[Answer] = Deferred()
    caller.lookups.answers.append(deferred)
    caller.send(WHOLE)
    with capturedLogs() as logged:
        deferred.errback(RuntimeError("a fault of ours"))
    assert not caller.transport.connected
    assert [it["log_format"] for it in logged] == ["an answer could not be written"]
