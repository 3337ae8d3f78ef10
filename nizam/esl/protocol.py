"""The event-socket session on a Twisted transport: deadlines, and who waits for which answer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from nizam.errors import ConnectionGone, NizamError, SwitchError, SwitchUnavailable, TimeoutExceeded
from nizam.esl.commands import Command, exit_
from nizam.esl.errors import EslPeerError
from nizam.esl.session import (
    Disconnecting,
    JobFinished,
    Ready,
    Refusal,
    Refused,
    Replied,
    Reply,
    Session,
    SwitchEvent,
    Write,
)

MAX_UNANSWERED: Final = 1000
# A dead host is noticed after 15 + 3 * 5 seconds, without waiting for something to be sent.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


@attrs.frozen
class Timing:
    """Deadlines of one connection, in seconds.

    `establish`: from the attempt to connect to the accepted subscription (FreeSWITCH gives up on
    a client that has not authenticated after 25). `silence`: how long nothing may arrive where a
    HEARTBEAT is due. `goodbye`: how long FreeSWITCH may keep a connection open that it said it
    would close, and how long a stop waits for answers.
    """

    establish: float = 10.0
    silence: float = 45.0
    goodbye: float = 5.0


class ProtocolOwner(Interface):
    """Who is told what happens on a connection."""

    def protocol_ready(self, protocol: EslProtocol) -> None:
        """Authenticated and subscribed: `protocol` takes commands."""

    def protocol_refused(self, refusal: Refusal, detail: str) -> None:
        """FreeSWITCH does not want us; `protocol_lost` follows."""

    def protocol_event(self, event: SwitchEvent, received_at: float) -> None:
        """An event came; `received_at` is the clock's time of the bytes that completed it."""

    def protocol_lost(self, reason: str) -> None:
        """The connection is over. Called exactly once, last."""


class _Answer:
    """One awaited answer: an outcome or a deadline, whichever comes first."""

    def __init__(self, on_give_up: Callable[[], None]) -> None:
        self.deferred: Deferred[str] = Deferred(lambda _: self._give_up())
        self._on_give_up = on_give_up
        self._deadline: IDelayedCall | None = None
        self._settled = False

    def start(self, clock: IReactorTime, timeout: float) -> None:
        """Let the time run: `timeout` seconds."""
        self._deadline = clock.callLater(timeout, self._expire, timeout)

    def settle(self, outcome: str | NizamError) -> None:
        """Give the outcome, unless it comes too late."""
        if self._settled:
            return
        self._finish()
        if isinstance(outcome, str):
            self.deferred.callback(outcome)
        else:
            self.deferred.errback(outcome)

    def _expire(self, timeout: float) -> None:
        self._on_give_up()
        self.settle(TimeoutExceeded(f"FreeSWITCH did not answer within {timeout:g} s"))

    def _give_up(self) -> None:
        self._finish()
        self._on_give_up()

    def _finish(self) -> None:
        self._settled = True
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


class EslProtocol(Protocol):
    """One connection. It ends, and says so to its owner, on any breach of the protocol."""

    transport: ITCPTransport

    def __init__(
        self,
        session: Session[_Answer],
        clock: IReactorTime,
        owner: ProtocolOwner,
        timing: Timing,
        *,
        expect_heartbeat: bool,
    ) -> None:
        self._session = session
        self._clock = clock
        self._owner = owner
        self._timing = timing
        self._expect_heartbeat = expect_heartbeat
        self._last_received = 0.0
        self._ready = False
        self._leaving = False  # no new commands
        self._stopping = False  # we are the ones who leave
        self._lost = False
        self._reason = ""
        self._timer: IDelayedCall | None = None

    @property
    def usable(self) -> bool:
        """Whether a command would be sent now."""
        return self._ready and not self._leaving

    def connectionMade(self) -> None:  # noqa: N802
        """Set up the transport and wait for the greeting."""
        self._last_received = self._clock.seconds()
        if ITCPTransport.providedBy(self.transport):
            _keep_alive(self.transport)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Handle what FreeSWITCH sent."""
        now = self._last_received = self._clock.seconds()
        on_event = self._owner.protocol_event
        try:
            for output in self._session.receive(data):
                if output.__class__ is SwitchEvent:
                    on_event(output, now)
                else:
                    self._handle(output)
        except EslPeerError as error:
            self.drop(f"FreeSWITCH broke the protocol: {error}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Fail what was waited for and tell the owner."""
        self._lost, self._ready = True, False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        why = self._reason or reason.getErrorMessage()
        for answer in self._session.connection_lost():
            answer.settle(ConnectionGone(maybe_executed=True))
        self._owner.protocol_lost(why)

    def request(self, command: Command, timeout: float) -> Deferred[str]:
        """Send `command` now; the text of its answer, or of its job's end, within `timeout` s.

        Fails with SwitchError, ConnectionGone, TimeoutExceeded; with SwitchUnavailable when too
        many answers are outstanding already.
        """
        if not self.usable:
            raise ConnectionGone("FreeSWITCH is not connected", maybe_executed=False)
        if self._session.unanswered >= MAX_UNANSWERED:
            raise SwitchUnavailable(f"{MAX_UNANSWERED} commands wait for FreeSWITCH already")

        def give_up() -> None:
            # The reply may still come and keeps its place in the order; the job is forgotten.
            if command.job_uuid is not None:
                self._session.abandon_job(command.job_uuid)

        answer = _Answer(give_up)
        data = self._session.send(command, answer)
        answer.start(self._clock, timeout)
        self._write(data)
        return answer.deferred

    def leave(self) -> None:
        """End the connection: new commands are refused, answers under way may still come for
        `Timing.goodbye` seconds."""
        self._leaving = self._stopping = True
        self._reason = self._reason or "stopped"
        self._set_timer(self._timing.goodbye, self._abort)
        self._leave_when_answered()

    def drop(self, reason: str) -> None:
        """End the connection at once."""
        self._reason = self._reason or reason
        self._ready = False
        self._abort()

    def _handle(self, output: object) -> None:
        match output:
            case Replied(ticket, reply) | JobFinished(ticket, reply):
                ticket.settle(_outcome(reply))
                self._leave_when_answered()
            case Write(data):
                self._write(data)
            case Ready():
                self._ready = True
                if self._expect_heartbeat and not self._leaving:
                    self._set_timer(self._timing.silence, self._check_silence)
                self._owner.protocol_ready(self)
            case Refused(refusal, detail):
                self._reason = f"refused ({refusal.value}): {detail}"
                self._set_timer(self._timing.goodbye, self._abort)
                self._owner.protocol_refused(refusal, detail)
            case Disconnecting(detail):
                # Events may still follow; FreeSWITCH closes when it has sent them.
                self._leaving = True
                self._reason = self._reason or "FreeSWITCH closes: " + detail.partition("\n")[0]
                self._set_timer(self._timing.goodbye, self._abort)

    def _leave_when_answered(self) -> None:
        if self._stopping and not self._session.unanswered:
            if self._ready:
                self._write(exit_().encode())
            self.transport.loseConnection()

    def _check_silence(self) -> None:
        left = self._last_received + self._timing.silence - self._clock.seconds()
        if left > 0:
            self._set_timer(left, self._check_silence)
        else:
            self.drop(f"no heartbeat for {self._timing.silence:g} s")

    def _set_timer(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if self._lost else self._clock.callLater(seconds, what)

    def _write(self, data: bytes) -> None:
        self.transport.write(data)

    def _abort(self) -> None:
        if not self._lost:
            self.transport.abortConnection()


def _keep_alive(transport: ITCPTransport) -> None:
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    handle = getattr(transport, "getHandle", lambda: None)()
    if isinstance(handle, socket.socket):
        for option, value in _KEEPALIVE:
            if hasattr(socket, option):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _outcome(reply: Reply) -> str | SwitchError:
    text = reply.text.removesuffix("\n")
    if not reply.is_error:
        return text
    return SwitchError(text.removeprefix("-ERR").strip() or "-ERR")
