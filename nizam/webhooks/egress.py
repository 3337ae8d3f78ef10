"""HTTP requests to addresses that tenants choose, without a way into our own network.

Every connection goes to an address that was checked after name resolution, and to exactly that
address: a name that resolves differently a moment later (DNS rebinding) gains nothing. No
redirect is followed and no proxy of the environment is used. What is read of an answer is
bounded, and so is every wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from nizam.webhooks.addresses import Network
from nizam.webhooks.connections import READ_LIMIT, CheckedEndpoints, Resolve
from nizam.webhooks.interface import EgressError, IEgressAgent, Reply, TargetRefused
from nizam.webhooks.names import NameResolver

HEAD_LIMIT = 4_096
"""Bytes of an answer's body that are kept for whoever asks why a delivery failed."""

_IDLE_SECONDS = 30


@implementer(IEgressAgent)
class EgressAgent:
    """The agent over real sockets.

    `allowed` networks may be reached although they are not public. `per_host` bounds the
    connections kept for reuse to one host. `trust_root` is what Twisted's
    `optionsForClientTLS` takes: None means the platform's certificate authorities. `resolve`
    replaces the resolver of names.py.
    """

    def __init__(
        self,
        reactor: Any,
        allowed: Sequence[Network] = (),
        *,
        per_host: int = 16,
        trust_root: Any = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._reactor = reactor
        self._names = NameResolver(reactor)
        self._pool = HTTPConnectionPool(  # type: ignore[no-untyped-call]
            reactor, persistent=True
        )
        self._pool.maxPersistentPerHost = per_host
        self._pool.cachedConnectionTimeout = _IDLE_SECONDS
        # A delivery is repeated by the schedule, where it is counted, and nowhere else.
        self._pool.retryAutomatically = False
        factory = CheckedEndpoints(
            reactor, tuple(allowed), resolve or self._names.resolve, trust_root
        )
        self._agent = Agent.usingEndpointFactory(  # type: ignore[no-untyped-call]
            reactor, factory, self._pool
        )

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> Reply:
        """See IEgressAgent."""
        return await self.request("POST", url, headers, body, timeout)

    async def request(
        self,
        method: Literal["GET", "POST"],
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,
        keep: int = HEAD_LIMIT,
    ) -> Reply:
        """See IEgressAgent."""
        if urlsplit(url).scheme not in {"http", "https"}:
            raise TargetRefused("the address is neither http nor https")
        exchange: Deferred[Reply] = Deferred.fromCoroutine(
            self._exchange(method, url, headers, body, keep)
        )
        late: list[bool] = []

        def expire() -> None:
            late.append(True)
            exchange.cancel()

        timer = self._reactor.callLater(timeout, expire)
        try:
            return await exchange
        except EgressError:
            raise
        except Exception as error:
            if late:
                raise EgressError(f"no complete answer within {timeout:g} s") from None
            raise EgressError(_reason(error)) from error
        finally:
            if timer.active():
                timer.cancel()

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, keep: int
    ) -> Reply:
        sent = Headers()
        for name, value in headers.items():
            sent.addRawHeader(name.encode("ascii"), value.encode("latin-1"))
        response: IResponse = await self._agent.request(
            method.encode("ascii"),
            url.encode("ascii"),
            sent,
            _Bytes(body) if body or method == "POST" else None,
        )
        values = response.headers.getRawHeaders(b"retry-after") or [b""]
        reader = _HeadReader(keep)
        response.deliverBody(reader)  # type: ignore[no-untyped-call]
        head = await reader.done
        retry_after = values[0][:100].decode("latin-1") or None
        return Reply(int(response.code), retry_after, head, reader.complete)

    async def close(self) -> None:
        """See IEgressAgent."""
        await self._pool.closeCachedConnections()  # type: ignore[no-untyped-call]
        self._names.close()


class _HeadReader(Protocol):
    """Reads an answer's body up to READ_LIMIT and keeps the first `keep` bytes. `complete` says in
    the end whether that is all of it."""

    def __init__(self, keep: int) -> None:
        self.done: Deferred[bytes] = Deferred(self._cancelled)
        self.complete = False
        self._keep = keep
        self._head = b""
        self._size = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._size += len(data)
        if len(self._head) < self._keep:
            self._head = (self._head + data)[: self._keep]
        if self._size > READ_LIMIT:
            self._close()
            self._finish()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802
        # Once the status is known, a body that breaks off changes nothing for a delivery. One that
        # does not say its length ends with the connection (RFC 9112, section 6.3).
        ended = isinstance(reason.value, ResponseDone | PotentialDataLoss)
        self.complete = self._size == len(self._head) and ended
        self._finish()

    def _finish(self) -> None:
        if not self.done.called:
            self.done.callback(self._head)

    def _cancelled(self, deferred: Deferred[bytes]) -> None:
        self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


@implementer(IBodyProducer)
class _Bytes:
    """A request body that is written at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802 - Twisted's name
        consumer.write(self._body)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Nothing was held back."""

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Nothing is left to stop."""


def _reason(error: Exception) -> str:
    if isinstance(error, ResponseFailed):
        inner = error.reasons[0].value if error.reasons else error
        if isinstance(inner, SSL.Error | VerificationError):
            return f"TLS is not possible: {inner}"[:300]
        if isinstance(inner, PotentialDataLoss | ConnectionClosed):
            return "the connection ended before the answer"
        return f"not an HTTP answer: {type(inner).__name__}: {inner}"[:300]
    if isinstance(error, CancelledError):
        return "given up"
    return f"{type(error).__name__}: {error}"[:300]
