"""What the client repeats, for how long, and what it raises."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from nizam.client import errors
from nizam.client.transport import Transport
from tests.client.scripted import Reply, scripted

LOST = Reply(0)
DONE = Reply(200, {"fine": True})
MATCH: dict[str, Any] = {"if_match": '"3"', "body": {}}


def problem(status: int, code: str, **headers: str) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"code": code, "detail": "no", "status": status}, names)


def transport(url: str, pauses: list[float] | None = None, **options: Any) -> Transport:
    return Transport.to(
        url, "nzm_key", sleep=(pauses if pauses is not None else []).append, **options
    )


@pytest.mark.parametrize(
    ("reply", "method", "options"),
    [
        (LOST, "GET", {}),
        (LOST, "POST", {"body": {}}),
        (LOST, "PUT", {"body": {}}),
        (LOST, "PATCH", {"body": {}}),
        (LOST, "DELETE", {}),
        (LOST, "DELETE", {"if_match": '"3"'}),
        (problem(429, "rate_limited"), "PATCH", MATCH),
        (problem(429, "rate_limited"), "POST", {"body": {}, "repeatable": False}),
        (problem(503, "database_unavailable"), "POST", {"body": {}}),
        (problem(504, "timeout"), "GET", {}),
        (Reply(502), "GET", {}),
    ],
)
def test_what_may_be_repeated_is(reply: Reply, method: str, options: dict[str, Any]) -> None:
    with scripted(reply, reply, DONE) as server:
        answer = transport(server.url).request(method, "/it", **options)
        assert answer.json() == {"fine": True}
        assert len(server.asked) == 3
        assert len({(it.method, it.path, it.body) for it in server.asked}) == 1


@pytest.mark.parametrize(
    ("reply", "method", "options", "expected"),
    [
        (LOST, "PUT", MATCH, errors.CannotReach),
        (LOST, "PATCH", MATCH, errors.CannotReach),
        (LOST, "POST", {"body": {}, "repeatable": False}, errors.CannotReach),
        (problem(503, "database_unavailable"), "PATCH", MATCH, errors.DatabaseUnavailable),
        (problem(502, "switch_error"), "GET", {}, errors.SwitchError),
        (problem(500, "internal"), "GET", {}, errors.InternalError),
        (problem(429, "login_locked"), "POST", {"body": {}}, errors.LoginLocked),
        (problem(422, "validation_failed"), "POST", {"body": {}}, errors.ValidationFailed),
        (problem(409, "conflict"), "POST", {"body": {}}, errors.Conflict),
        (problem(418, "news_of_a_later_version"), "GET", {}, errors.ApiError),
        (Reply(302, headers={"Location": "/elsewhere"}), "GET", {}, errors.UnexpectedAnswer),
    ],
)
def test_what_may_not_be_repeated_is_asked_once(
    reply: Reply, method: str, options: dict[str, Any], expected: type[Exception]
) -> None:
    with scripted(reply) as server:
        with pytest.raises(expected):
            transport(server.url).request(method, "/it", **options)
        assert len(server.asked) == 1


def test_every_attempt_of_a_post_has_the_same_idempotency_key() -> None:
    with scripted(LOST, DONE) as server:
        transport(server.url).request("POST", "/it", body={})
        transport(server.url).request("POST", "/it", body={})
        transport(server.url).request("POST", "/it", body={}, idempotency_key="mine")
    keys = [it.headers["idempotency-key"] for it in server.asked]
    assert keys[0] == keys[1]
    assert keys[1] != keys[2]
    assert keys[3] == "mine"


def test_a_delete_that_was_not_answered_may_have_been_done() -> None:
    gone = problem(404, "not_found")
    with scripted(LOST, gone) as server:
        transport(server.url).request("DELETE", "/it")
    with scripted(gone) as server, pytest.raises(errors.NotFound):
        transport(server.url).request("DELETE", "/it")
    limited = problem(429, "rate_limited")
    with scripted(limited, gone) as server, pytest.raises(errors.NotFound):
        transport(server.url).request("DELETE", "/it")


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_waited_for(as_date: bool) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=31), usegmt=True)
    header = date if as_date else "30"
    pauses: list[float] = []
    with scripted(problem(429, "rate_limited", Retry_After=header), DONE) as server:
        transport(server.url, pauses).request("GET", "/it")
    assert 20 <= pauses[0] <= 32


def test_a_wait_beyond_the_total_is_not_begun() -> None:
    pauses: list[float] = []
    with (
        scripted(problem(429, "rate_limited", Retry_After="60")) as server,
        pytest.raises(errors.RateLimited) as refused,
    ):
        transport(server.url, pauses, total_seconds=30.0).request("GET", "/it")
    assert not pauses
    assert refused.value.retry_after == 60


def test_pauses_grow_and_the_number_of_attempts_is_bounded() -> None:
    pauses: list[float] = []
    with scripted(Reply(503)) as server, pytest.raises(errors.ApiError):
        transport(server.url, pauses, retries=6).request("GET", "/it")
    longest = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    assert len(pauses) == len(longest)
    assert len(server.asked) == 7
    assert all(most / 2 <= it <= most for it, most in zip(pauses, longest, strict=True))


def test_an_answer_that_does_not_come_is_not_waited_for_longer_than_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        slow = transport(url, attempt_seconds=0.05, retries=1)
        with pytest.raises(errors.CannotReach) as missing:
            slow.request("GET", "/it")
    assert missing.value.maybe_executed


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    pauses: list[float] = []
    with pytest.raises(errors.CannotReach) as missing:
        transport(url, pauses).request("POST", "/it", body={}, repeatable=False)
    assert not missing.value.maybe_executed
    assert len(pauses) == 4


def test_a_problem_tells_everything_it_has() -> None:
    document = {
        "code": "in_use",
        "title": "The object is still in use",
        "status": 409,
        "detail": "2 objects refer to it",
        "request_id": "r1",
        "errors": [{"path": "/number", "code": "taken", "message": "is taken"}],
        "referrers": [{"type": "did"}],
    }
    with scripted(Reply(409, document)) as server, pytest.raises(errors.InUse) as refused:
        transport(server.url).request("DELETE", "/it")
    it = refused.value
    assert isinstance(it, errors.Conflict)
    assert (it.status, it.code, it.request_id) == (409, "in_use", "r1")
    assert it.extra == {"referrers": [{"type": "did"}]}
    assert [(wrong.path, wrong.code) for wrong in it.errors] == [("/number", "taken")]
    assert str(it) == "2 objects refer to it (in_use: /number is taken)"


def test_the_key_is_in_no_text() -> None:
    assert "nzm_key" not in repr(transport("http://127.0.0.1"))
