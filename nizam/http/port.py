"""Where HTTP is listened for: on sockets that systemd has opened, or on one of our own.

A socket of systemd's (nizam.socket) stays open while the daemon is restarted: whoever connects
meanwhile waits and is not refused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.tcp import Port
from twisted.python.systemd import ListenFDs

from nizam.settings.values import HttpSettings


def listen(
    reactor: Any, factory: IProtocolFactory, http: HttpSettings, environment: Mapping[str, str]
) -> list[IListeningPort]:
    """The ports that are listened on from now.

    Those that systemd has passed (sd_listen_fds(3)), if there are any; otherwise the address of the
    settings, together with other processes of this machine if it is shared (SO_REUSEPORT,
    socket(7)). Raises CannotListenError.
    """
    passed = ListenFDs.fromEnvironment(environment).inheritedDescriptors()
    if passed:
        return [_adopt(reactor, factory, descriptor) for descriptor in passed]
    if not http.reuse_port:
        port = reactor.listenTCP(http.port, factory, interface=http.host, backlog=socket.SOMAXCONN)
        return [port]
    return [listen_together(reactor, factory, http.host, http.port)]


def listen_together(
    reactor: Any, factory: IProtocolFactory, host: str, port: int
) -> IListeningPort:
    """A port that other processes of this user may listen on as well: the kernel shares out who
    connects. Raises CannotListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            shared.bind((host, port))
        except OSError as error:
            raise CannotListenError(host, port, error) from error  # type: ignore[no-untyped-call]
        shared.listen(socket.SOMAXCONN)
        shared.setblocking(False)
        listening: IListeningPort = reactor.adoptStreamPort(shared.fileno(), family, factory)
    return listening


async def close(ports: Iterable[IListeningPort]) -> None:
    """Listen no more. Whoever has connected by now is taken in first: the kernel would reset what
    waits in the queue of a socket that is closed."""
    for port in ports:
        if isinstance(port, Port):
            port.numberAccepts = socket.SOMAXCONN
            port.doRead()  # type: ignore[no-untyped-call]
        await maybeDeferred(port.stopListening)


def _adopt(reactor: Any, factory: IProtocolFactory, descriptor: int) -> IListeningPort:
    # The reactor takes a descriptor of its own for it.
    with socket.socket(fileno=descriptor) as passed:
        passed.setblocking(False)
        port: IListeningPort = reactor.adoptStreamPort(descriptor, passed.family, factory)
    return port
