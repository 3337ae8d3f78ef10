"""Runs the converting program beside the reactor, with an end to its time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from nizam.errors import FieldError, TimeoutExceeded, ValidationFailed
from nizam.media.folder import media_error

WALL_SECONDS = 24.0
_CPU_SECONDS = 20
_MOST_OUTPUT = 65_536
_PROGRAM = str(Path(__file__).with_name("convert.py"))


@attrs.frozen
class Limits:
    """The largest upload in bytes, and the longest sound in seconds."""

    max_bytes: int
    max_seconds: float


async def convert(reactor: Any, source: int, target: int, limits: Limits) -> dict[str, Any]:
    """Write what is in the descriptor `source` to `target` as FreeSWITCH plays it; its facts.

    Raises ValidationFailed for what is no audio or over a limit, StorageFull, MediaUnavailable,
    and TimeoutExceeded when it takes longer than 24 s.
    """
    run = _Run()
    process = reactor.spawnProcess(
        run,
        sys.executable,
        [
            sys.executable,
            "-I",
            _PROGRAM,
            str(limits.max_bytes),
            str(limits.max_seconds),
            str(_CPU_SECONDS),
        ],
        env={"LC_ALL": "C.UTF-8"},
        path="/",
        childFDs={0: source, 1: "r", 2: "r", 3: target},
    )
    timer = reactor.callLater(WALL_SECONDS, run.kill, process)
    try:
        status = await run.ended
    finally:
        if timer.active():
            timer.cancel()
    if run.late:
        raise TimeoutExceeded(f"the sound was not converted within {WALL_SECONDS:g} s")
    return _facts(run, status)


def _facts(run: _Run, status: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(run.output)
    except ValueError:
        # The program was ended by its limits, or by what it read.
        Logger().warn(
            "an upload could not be converted: {status}: {words}",
            status=status,
            words=run.complaints.decode("utf-8", "replace")[-2000:],
        )
        raise not_taken("not_audio", "the file cannot be decoded") from None
    if "facts" in answer:
        facts: dict[str, Any] = answer["facts"]
        return facts
    if "refused" in answer:
        raise not_taken(answer["refused"]["code"], answer["refused"]["message"])
    it = answer["errno"]
    raise media_error(OSError(it["errno"], it["message"]), "the file cannot be written")


def not_taken(code: str, message: str) -> ValidationFailed:
    """The problem of an upload that is not taken; the whole body is what is wrong."""
    return ValidationFailed(message, errors=[FieldError("", code, message)])


class _Run(ProcessProtocol):
    """What the program says until it ends."""

    def __init__(self) -> None:
        self.output = b""
        self.complaints = b""
        self.late = False
        self.ended: Deferred[str] = Deferred()

    def outReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """The answer."""
        self.output = (self.output + data)[:_MOST_OUTPUT]

    def errReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A traceback, if it comes to that."""
        self.complaints = (self.complaints + data)[-_MOST_OUTPUT:]

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        """It is gone, and its pipes are closed."""
        self.ended.callback(str(reason.value))

    def kill(self, process: Any) -> None:
        """End it; it has had its time."""
        self.late = True
        try:
            process.signalProcess("KILL")
        except ProcessExitedAlready:
            self.late = False
