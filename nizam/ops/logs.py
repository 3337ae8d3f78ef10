"""Log lines: every twisted.logger event becomes one line of JSON, secrets redacted by field.

What is bound with `structlog.contextvars` (`request_id`, `call_id`, `tenant_id`) is in every line
that the same request or call writes: coroutines carry it along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import structlog
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

REDACTED = "***"
# The severities of Monolog, which LOG_LEVEL takes its words from, in Twisted's.
_LEVELS = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "notice": LogLevel.info,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
    "alert": LogLevel.critical,
    "emergency": LogLevel.critical,
}
_SECRET_FIELD = re.compile(
    r"password|passwd|secret|token|authorization|cookie|api[-_]?key|credential|a1[-_]hash|(?:\b|_)pin\b"
    r"|private[-_]?key|(?:\b|_)dsn\b",
    re.IGNORECASE,
)
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^\s/@]*:[^\s/@]*(?=@)")
_OWN_SECRET = re.compile(r"\bnz[mrst]_[A-Za-z0-9_-]+")
"""API keys, reset tokens, sessions and tokens of users."""


def observer(file: TextIO, level: str) -> ILogObserver:
    """A twisted.logger observer that writes lines of JSON to `file`, `level` and above."""
    return _JsonLines(file, _LEVELS[level])


@implementer(ILogObserver)
class _JsonLines:
    def __init__(self, file: TextIO, level: Any) -> None:
        self._file = file
        self._level = level
        self._processors = (
            structlog.contextvars.merge_contextvars,
            _redact,
            structlog.processors.JSONRenderer(default=str, skipkeys=True),
        )

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) < self._level:
            return
        line: Any = _fields(event)
        for processor in self._processors:
            line = processor(None, "", line)
        try:
            self._file.write(f"{line}\n")
            self._file.flush()
        except (OSError, ValueError):
            # Whoever read our stderr is gone; there is nowhere left to say so.
            return


def _fields(event: LogEvent) -> dict[str, Any]:
    """The parts of an event that a line shows, in the order in which people read them."""
    own = {key: value for key, value in event.items() if not key.startswith("log_")}
    shown = redact(own)
    level = event.get("log_level", LogLevel.info).name
    when = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    fields: dict[str, Any] = {
        "timestamp": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": "warning" if level == "warn" else level,
        "logger": event.get("log_namespace", ""),
        # Formatted from the redacted fields, so that the text holds no more than they do.
        "event": formatEvent({**event, **shown}),
    }
    legacy = {"message", "isError", "system", "time", "printed", "why", "format", "failure"}
    fields |= {key: value for key, value in shown.items() if key not in legacy | fields.keys()}
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        fields["error"] = failure.getErrorMessage()
        fields["traceback"] = failure.getTraceback()
    return fields


def redact(value: Any, field: str = "") -> Any:
    """`value` with everything replaced that a field's name, or its own form, marks as secret."""
    if field and _is_secret(field):
        return REDACTED
    if isinstance(value, Mapping):
        return {key: redact(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, str):
        # Most texts hold neither, and looking for these is much cheaper than for the patterns.
        if "://" in value:
            value = _CREDENTIALS_IN_URL.sub(REDACTED, value)
        return _OWN_SECRET.sub(REDACTED, value) if "nz" in value else value
    return value


@lru_cache(maxsize=1000)
def _is_secret(field: str) -> bool:
    return _SECRET_FIELD.search(field) is not None


def _redact(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    redacted: MutableMapping[str, Any] = redact(fields)
    return redacted
