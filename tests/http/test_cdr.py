"""`POST /freeswitch/cdr`: every recorded record, and 200 only for what is safe."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.test.requesthelper import DummyRequest

from nizam.errors import DatabaseUnavailable, ValidationFailed
from nizam.http.cdr import ACCEPT_SECONDS, CdrResource
from nizam.http.node_credentials import NodeCredentials
from nizam.metrics import REGISTRY
from tests.recordings import http_requests
from tests.routing.tenants import recorded_tenants, reveal

Taken = tuple[str, str, dict[str, Any]]
UUID = "2af9ac13-307c-466d-9da9-bfd0b9f92d49"
RECORD = {"variables": {"uuid": UUID, "start_stamp": "2026-11-23 23:05:31", "x": "50%25 & more"}}


class Taker:
    """Takes records; `wait` makes it wait for ever, `error` fail."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.clock = Clock()
        self.error: Exception | None = None
        self.wait: Deferred[None] | None = None

    async def accept(self, node: str, uuid: str, record: dict[str, Any]) -> None:
        if self.wait is not None:
            await self.wait
        if self.error is not None:
            raise self.error
        self.taken.append((node, uuid, record))

    def post(
        self,
        body: bytes,
        uuid: str | None = UUID,
        password: str = "s3cret",
        method: bytes = b"POST",
    ) -> Any:
        accept: Callable[[str, str, dict[str, Any]], Awaitable[None]] = self.accept
        credentials = NodeCredentials(recorded_tenants().snapshot, reveal)
        request: Any = DummyRequest([b""])
        request.method = method
        request.content = BytesIO(body)
        request.args = {} if uuid is None else {b"uuid": [uuid.encode()]}
        encoded = base64.b64encode(f"fs1:{password}".encode())
        request.requestHeaders.setRawHeaders(b"authorization", [b"Basic " + encoded])
        answer = CdrResource(credentials, accept, self.clock).render(request)
        if isinstance(answer, bytes):
            request.write(answer)
            request.finish()
        return request


@pytest.fixture
def taker() -> Taker:
    return Taker()


def test_every_recorded_record_is_read(taker: Taker) -> None:
    posted = 0
    for run in ("calls", "calls2", "cdr2", "live"):
        for recorded in http_requests(run):
            path, _, query = recorded["path"].partition("?")
            if path != "/freeswitch/cdr/json" or "body" not in recorded:
                continue
            posted += 1
            request = taker.post(recorded["body"].encode(), query.removeprefix("uuid="))
            assert request.responseCode == 200
            _, uuid, record = taker.taken[-1]
            assert query == f"uuid={uuid}"
            assert record["variables"]["uuid"] == uuid
            assert " " in record["variables"]["start_stamp"]
    assert posted == len(taker.taken) > 100


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps(RECORD),
        b"cdr=" + quote(orjson.dumps(RECORD).decode()).encode(),
        orjson.dumps({"variables": {n: quote(v) for n, v in RECORD["variables"].items()}}),
    ],
)
def test_every_encoding_gives_the_same_record(taker: Taker, body: bytes) -> None:
    taker.post(body)
    assert taker.taken == [("fs1", UUID, RECORD)]


@pytest.mark.parametrize("parameter", [UUID, f"a_{UUID}", None, ""])
def test_the_uuid_is_that_of_the_leg(taker: Taker, parameter: str | None) -> None:
    taker.post(orjson.dumps(RECORD), parameter)
    assert taker.taken[0][1] == UUID


def test_invalid_utf8_is_replaced(taker: Taker) -> None:
    taker.post(b'{"variables": {"uuid": "%s", "x": "a \xff"}}' % UUID.encode())
    assert taker.taken[0][2]["variables"]["x"] == "a \ufffd"


def test_nothing_is_answered_before_the_record_is_safe(taker: Taker) -> None:
    taker.wait = Deferred()
    request = taker.post(orjson.dumps(RECORD))
    assert request.finished == 0
    taker.wait.callback(None)
    assert (request.finished, request.responseCode) == (1, 200)


def test_what_was_not_stored_is_to_be_sent_again(taker: Taker) -> None:
    taker.error = DatabaseUnavailable()
    assert taker.post(orjson.dumps(RECORD)).responseCode == 503


def test_what_can_never_be_stored_is_not_asked_for_again(taker: Taker) -> None:
    taker.error = ValidationFailed("a CDR without its start")
    assert taker.post(orjson.dumps(RECORD)).responseCode == 400


def test_freeswitch_is_answered_before_it_gives_up(taker: Taker) -> None:
    taker.wait = Deferred()
    request = taker.post(orjson.dumps(RECORD))
    taker.clock.advance(ACCEPT_SECONDS)
    assert (request.finished, request.responseCode) == (1, 503)


def test_a_caller_that_has_gone_is_not_answered(taker: Taker) -> None:
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    taker.wait = Deferred()
    request = taker.post(orjson.dumps(RECORD))
    request.processingFailed(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]
    taker.wait.callback(None)
    assert request.finished == 0
    assert len(taker.taken) == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"body": b"{}", "password": "wrong"}, 401),
        ({"body": b"{}", "method": b"GET"}, 405),
        ({"body": b"x" * 5_000_000}, 413),
        ({"body": b""}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b"<cdr/>"}, 400),
        ({"body": b"{}", "uuid": None}, 400),
    ],
)
def test_what_is_no_record_is_refused(taker: Taker, arguments: dict[str, Any], status: int) -> None:
    assert taker.post(**arguments).responseCode == status
    assert taker.taken == []


@pytest.mark.parametrize("status", ["200", "400", "401", "503"])
def test_posts_are_counted_by_their_answer(taker: Taker, status: str) -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("nizam_cdr_posts_total", {"status": status}) or 0.0

    before = count()
    taker.error = DatabaseUnavailable("away") if status == "503" else None
    body = b"no record" if status == "400" else orjson.dumps(RECORD)
    taker.post(body, password="wrong" if status == "401" else "s3cret")
    assert count() == before + 1
