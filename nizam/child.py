"""Runs a program that reads hostile input beside the reactor, with an end to its time.

The program limits its own memory and processor time before it reads anything; what it says is kept
up to a bound.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

MOST_OUTPUT = 65_536

_log = Logger()


@attrs.frozen
class Ended:
    """What a program said until it ended, and how that was. `late` says that it was ended."""

    output: bytes
    complaints: bytes
    status: str
    late: bool

    def answer(self, what: str) -> dict[str, Any] | None:
        """The JSON object that it said; None, with a line in the log that `what` could not be
        worked on, when it was ended by its limits or by what it read."""
        try:
            found: dict[str, Any] = json.loads(self.output)
        except ValueError:
            words = self.complaints.decode("utf-8", "replace")[-2000:]
            _log.warn(
                "{what} could not be read: {status}: {words}",
                what=what,
                status=self.status,
                words=words,
            )
            return None
        return found


async def run(
    reactor: Any,
    program: str,
    arguments: Sequence[str],
    *,
    seconds: float,
    descriptors: Mapping[int, int] | None = None,
    given: bytes = b"",
    most_output: int = MOST_OUTPUT,
) -> Ended:
    """Run the Python program at the path `program` for at most `seconds`.

    `descriptors` are those of ours that it gets, under its own numbers. It reads `given` on
    descriptor 0 unless that is one of them; what it writes to descriptor 1 is its output.
    """
    it = _Run(given, most_output)
    process = reactor.spawnProcess(
        it,
        sys.executable,
        [sys.executable, "-I", program, *arguments],
        env={"LC_ALL": "C.UTF-8"},
        path="/",
        childFDs={0: "w", 1: "r", 2: "r", **(descriptors or {})},
    )
    timer = reactor.callLater(seconds, it.kill, process)
    try:
        status = await it.ended
    finally:
        if timer.active():
            timer.cancel()
    return Ended(it.output, it.complaints, status, it.late)


class _Run(ProcessProtocol):
    """What the program says until it ends."""

    def __init__(self, given: bytes, most_output: int) -> None:
        self.output = b""
        self.complaints = b""
        self.late = False
        self.ended: Deferred[str] = Deferred()
        self._given = given
        self._most_output = most_output

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """It has begun."""
        transport: Any = self.transport
        if 0 in transport.pipes:
            transport.writeToChild(0, self._given)
            transport.closeChildFD(0)

    def outReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """The answer."""
        self.output = (self.output + data)[: self._most_output]

    def errReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """A traceback, if it comes to that."""
        self.complaints = (self.complaints + data)[-MOST_OUTPUT:]

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
