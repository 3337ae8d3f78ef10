"""How we speak with one Redis server: the protocol, signing in, and answers that come in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionDone

from nizam.errors import KeyValueUnavailable
from nizam.kv import tls as tls_module
from nizam.kv.interface import Value
from nizam.kv.refusals import RefusedError, is_credentials
from nizam.kv.tls import Tls

CONNECT_SECONDS: Final = 3.0
SILENCE_SECONDS: Final = 1.0
OWN_DELAY_SECONDS: Final = 0.003
MOST_AGAIN: Final = 5
"""A deadline that comes so much too late, since this process was busy, begins again, so often."""

Message = Callable[[Any, bytes, bytes], None]


@attrs.frozen
class Server:
    """An endpoint that says where it is: `host:port`."""

    name: str
    _there: Any

    def connect(self, factory: Any) -> Any:
        """As IStreamClientEndpoint has it."""
        return self._there.connect(factory)


class Speaker:
    """Makes connections that are signed in as `username` with `password` to the database `db`."""

    def __init__(
        self,
        reactor: Any,
        *,
        username: str | None = None,
        password: str | None = None,
        db: int = 0,
        tls: Tls | None = None,
    ) -> None:
        # It imports the reactor, and with it installs one.
        import txredisapi

        self.reactor = reactor
        self.errors = txredisapi
        self._username = username
        self._password = password
        self._db = db
        self._tls = tls

    def endpoint(self, host: str, port: int, seconds: float = CONNECT_SECONDS) -> Any:
        """Where a server is. Raises RefusedError when a file for TLS cannot be used."""
        if self._tls is not None:
            there = self._tls.around(self.reactor, host, port, seconds)
        else:
            there = HostnameEndpoint(self.reactor, host, port, timeout=seconds)
        return Server(f"{host}:{port}", there)

    def for_commands(self) -> Any:
        """A protocol that commands are sent on."""
        return _remembering(self.errors.RedisProtocol(charset=None, convertNumbers=False))

    def for_messages(self, heard: Message) -> Any:
        """A protocol that subscribes to channels."""
        protocol = self.errors.SubscriberProtocol(charset=None, convertNumbers=False)
        protocol.messageReceived = heard
        return _remembering(protocol)

    async def sign_in(self, protocol: Any, seconds: float = CONNECT_SECONDS) -> None:
        """Authenticate and choose the database, or fail within a bounded time: with RefusedError
        where trying again is of no use."""
        _quickly(protocol.transport)
        steps: list[tuple[Value, ...]] = []
        if self._password is not None:
            names = (self._username,) if self._username else ()
            steps.append(("AUTH", *names, self._password))
        if self._db:
            steps.append(("SELECT", self._db))
        steps.append(("PING",))
        for step in steps:
            try:
                await self.answer(protocol, step, seconds)
            except self.errors.ResponseError as error:
                if is_credentials(error):
                    raise RefusedError(f"Redis refuses our credentials: {error}") from None
                raise
            except KeyValueUnavailable as error:
                where = _address(protocol)
                why = tls_module.refused(protocol.lost_because, where)
                hint = "speak" if self._tls else "want"
                raise why or KeyValueUnavailable(
                    f"{where} lets nobody in: {error.detail} (REDIS_TLS: does it {hint} TLS?)"
                ) from None

    async def answer(
        self, connection: Any, command: tuple[Value, ...], seconds: float, *, asking: bool = False
    ) -> Any:
        """The answer to one command; KeyValueUnavailable after `seconds`.

        With `asking` it may be about keys that this node of a cluster is being given.
        """
        told: Deferred[Any] = Deferred()
        reactor = self.reactor

        timer: Any = None
        again = 0

        def wait() -> None:
            nonlocal timer
            timer = reactor.callLater(seconds, late, reactor.seconds() + seconds)

        def late(due: float) -> None:
            nonlocal again
            if reactor.seconds() - due < OWN_DELAY_SECONDS or again >= MOST_AGAIN:
                expire()
                return
            # It is this process that was slow: the command may not be sent, the answer not read.
            again += 1
            wait()

        def expire() -> None:
            if seconds >= SILENCE_SECONDS and connection.connected:
                connection.transport.abortConnection()
            told.errback(KeyValueUnavailable(f"Redis did not answer within {seconds:g} s"))

        def stop() -> bool:
            waiting: bool = timer is not None and timer.active()
            if waiting:
                timer.cancel()
            return waiting

        def succeed(answer: Any) -> None:
            if stop():
                told.callback(answer)

        def fail(failure: Any) -> None:
            if stop():
                told.errback(failure)

        try:
            if asking:
                connection.execute_command("ASKING").addErrback(lambda _: None)
            answering = connection.execute_command(*command)
        except self.errors.ConnectionError:
            raise KeyValueUnavailable("there is no connection to Redis") from None
        wait()
        answering.addCallbacks(succeed, fail)
        try:
            return await told
        except (self.errors.ConnectionError, ConnectionDone):
            raise KeyValueUnavailable("the connection to Redis ended") from None
        finally:
            stop()


def _remembering(protocol: Any) -> Any:
    """Have it keep why its connection ended, which txredisapi does not."""
    protocol.lost_because = None
    lost = protocol.connectionLost

    def note(why: Any) -> None:
        protocol.lost_because = why.value
        lost(why)

    protocol.connectionLost = note
    return protocol


def _quickly(transport: Any) -> None:
    transport.setTcpKeepAlive(True)
    transport.setTcpNoDelay(True)


def _address(protocol: Any) -> str:
    peer = protocol.transport.getPeer()
    return f"{peer.host}:{peer.port}"
