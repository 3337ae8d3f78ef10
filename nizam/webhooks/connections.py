"""Connections to addresses that tenants choose: which are made, and how much they may receive.

The endpoints here are what keeps requests out of our own network: each resolves the name once,
checks every address, and connects to exactly those that passed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from nizam.webhooks.addresses import Network, may_connect
from nizam.webhooks.interface import EgressError, TargetRefused

CONNECT_SECONDS = 5.0
READ_LIMIT = 65_536

# Headers and status line come on top of the body.
_RECEIVE_LIMIT = 2 * READ_LIMIT

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Gives the IP literals that a host name stands for; raises OSError when there are none."""


@implementer(IAgentEndpointFactory)
@attrs.frozen
class CheckedEndpoints:
    """Makes the endpoints of an Agent. `allowed` networks may be reached although they are not
    public; `trust_root` is as for EgressAgent."""

    reactor: Any
    allowed: tuple[Network, ...]
    resolve: Resolve
    trust_root: Any

    def endpointForURI(self, uri: URI) -> Any:  # noqa: N802 - Twisted's name
        host = uri.host.decode("ascii")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        endpoint = _CheckedEndpoint(self.reactor, host, uri.port, self.allowed, self.resolve)
        if uri.scheme != b"https":
            return _BoundedEndpoint(endpoint)
        options = optionsForClientTLS(host, trustRoot=self.trust_root)
        return _BoundedEndpoint(wrapClientTLS(options, endpoint))


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _BoundedEndpoint:
    """An IStreamClientEndpoint whose connections are `_Metered`, above TLS."""

    inner: Any

    def connect(  # Twisted names the argument
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803
    ) -> Deferred[IProtocol]:
        bounded = _Bounded(protocolFactory)  # type: ignore[no-untyped-call]
        connecting: Deferred[Any] = self.inner.connect(bounded)
        return connecting.addCallback(lambda metered: metered.wrappedProtocol)


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _CheckedEndpoint:
    """An IStreamClientEndpoint that connects only where `may_connect` lets it."""

    reactor: Any
    host: str
    port: int
    allowed: tuple[Network, ...]
    resolve: Resolve

    def connect(  # Twisted names the argument
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803
    ) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        good = [it for it in await self._addresses() if may_connect(it, self.allowed)]
        if not good:
            raise TargetRefused(f"{self.host} is not a public address")
        failure: Exception | None = None
        for address in good[:4]:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            endpoint = kind(self.reactor, address, self.port, timeout=CONNECT_SECONDS)
            try:
                return await endpoint.connect(factory)
            except ConnectError as error:
                failure = error
        assert failure is not None  # noqa: S101 - the loop ran at least once
        raise failure

    async def _addresses(self) -> Sequence[str]:
        if ":" in self.host:
            return (self.host,)
        try:
            return await _within(self.reactor, CONNECT_SECONDS, self.resolve(self.host))
        except (OSError, UnicodeError):
            raise EgressError(f"{self.host} does not resolve") from None


def _within(
    reactor: Any, seconds: float, work: Awaitable[Sequence[str]]
) -> Deferred[Sequence[str]]:
    """The result of `work`, or EgressError after `seconds`; the work itself is left to end."""
    result: Deferred[Sequence[str]] = Deferred()

    async def run() -> None:
        try:
            found = await work
        except Exception:
            if not result.called:
                result.errback()
        else:
            if not result.called:
                result.callback(found)
        if timer.active():
            timer.cancel()

    def expire() -> None:
        if not result.called:
            result.errback(EgressError(f"no name resolution within {seconds:g} s"))

    timer = reactor.callLater(seconds, expire)
    Deferred.fromCoroutine(run())
    return result


class _Metered(ProtocolWrapper):
    """Closes a connection that receives more for one request than any answer may hold, and each
    at once: TLS would wait for the peer to agree, which it may never do."""

    received = 0

    def write(self, data: bytes) -> None:
        self.received = 0
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Any) -> None:  # noqa: N802 - Twisted's name
        self.received = 0
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.received += len(data)
        if self.received > _RECEIVE_LIMIT:
            self.transport.abortConnection()  # type: ignore[union-attr]
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.disconnecting = 1
        self.transport.abortConnection()  # type: ignore[union-attr]


class _Bounded(WrappingFactory):
    protocol = _Metered
    noisy = False
