"""Where HTTP is listened for: on systemd's sockets, or on a port that processes may share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Site

from nizam.http.port import close, listen
from nizam.settings import load
from nizam.settings.values import HttpSettings

reactor: Any = installed_reactor
REPOSITORY = Path(__file__).parent.parent.parent


class _Here(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def render(self, request: Any) -> bytes:
        return b"here"


def settings(port: int = 0, *, shared: bool = False, host: str = "127.0.0.1") -> HttpSettings:
    http = load(None, {"APP_ENV": "testing"}).settings.http
    return attrs.evolve(http, host=host, port=port, reuse_port=shared)


class Listeners:
    """Everything that a test listens on."""

    def __init__(self) -> None:
        self.ports: list[IListeningPort] = []

    def listen(self, http: HttpSettings, environment: dict[str, str] | None = None) -> int:
        """Listen once more; the number of the last port."""
        site = Site(_Here())  # type: ignore[no-untyped-call]
        self.ports += listen(reactor, site, http, environment or {})
        address: Any = self.ports[-1].getHost()
        return int(address.port)


@pytest_twisted.async_yield_fixture
async def listeners() -> AsyncIterator[Listeners]:
    made = Listeners()
    yield made
    for port in made.ports:
        await maybeDeferred(port.stopListening)


async def said(port: int, host: str = "127.0.0.1") -> bytes:
    def ask() -> bytes:
        connection = HTTPConnection(host, port, timeout=5)
        connection.request("GET", "/")
        answer = connection.getresponse().read()
        connection.close()
        return answer

    return await deferToThread(ask)


async def test_a_port_is_one_process_s_unless_it_is_to_be_shared(listeners: Listeners) -> None:
    port = listeners.listen(settings())
    assert await said(port) == b"here"
    with pytest.raises(CannotListenError):
        listeners.listen(settings(port))
    with pytest.raises(CannotListenError):
        listeners.listen(settings(port, shared=True))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        pytest.param("::1", marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")),
    ],
)
async def test_a_shared_port_is_listened_on_by_several(listeners: Listeners, host: str) -> None:
    port = listeners.listen(settings(shared=True, host=host))
    assert listeners.listen(settings(port, shared=True, host=host)) == port
    assert await said(port, host) == b"here"
    await maybeDeferred(listeners.ports.pop(0).stopListening)
    assert await said(port, host) == b"here"


_ACTIVATED = """
import os, sys
passed = [os.dup(int(it)) for it in sys.argv[1:]]
for place, descriptor in enumerate(passed, 3):
    os.dup2(descriptor, place)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(passed))}
os.environ["LISTEN_FDNAMES"] = ":".join(["nizam.socket"] * len(passed))
from twisted.internet import reactor
from tests.http.test_port import Listeners, settings

listeners = Listeners()
listeners.listen(settings(), dict(os.environ))
print(*(it.getHost().port for it in listeners.ports), flush=True)
reactor.callLater(20, reactor.stop)
reactor.run()
"""


def activated(sockets: Sequence[socket.socket]) -> subprocess.Popen[bytes]:
    """A process that listens on these sockets, which are its descriptors from 3 on and meant for
    its process id (sd_listen_fds(3))."""
    descriptors = [it.fileno() for it in sockets]
    return subprocess.Popen(
        [sys.executable, "-c", _ACTIVATED, *map(str, descriptors)],
        pass_fds=descriptors,
        stdout=subprocess.PIPE,
        env=dict(os.environ) | {"PYTHONPATH": str(REPOSITORY)},
    )


async def test_the_sockets_of_systemd_are_taken_over_and_stay_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = [it.getsockname()[1] for it in (one, two)]
        for _ in range(2):  # as when the daemon is restarted
            child = activated((one, two))
            try:
                assert child.stdout is not None
                assert child.stdout.readline().split() == [str(it).encode() for it in ports]
                assert await said(ports[0]) == await said(ports[1]) == b"here"
            finally:
                child.kill()
                child.wait()


async def test_whoever_has_connected_before_the_end_is_answered(listeners: Listeners) -> None:
    number = listeners.listen(settings())
    # Nothing is accepted before the test gives way, so both wait in the queue of the socket.
    waiting = [socket.create_connection(("127.0.0.1", number), timeout=5) for _ in range(2)]
    for it in waiting:
        it.sendall(b"GET / HTTP/1.0\r\n\r\n")
    await close(listeners.ports)
    for it in waiting:
        with it:
            assert (await deferToThread(it.recv, 4096)).endswith(b"here")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), timeout=5)


async def test_the_sockets_of_another_process_are_left_alone(listeners: Listeners) -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert await said(listeners.listen(settings(), environment)) == b"here"
