"""The event socket's listening side (mod_event_socket): one protocol instance per client."""

from __future__ import annotations

import hmac
from collections import deque
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from nizam.sim import wire
from nizam.sim.commands import Commands
from nizam.sim.core import Core, EncodedEvent
from nizam.sim.faults import Faults
from nizam.sim.subscription import Subscription

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

AUTHENTICATION_SECONDS = 25.0


class EventSocketServer(Protocol):
    """A client's connection: authentication, commands in order, subscribed events.

    While an `api` command runs, the connection's events are held back, as on the real switch.
    """

    transport: ITCPTransport

    def __init__(self, factory: EventSocketFactory) -> None:
        self._server = factory
        self.subscription = Subscription()
        self.authenticated = False
        self.stalled = False
        self._reader = wire.CommandReader()
        self._commands: deque[wire.Command] = deque()
        self._busy = False
        self._held: list[EncodedEvent] = []
        self._stalled_bytes: list[bytes] = []
        self._closing = False

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self._server.connections.append(self)
        if self._server.refuse:
            self.send(wire.RUDE_REJECTION + wire.DISCONNECT_NOTICE)
            self._close()
            return
        self._timer = self._server.clock.callLater(AUTHENTICATION_SECONDS, self._too_late)
        self.send(wire.AUTH_REQUEST)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._closing = True
        if self in self._server.connections:
            self._server.connections.remove(self)
        if self in self._server.core.listeners:
            self._server.core.listeners.remove(self)
        if hasattr(self, "_timer") and self._timer.active():
            self._timer.cancel()
        self._server.connection_gone()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._closing:
            return
        try:
            self._commands.extend(self._reader.feed(data))
        except ValueError:
            self.transport.abortConnection()
            return
        self._proceed()

    def wants(self, name: str, subclass: str | None) -> bool:
        return self.subscription.wants(name, subclass)

    def deliver(self, event: EncodedEvent) -> None:
        if self._busy:
            self._held.append(event)
        elif self.subscription.passes(event):
            frame = event.frame(self.subscription.encoding)
            for changed in self._server.faults.change(frame, self):
                self.send(changed)

    def send(self, data: bytes) -> None:
        """Writes bytes, unless the connection is stalled: then they wait."""
        if self.stalled:
            self._stalled_bytes.append(data)
        else:
            self.transport.write(data)

    def stall(self, on: bool) -> None:
        """Stops reading and writing without closing, or goes on with what has waited."""
        self.stalled = on
        if on:
            IPushProducer(self.transport).pauseProducing()
            return
        waiting, self._stalled_bytes = self._stalled_bytes, []
        self.transport.write(b"".join(waiting))
        IPushProducer(self.transport).resumeProducing()

    def say_goodbye(self) -> None:
        """Sends the disconnect notice and closes, as at shutdown."""
        if not self._closing:
            self.send(wire.DISCONNECT_NOTICE)
            self._close()

    def _close(self) -> None:
        self._closing = True
        self.transport.loseConnection()

    def _too_late(self) -> None:
        if not self.authenticated:
            self.transport.abortConnection()

    def _proceed(self) -> None:
        while self._commands and not self._busy and not self._closing:
            self._run(self._commands.popleft())

    def _run(self, command: wire.Command) -> None:
        verb, _, rest = command.line.partition(" ")
        verb = verb.lower()
        if not self.authenticated:
            self._authenticate(verb, rest)
        elif verb == "api" and rest:
            self._busy = True
            work = Deferred.fromCoroutine(self._server.commands.execute(rest.rstrip()))
            work.addBoth(self._answered)
        elif verb == "bgapi" and rest:
            self._background(rest.rstrip(), command.headers.get("job-uuid"))
        elif verb == "exit":
            self.send(wire.command_reply("+OK bye") + wire.DISCONNECT_NOTICE)
            self._close()
        else:
            self.send(wire.command_reply(self._reply(verb, rest)))

    def _authenticate(self, verb: str, rest: str) -> None:
        if verb != "auth":
            self.send(wire.command_reply("-ERR command not found"))
        elif hmac.compare_digest(rest.strip().encode(), self._server.password.encode()):
            self.authenticated = True
            self._timer.cancel()
            self._server.core.listeners.append(self)
            self.send(wire.command_reply("+OK accepted"))
        else:
            self.send(wire.command_reply("-ERR invalid") + wire.DISCONNECT_NOTICE)
            self._close()

    def _reply(self, verb: str, rest: str) -> str:
        if verb.startswith("event"):  # `events` too: only the first letters are compared
            return self.subscription.event(rest.split())
        if verb == "nixevent":
            return self.subscription.nixevent(rest.split())
        if verb == "noevents":
            return self.subscription.noevents()
        if verb == "filter" and rest:
            return self.subscription.filter(rest)
        if verb in ("linger", "nolinger"):
            return "-ERR not controlling a session"
        if verb == "nolog":
            return "-ERR not loging"
        return "-ERR command not found"

    def _answered(self, result: str | Failure) -> None:
        self._busy = False
        text = result if isinstance(result, str) else "-ERR no reply\n"
        self.send(wire.api_response(text))
        if isinstance(result, Failure):
            self._server.problem(result.getTraceback())
        held, self._held = self._held, []
        self._proceed()
        for event in held:
            self.deliver(event)

    def _background(self, line: str, job_id: str | None) -> None:
        job_id = job_id or self._server.core.new_uuid()
        self.send(wire.command_reply(f"+OK Job-UUID: {job_id}", Job_UUID=job_id))
        work = Deferred.fromCoroutine(self._server.commands.execute(line))
        work.addErrback(lambda failure: self._server.problem(failure.getTraceback()))
        work.addCallback(lambda answer: self._job_done(job_id, line, answer or ""))

    def _job_done(self, job_id: str, line: str, answer: str) -> None:
        name, _, arguments = line.partition(" ")
        headers: wire.Headers = [("Job-UUID", job_id), ("Job-Command", name)]
        if arguments:
            headers.append(("Job-Command-Arg", arguments))
        self._server.core.fire("BACKGROUND_JOB", lambda: headers, body=answer)


class EventSocketFactory(ServerFactory):
    """Makes connections that share one core; `refuse` is an ACL that lets nobody in."""

    noisy = False

    def __init__(
        self, core: Core, commands: Commands, faults: Faults, password: str, clock: IReactorTime
    ) -> None:
        self.core = core
        self.commands = commands
        self.faults = faults
        self.password = password
        self.clock = clock
        self.refuse = False
        self.connections: list[EventSocketServer] = []
        self.problem = commands.exchange.truth.problem
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802
        protocol = EventSocketServer(self)
        protocol.factory = self
        return protocol

    async def all_gone(self) -> None:
        """Waits until every connection is closed."""
        if self.connections:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting

    def connection_gone(self) -> None:
        """Called by each connection that closed."""
        if not self.connections:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)
