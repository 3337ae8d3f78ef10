"""What two servers could read differently is refused; the rest is one request and no other.

Over a real socket. Every refused form is followed by a sound request, which must not be served:
that is what a smuggler hopes for. Sources: RFC 9112; the shapes of PortSwigger's and Narf's
collections of request smuggling.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource

from nizam.http.server import BoundedSite

reactor: Any = installed_reactor
ONE = b"GET /one HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /post HTTP/1.1\r\nHost: a\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"

REFUSED = {
    # Two lengths.
    "two lengths that differ": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "length and chunks": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + HELLO,
    "chunks and length": POST + CHUNKED + b"Content-Length: 5\r\n\r\n" + HELLO,
    "length 0 and chunks": POST + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n" + HELLO,
    # Lengths that are none.
    "a length with a plus": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a length in hexadecimal": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length with a fraction": POST + b"Content-Length: 5.0\r\n\r\nhello",
    "a length with a space": POST + b"Content-Length: 5 0\r\n\r\nhello",
    "an empty length": POST + b"Content-Length:\r\n\r\nhello",
    "a length in words": POST + b"Content-Length: five\r\n\r\nhello",
    "a length of no possible size": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhello",
    "a length of 5,000 digits": POST + b"Content-Length: " + b"1" * 5000 + b"\r\n\r\nhello",
    # Encodings.
    "chunked twice in one field": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + HELLO,
    "chunked in two fields": POST + CHUNKED + CHUNKED + b"\r\n" + HELLO,
    "chunked, then identity": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + HELLO,
    "identity, then chunked": POST + b"Transfer-Encoding: identity\r\n" + CHUNKED + b"\r\n" + HELLO,
    "identity alone": POST + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + HELLO,
    "chunked, gzip": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + HELLO,
    "an encoding that nobody has": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + HELLO,
    "a quoted encoding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + HELLO,
    "an encoding with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + HELLO,
    "an encoding with a NUL": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n" + HELLO,
    "chunked in HTTP/1.0": b"POST /post HTTP/1.0\r\nHost: a\r\n" + CHUNKED + b"\r\n" + HELLO,
    # Field names.
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + HELLO,
    "a space within the name": POST + b"Content Length: 5\r\n\r\nhello",
    "a NUL in a name": ONE + b"X-\x00Field: 1\r\n\r\n",
    "an empty name": ONE + b": 1\r\n\r\n",
    "a field without colon": ONE + b"X-Field\r\n\r\n",
    "a name that is not ASCII": ONE + b"X-F\xc3\xafeld: 1\r\n\r\n",
    # Line ends and folds.
    "a folded field": ONE + b"X-Field: a\r\n b\r\n\r\n",
    "a folded length": POST + b"Content-Length:\r\n 5\r\n\r\nhello",
    "a fold before the first field": b"GET /one HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
    "a line feed alone in the header": ONE + b"X-Field: a\nContent-Length: 5\r\n\r\nhello",
    "line feeds alone everywhere": b"GET /one HTTP/1.1\nHost: a\n\n\r\n\r\n",
    "a carriage return alone": ONE + b"X-Field: a\rContent-Length: 5\r\n\r\nhello",
    "a line feed after the request line": b"GET /one HTTP/1.1\nHost: a\r\n\r\n",
    "a NUL in a value": ONE + b"X-Field: a\x00b\r\n\r\n",
    # Hosts.
    "no Host": b"GET /one HTTP/1.1\r\n\r\n",
    "two Hosts": ONE + b"Host: b\r\n\r\n",
    "the same Host twice": ONE + b"Host: a\r\n\r\n",
    "a Host with a space": b"GET /one HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a Host with a path": b"GET /one HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with a user": b"GET /one HTTP/1.1\r\nHost: x@a\r\n\r\n",
    "a target of another Host": b"GET http://b/one HTTP/1.1\r\nHost: a\r\n\r\n",
    # Request lines.
    "HTTP/0.9": b"GET /one\r\n\r\n",
    "HTTP/1.2": b"GET /one HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET /one HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version in small letters": b"GET /one http/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  /one HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab for a space": b"GET\t/one\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "a space at the end": b"GET /one HTTP/1.1 \r\nHost: a\r\n\r\n",
    "a space in the target": b"GET /one two HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL in the target": b"GET /one\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes beyond ASCII in the target": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /one#two HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target that is no path": b"GET one HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a star for GET": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a space": b" GET /one HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a bracket": b"G(T /one HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "an expectation": POST + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello",
    # Sizes.
    "a target that is too long": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a field that is too long": ONE + b"X-Field: " + b"a" * 20_000 + b"\r\n\r\n",
    "a field without end": ONE + b"X-Field: " + b"a" * 40_000,
    "too many fields": ONE + b"X-Field: a\r\n" * 100 + b"\r\n",
    "fields that are too long together": ONE + (b"X-Field: " + b"a" * 990 + b"\r\n") * 20 + b"\r\n",
    # Chunks.
    "a chunk size that is none": POST + CHUNKED + b"\r\nxyz\r\nhello\r\n0\r\n\r\n",
    "a negative chunk": POST + CHUNKED + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with 0x": POST + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a plus": POST + CHUNKED + b"\r\n+5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with an underscore": POST + CHUNKED + b"\r\n0_5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a space": POST + CHUNKED + b"\r\n5 \r\nhello\r\n0\r\n\r\n",
    "an empty chunk size": POST + CHUNKED + b"\r\n\r\nhello\r\n0\r\n\r\n",
    "a chunk that is too short": POST + CHUNKED + b"\r\n6\r\nhello\r\n0\r\n\r\n",
    "a chunk that is too long": POST + CHUNKED + b"\r\n4\r\nhello\r\n0\r\n\r\n",
    "a chunk ended by a line feed alone": POST + CHUNKED + b"\r\n5\r\nhello\n0\r\n\r\n",
    "a chunk size ended by a line feed alone": POST + CHUNKED + b"\r\n5\nhello\r\n0\r\n\r\n",
    "a NUL in a chunk extension": POST + CHUNKED + b"\r\n5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "a line feed in a chunk extension": POST + CHUNKED + b"\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    "an endless chunk extension": POST
    + CHUNKED
    + b"\r\n5;"
    + b"a" * 3000
    + b"\r\nhello\r\n0\r\n\r\n",
    "endless trailers": POST + CHUNKED + b"\r\n0\r\n" + b"X-Field: a\r\n" * 6000 + b"\r\n",
}

SERVED: dict[str, tuple[bytes, list[tuple[str, str, bytes]]]] = {
    "a plain request": (ONE + b"\r\n", [("GET", "/one", b"")]),
    "an empty line before it": (b"\r\n" + ONE + b"\r\n", [("GET", "/one", b"")]),
    "the target of a proxy": (
        b"GET http://a/one?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        [("GET", "/one?x=1", b"")],
    ),
    "a target without path": (b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", [("GET", "/", b"")]),
    "a body on a GET": (ONE + b"Content-Length: 5\r\n\r\nhello", [("GET", "/one", b"hello")]),
    "leading zeros in a length": (
        POST + b"Content-Length: 0005\r\n\r\nhello",
        [("POST", "/post", b"hello")],
    ),
    "chunks": (POST + CHUNKED + b"\r\n" + HELLO, [("POST", "/post", b"hello")]),
    "chunks in capital letters": (
        POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + HELLO,
        [("POST", "/post", b"hello")],
    ),
    "a chunk extension": (
        POST + CHUNKED + b"\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
        [("POST", "/post", b"hello")],
    ),
    "a length in the trailers": (
        POST + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
        [("POST", "/post", b"hello")],
    ),
    "a request within a body": (
        POST + b"Content-Length: %d\r\n\r\n" % len(NEXT) + NEXT,
        [("POST", "/post", NEXT)],
    ),
    "pipelined requests": (
        ONE + b"\r\n" + POST + b"Content-Length: 5\r\n\r\nhello" + ONE + b"\r\n",
        [("GET", "/one", b""), ("POST", "/post", b"hello"), ("GET", "/one", b"")],
    ),
    "a method that nobody has": (
        b"BREW /one HTTP/1.1\r\nHost: a\r\n\r\n",
        [("BREW", "/one", b"")],
    ),
}

LAST = {
    # After these nothing else is read from the connection.
    "HTTP/1.0": b"GET /one HTTP/1.0\r\n\r\n",
    "HTTP/1.0 that would keep alive": b"GET /one HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "close": ONE + b"Connection: close\r\n\r\n",
    "close among others": ONE + b"Connection: keep-alive,close\r\n\r\n",
    "close in a second field": ONE + b"Connection: keep-alive\r\nConnection: Close\r\n\r\n",
}


class _Recorder(Resource):
    """Notes every request that it is asked."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[tuple[str, str, bytes]] = []

    def render(self, request: Any) -> bytes:
        self.seen.append((request.method.decode(), request.uri.decode(), request.content.read()))
        return b"."


class _Client(Protocol):
    """Sends bytes, and gathers what comes until the server closes."""

    def __init__(self) -> None:
        self.got = b""
        self.closed: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.got += data

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802 - Twisted's name
        self.closed.callback(self.got)


@attrs.frozen
class Port:
    number: int
    recorder: _Recorder

    async def send(self, data: bytes) -> bytes:
        """What the server says until it closes the connection."""
        client, transport = await self.connect()
        transport.write(data)
        return await client.closed.addTimeout(5, reactor)

    async def connect(self) -> tuple[_Client, Any]:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.number, timeout=5)
        client = _Client()
        await connectProtocol(endpoint, client)  # type: ignore[no-untyped-call]
        return client, client.transport


@pytest_twisted.async_yield_fixture
async def port() -> AsyncIterator[Port]:
    recorder = _Recorder()
    listening = reactor.listenTCP(0, BoundedSite(recorder, reactor), interface="127.0.0.1")
    yield Port(listening.getHost().port, recorder)
    await listening.stopListening()


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
async def test_what_is_ambiguous_is_refused_and_nothing_after_it_is_read(
    port: Port, request_bytes: bytes
) -> None:
    answer = await port.send(request_bytes + NEXT)
    status = answer.split(b" ")[1]
    assert status in (b"400", b"414", b"417", b"431"), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"application/problem+json" in answer
    assert port.recorder.seen == []


@pytest.mark.parametrize(("request_bytes", "seen"), SERVED.values(), ids=SERVED)
async def test_what_has_one_meaning_is_that_request_and_no_other(
    port: Port, request_bytes: bytes, seen: list[tuple[str, str, bytes]]
) -> None:
    answer = await port.send(request_bytes + NEXT)
    assert port.recorder.seen == [*seen, ("GET", "/next", b"")]
    assert answer.count(b"HTTP/1.1 200 OK") == len(seen) + 1


@pytest.mark.parametrize("request_bytes", LAST.values(), ids=LAST)
async def test_the_last_request_of_a_connection_is_the_last(
    port: Port, request_bytes: bytes
) -> None:
    await port.send(request_bytes + NEXT)
    assert port.recorder.seen == [("GET", "/one", b"")]


async def test_a_request_that_comes_byte_by_byte_is_read_alike(port: Port) -> None:
    client, transport = await port.connect()
    for byte in POST + CHUNKED + b"\r\n" + HELLO + NEXT:
        transport.write(bytes([byte]))
        pause: Deferred[None] = Deferred()
        reactor.callLater(0, pause.callback, None)
        await pause
    await client.closed.addTimeout(5, reactor)
    assert port.recorder.seen == [("POST", "/post", b"hello"), ("GET", "/next", b"")]


async def test_a_refused_upload_reads_its_answer_though_it_goes_on_sending(port: Port) -> None:
    head = POST + b"Content-Length: 9000000\r\n\r\n"
    answer = await port.send(head + b"x" * 9_000_000)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert port.recorder.seen == [("POST", "/post", b"")]


def test_there_are_at_least_sixty_shapes() -> None:
    assert len(REFUSED) + len(SERVED) + len(LAST) >= 60
