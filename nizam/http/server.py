"""The HTTP server's port: how many connections there may be, and how large a body of each path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from nizam.http.channel import BoundedChannel, BoundedRequest
from nizam.http.direct import DirectResource, DirectWriter
from nizam.settings.values import Network

IDLE_SECONDS = 75.0
MAX_CONNECTIONS = 4096
MAX_CONNECTIONS_OF_ADDRESS = 1024
FINISH_POLL_SECONDS = 0.02
MAX_BODY_BYTES = 1024 * 1024


class BoundedSite(Site):
    """The factory of the daemon's HTTP port.

    `body_limits` maps the beginning of a path to the largest body in bytes; the resource itself
    may know others (`body_limit(path)`). An address has at most `max_of_address` connections, a
    loopback address or one of `unlimited` (proxies) as many as there are. When `max_connections`
    are open, the one that has waited longest for its next request makes room for a new one.
    """

    protocol = BoundedChannel  # type: ignore[assignment]

    def __init__(
        self,
        resource: Resource,
        reactor: Any,
        *,
        body_limits: Mapping[bytes, int] | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_of_address: int = MAX_CONNECTIONS_OF_ADDRESS,
        unlimited: Sequence[Network] = (),
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            resource,
            requestFactory=BoundedRequest,
            parsePOSTFormSubmission=False,
            timeout=IDLE_SECONDS,
            reactor=reactor,
        )
        self.channels: set[BoundedChannel] = set()
        self.direct: dict[bytes, DirectResource] = dict(getattr(resource, "direct", {}))
        self.direct_writer = DirectWriter(reactor.seconds)
        self._reactor = reactor
        self._body_limits = dict(body_limits or {})
        self._max_connections = max_connections
        self._max_of_address = max_of_address
        self._unlimited = tuple(unlimited)
        self._of_address: Counter[str] = Counter()

    def serve(self, resource: Resource) -> None:
        """Serve another tree from now on: its `direct` has the resources that are asked without
        twisted.web's Request, by their paths."""
        self.resource = resource
        self.direct = dict(getattr(resource, "direct", {}))

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802 - Twisted's name
        """A channel for a new connection; None closes it."""
        host = str(getattr(addr, "host", ""))
        if self._of_address[host] >= self._max_of_address and not self._is_unlimited(host):
            return None
        if len(self.channels) >= self._max_connections and not self._make_room():
            return None
        channel: BoundedChannel = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        channel.host = host
        return channel

    def opened(self, channel: BoundedChannel) -> None:
        """Count a connection."""
        self.channels.add(channel)
        self._of_address[channel.host] += 1

    def closed(self, channel: BoundedChannel) -> None:
        """Count it no more."""
        if channel in self.channels:
            self.channels.remove(channel)
            self._of_address[channel.host] -= 1
            if not self._of_address[channel.host]:
                del self._of_address[channel.host]

    async def finish(self, seconds: float) -> None:
        """Let the requests that are being answered end; cut off what takes longer than `seconds`.

        The port must not listen any more.
        """
        deadline = self._reactor.seconds() + seconds
        while self.channels and self._reactor.seconds() < deadline:
            for channel in list(self.channels):
                channel.finish()
            await deferLater(self._reactor, FINISH_POLL_SECONDS)
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def body_limit(self, path: bytes) -> int:
        """The largest body in bytes that `path` takes."""
        for start, limit in self._body_limits.items():
            if path.startswith(start):
                return limit
        known = getattr(self.resource, "body_limit", None)
        own = None if known is None else known(path)
        return MAX_BODY_BYTES if own is None else own

    def log(self, request: Any) -> None:
        """Nothing: the API writes its own access log, in JSON."""

    def _make_room(self) -> bool:
        """Close the connection that has waited longest; False if every one is being answered."""
        waiting = [it for it in self.channels if it.waiting]
        if not waiting:
            return False
        longest = min(waiting, key=lambda it: it.waiting_since)
        self.closed(longest)
        longest.transport.abortConnection()
        return True

    def _is_unlimited(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return True
        return address.is_loopback or any(address in it for it in self._unlimited)
