"""Addresses of host names that tenants choose, asked for without threads.

The system's resolver would hold a thread for as long as a name server takes, and whoever chooses
the name chooses the name server: a few slow ones would hold every thread. Here a question costs a
socket for a bounded time and holds up nobody else's.

Like the system's, it reads /etc/hosts and the name servers and search list of /etc/resolv.conf,
again when that changes; it knows no other source of names (nsswitch.conf), and caches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

HOSTS = "/etc/hosts"
CONFIGURATION = "/etc/resolv.conf"
RETRY_SECONDS = (1, 3)
"""How long each name server is waited for: all of them once, then all again."""
LATE_SECONDS = 0.3
"""How much longer than the IPv4 addresses the IPv6 ones are waited for, and the other way round."""
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_SEARCHED = 6


class NameResolver:
    """Resolves names over `reactor`; `servers` (address, port) replace those of the system."""

    def __init__(
        self,
        reactor: Any,
        *,
        servers: Sequence[tuple[str, int]] | None = None,
        hosts: str = HOSTS,
        retry_seconds: Sequence[int] = RETRY_SECONDS,
    ) -> None:
        self._reactor = reactor
        self._servers = servers
        self._hosts: Any = FilePath(hosts)
        self._retry_seconds = tuple(retry_seconds)
        self._dns: _Resolver | None = None

    async def resolve(self, host: str) -> Sequence[str]:
        """The IP literals that `host` stands for, those of IPv4 first. Raises OSError when there
        are none; a question that nobody answers takes as long as the retries do."""
        name = host[:-1] if host.endswith(".") else host
        try:
            return (str(IPv4Address(name)),)
        except AddressValueError:
            pass
        labels = name.split(".")
        # What ends in a number is no name but an old notation for an address (127.1, 0x7f.1).
        if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or _is_number(labels[-1]):
            raise OSError(f"{host} is no host name")
        known: list[str] = searchFileForAll(  # type: ignore[no-untyped-call]
            self._hosts, name.encode()
        )
        if known:
            return tuple(dict.fromkeys(known))
        if name.lower() == "localhost":
            return ("127.0.0.1", "::1")
        for candidate in self._candidates(name, short=len(labels) == 1 and name == host):
            found = await self._ask(candidate)
            if found:
                return found
        raise OSError(f"{host} does not resolve")

    def close(self) -> None:
        """Give up every question under way; later ones are answered again."""
        if self._dns is not None:
            self._dns.close()
            self._dns = None

    def _resolver(self) -> _Resolver:
        if self._dns is None:
            system = None if self._servers else CONFIGURATION
            servers = list(self._servers or ())
            self._dns = _Resolver(system, servers, self._retry_seconds, self._reactor)
        return self._dns

    def _candidates(self, name: str, *, short: bool) -> list[str]:
        if not short:
            return [name]
        return [f"{name}.{it}" for it in self._resolver().suffixes[:_SEARCHED]] + [name]

    def _ask(self, name: str) -> Deferred[tuple[str, ...]]:
        return _Question(self._reactor, self._resolver(), name).done


def _is_number(label: str) -> bool:
    return _NUMBER.fullmatch(label) is not None


class _Question:
    """Asks for both kinds of addresses at once. `done` gives them when both have come, or one has
    and the other is late."""

    def __init__(self, reactor: Any, resolver: _Resolver, name: str) -> None:
        self.done: Deferred[tuple[str, ...]] = Deferred(lambda _: self._stop())
        self._reactor = reactor
        self._found: dict[int, tuple[str, ...]] = {}
        self._timer: Any = None
        for kind, ask in ((dns.A, resolver.lookupAddress), (dns.AAAA, resolver.lookupIPV6Address)):
            asked: Deferred[Any] = ask(name)  # type: ignore[no-untyped-call]
            asked.addCallbacks(_addresses, lambda _: (), callbackArgs=(kind,))
            asked.addCallback(self._came, kind)

    def _came(self, addresses: tuple[str, ...], kind: int) -> None:
        self._found[kind] = addresses
        if self.done.called:
            return
        if len(self._found) == 2:
            self._end()
        elif addresses:
            self._timer = self._reactor.callLater(LATE_SECONDS, self._end)

    def _end(self) -> None:
        self._stop()
        self.done.callback(self._found.get(dns.A, ()) + self._found.get(dns.AAAA, ()))

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _addresses(answer: Any, kind: int) -> tuple[str, ...]:
    records = [it.payload for it in answer[0] if it.type == kind]
    return tuple(dict.fromkeys(it.dottedQuad() if kind == dns.A else it._address for it in records))


class _Resolver(Resolver):
    """Twisted's resolver, which can be closed."""

    _parseCall: Any = None  # noqa: N815 - Twisted's name

    def __init__(
        self,
        system: str | None,
        servers: list[tuple[str, int]],
        timeout: tuple[int, ...],
        reactor: Any,
    ) -> None:
        self._open: set[Any] = set()
        super().__init__(system, servers, timeout, reactor)  # type: ignore[no-untyped-call]

    @property
    def suffixes(self) -> list[str]:
        """The search list."""
        found = self.search or ([self.domain] if self.domain else [])
        return [it.decode("ascii", "replace").strip(".") for it in found]

    def _connectedProtocol(self, interface: str = "") -> Any:  # noqa: N802 - Twisted's name
        protocol = dns.DNSDatagramProtocol(  # type: ignore[no-untyped-call]
            self, reactor=self._reactor
        )
        # Port 0 is a random one, of the system's choice, that is free.
        self._reactor.listenUDP(0, protocol, interface=interface)
        self._open.add(protocol)
        return protocol

    def _query(self, *args: Any) -> Any:
        asked = super()._query(*args)  # type: ignore[no-untyped-call]
        self._open = {it for it in self._open if it.transport is not None}
        return asked

    def messageReceived(self, *args: Any) -> None:  # noqa: N802 - Twisted's name
        """An answer that comes too late says nothing."""

    def close(self) -> None:
        """End timers and sockets; what waits for an answer gets none."""
        if self._parseCall is not None and self._parseCall.active():
            self._parseCall.cancel()
        for protocol in self._open:
            for _, timer in protocol.liveMessages.values():
                if timer.active():
                    timer.cancel()
            if protocol.transport is not None:
                protocol.transport.stopListening()
        for connection in self.connections:
            connection.transport.loseConnection()
