"""The commands of the event socket as values, and the one place where they become bytes.

Each function makes one `Command`; its `encode()` is what goes to the wire. FreeSWITCH splits
commands at line ends, so one validator refuses CR, LF and NUL in every part that shares a line:
nothing that a tenant typed can become a second command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from nizam.esl.errors import EslUsageError

_FORBIDDEN: Final = re.compile("[\r\n\0]")
_HEADER_NAME: Final = re.compile("[A-Za-z0-9_-]+")
_WORD: Final = re.compile(r"[^\s]+")


def _one_line(text: str, what: str) -> str:
    """`text` itself. Raises EslUsageError when it cannot stand on one line of the wire."""
    if _FORBIDDEN.search(text):
        raise EslUsageError(f"{what} contains a line end or NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EslUsageError(f"{what} contains a lone surrogate") from None
    return text


def _word(text: str, what: str) -> str:
    """`text` itself. Raises EslUsageError unless it is exactly one word on one line."""
    if not _WORD.fullmatch(_one_line(text, what)):
        raise EslUsageError(f"{what} is empty or contains blanks")
    return text


@attrs.frozen
class Command:
    """One command: its line, its header lines and its body.

    `api_response` says that the answer may be an api/response frame; `job_uuid` names the
    background job that it starts; the line of a `secret` command is never shown.
    """

    line: str = attrs.field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = attrs.field(default=b"", repr=lambda body: f"{len(body)} bytes")
    api_response: bool = False
    job_uuid: str | None = None
    secret: bool = False

    def __attrs_post_init__(self) -> None:
        if not _one_line(self.line, "the command").strip():
            raise EslUsageError("the command is empty")
        for name, value in self.headers:
            if not _HEADER_NAME.fullmatch(name):
                raise EslUsageError(f"{name!r} is not a header name")
            _one_line(value, f"the header {name}")

    def __str__(self) -> str:
        return f"{self.line.split()[0]} ..." if self.secret else self.line

    def encode(self) -> bytes:
        """The bytes to send, in one write: FreeSWITCH holds back events while a command is
        half received."""
        lines = [self.line, *(f"{name}: {value}" for name, value in self.headers)]
        if self.body:
            lines.append(f"content-length: {len(self.body)}")
        return "\n".join(lines).encode() + b"\n\n" + self.body


def auth(password: str) -> Command:
    """Authenticate with the event socket's own password."""
    return Command(f"auth {password}", secret=True)


def userauth(user: str, domain: str, password: str) -> Command:
    """Authenticate as a directory user, who may be limited to some commands and events."""
    identity = f"{_word(user, 'the user')}@{_word(domain, 'the domain')}"
    if ":" in identity:
        raise EslUsageError("the user or domain contains a colon")
    return Command(f"userauth {identity}:{password}", secret=True)


def events(
    names: Iterable[str], subclasses: Iterable[str] = (), event_format: str = "json"
) -> Command:
    """Subscribe to events, in addition to what was subscribed before.

    CUSTOM with its `subclasses` comes last: FreeSWITCH takes every name after it for a subclass.
    `event_format` is json, plain or xml.
    """
    words = [_word(name, "the event name") for name in names]
    custom = [_word(name, "the event subclass") for name in subclasses]
    if "CUSTOM" in words:
        raise EslUsageError("CUSTOM needs its subclasses by name")
    if custom:
        words += ["CUSTOM", *custom]
    if not words:
        raise EslUsageError("a subscription to no events")
    if event_format not in ("json", "plain", "xml"):
        raise EslUsageError(f"{event_format!r} is not an event format")
    return Command(f"event {event_format} {' '.join(words)}")


def filter_events(header: str, value: str) -> Command:
    """Let only events pass whose `header` is `value`; several filters on one header are OR-ed.

    Events without that header are lost, HEARTBEAT and BACKGROUND_JOB among them.
    """
    return Command(f"filter {_word(header, 'the header name')} {value}")


def api(line: str) -> Command:
    """Run an API command and wait for its output. Events of the connection wait as long."""
    return Command(f"api {line}", api_response=True)


def bgapi(line: str, job_uuid: str) -> Command:
    """Run an API command in the background; its output comes as a BACKGROUND_JOB event that
    carries `job_uuid`, which the connection must have subscribed to."""
    return Command(
        f"bgapi {line}", (("Job-UUID", _word(job_uuid, "the job uuid")),), b"", False, job_uuid
    )


def sendmsg(channel_uuid: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Command:
    """Send a message to a channel, such as `call-command: execute`."""
    return Command(f"sendmsg {_word(channel_uuid, 'the channel uuid')}", tuple(headers), body)


def exit_() -> Command:
    """End the connection; FreeSWITCH answers `+OK bye` and closes."""
    return Command("exit")
