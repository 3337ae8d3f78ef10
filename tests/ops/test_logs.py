"""Log lines are JSON, carry what belongs to the request or call, and hold no secret."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import structlog
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import Logger, LogLevel, LogPublisher

from nizam.ops.logs import observer, redact


class Lines:
    """A logger, and the lines it wrote."""

    def __init__(self, level: str = "debug") -> None:
        self._file = io.StringIO()
        self.log = Logger(
            namespace="nizam.test", observer=LogPublisher(observer(self._file, level))
        )

    @property
    def text(self) -> str:
        """As it was written."""
        return self._file.getvalue()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.getvalue().splitlines()]

    @property
    def only(self) -> dict[str, Any]:
        (line,) = self.all
        return line


def test_a_line_has_time_level_logger_text_and_fields() -> None:
    lines = Lines()
    lines.log.warn("node {node} is late by {lag} s", node="fs1", lag=1.5)
    line = lines.only
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "nizam.test",
        "event": "node fs1 is late by 1.5 s",
        "node": "fs1",
        "lag": 1.5,
    }


@pytest.mark.parametrize(
    "hostile", ["a\nb", "a\r\nb", 'a"}\n{"event": "forged', "a\x1b[2Kb", "a\0b"]
)
def test_nothing_that_is_logged_makes_a_line_of_its_own(hostile: str) -> None:
    lines = Lines()
    lines.log.info("seen {text}", text=hostile)
    written = lines.text
    assert written.count("\n") == 1
    assert not {it for it in written[:-1] if ord(it) < 32}
    assert lines.only["text"] == hostile
    assert lines.only["event"] == f"seen {hostile}"


def test_a_failure_brings_its_traceback() -> None:
    lines = Lines()
    try:
        raise ValueError("it broke")
    except ValueError:
        lines.log.failure("while working")
    assert lines.only["error"] == "it broke"
    assert "Traceback" in lines.only["traceback"]
    assert lines.only["level"] == "critical"


def test_what_a_request_binds_is_in_all_its_lines_and_in_no_other() -> None:
    lines, clock = Lines(), Clock()

    async def request(name: str, seconds: float) -> None:
        with structlog.contextvars.bound_contextvars(request_id=name, tenant_id="t"):
            await deferLater(clock, seconds, lambda: None)
            lines.log.info("done {name}", name=name)

    for name, seconds in (("a", 2), ("b", 1)):
        Deferred.fromCoroutine(request(name, seconds))
    clock.advance(1)
    clock.advance(1)
    lines.log.info("outside")
    assert [(line.get("name"), line.get("request_id")) for line in lines.all] == [
        ("b", "b"),
        ("a", "a"),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("notice", ["info", "warning", "error", "critical"]),
        ("warning", ["warning", "error", "critical"]),
        ("emergency", ["critical"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, shown: list[str]) -> None:
    lines = Lines(level)
    for each in LogLevel.iterconstants():
        lines.log.emit(each, "text")
    assert [line["level"] for line in lines.all] == shown


@pytest.mark.parametrize(
    "fields",
    [
        {"esl_password": "s3cret"},
        {"Authorization": "s3cret"},
        {"body": {"sip_password": "s3cret", "list": [{"token": "s3cret"}]}},
        {"pin": "s3cret"},
        {"voicemail_pin": "s3cret"},
        {"a1-hash": "s3cret"},
        {"database_dsn": "s3cret"},
        {"url": "postgresql://nizam:s3cret@db/nizam"},
        {"text": "the key nzm_live_s3cret was refused"},
        {"text": "the token nzt_-s3cret- was refused"},
        {"text": "sent nzs_s3cret and nzr_s3cret"},
    ],
)
def test_secrets_are_redacted_in_fields_and_text(fields: dict[str, Any]) -> None:
    lines = Lines()
    name = next(iter(fields))
    lines.log.info("value: {%s}" % name, **fields)  # noqa: UP031
    assert "s3cret" not in json.dumps(lines.only)
    assert "***" in lines.only["event"]


@pytest.mark.parametrize("field", ["pinned", "spinning", "pins_left"])
def test_words_that_only_contain_a_secret_one_are_shown(field: str) -> None:
    assert redact({field: 3}) == {field: 3}


def test_values_that_json_has_no_form_for_are_shown_as_text() -> None:
    lines = Lines()
    lines.log.info("it", thing=Deferred, number=2**70)
    assert "Deferred" in lines.only["thing"]


def test_a_reader_that_is_gone_stops_nothing() -> None:
    file = io.StringIO()
    log = Logger(observer=LogPublisher(observer(file, "info")))
    file.close()
    log.info("nobody reads this")
