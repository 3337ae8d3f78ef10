"""What the egress agent does with answers, certificates, proxies and peers that never end."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.internet.tcp import Client
from twisted.internet.threads import deferToThread

from nizam.webhooks.egress import EgressAgent
from nizam.webhooks.interface import EgressError

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Speaker(Protocol):
    """Answers each request with what it is told; it may go on for ever."""

    def __init__(self, answer: bytes, then: bytes, deaf: bool) -> None:
        self._answer = answer
        self._then = then
        self._deaf = deaf
        self._calls: Any = None

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        transport: Any = self.transport
        transport.write(self._answer)
        if self._deaf:
            transport.pauseProducing()
        if self._then:
            self._go_on()
        if b"Connection: close" in self._answer:
            transport.loseConnection()

    def _go_on(self) -> None:
        from twisted.internet import reactor

        assert self.transport is not None
        self.transport.write(self._then)
        self._calls = reactor.callLater(0.001, self._go_on)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: N802
        if self._calls is not None and self._calls.active():
            self._calls.cancel()


class Servers:
    """Listens on loopback with raw answers."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.ports: list[Any] = []
        self.connections = 0
        self.speakers: list[Any] = []

    def listen(
        self,
        answer: bytes,
        then: bytes = b"",
        *,
        tls: Any = None,
        interface: str = "127.0.0.1",
        deaf: bool = False,
    ) -> int:
        def build(_: Any) -> Protocol:
            self.connections += 1
            speaker = _Speaker(answer, then, deaf)
            self.speakers.append(speaker)
            return speaker

        factory: Any = Factory()
        factory.noisy = False
        factory.buildProtocol = build
        if tls is None:
            port = self.reactor.listenTCP(0, factory, interface=interface)
        else:
            port = self.reactor.listenSSL(0, factory, tls.options(), interface=interface)
        self.ports.append(port)
        number: int = port.getHost().port
        return number


@pytest_twisted.async_yield_fixture
async def servers() -> AsyncIterator[Servers]:
    from twisted.internet import reactor

    it = Servers(reactor)
    yield it
    for port in it.ports:
        await port.stopListening()


@pytest_twisted.async_yield_fixture
async def agent() -> AsyncIterator[EgressAgent]:
    from twisted.internet import reactor

    it = EgressAgent(reactor, LOOPBACK)
    yield it
    await it.close()


async def test_a_connection_is_used_again(servers: Servers, agent: EgressAgent) -> None:
    port = servers.listen(OK)
    for _ in range(3):
        reply = await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", 5.0)
        assert (reply.status, reply.head) == (200, b"ok")
    assert servers.connections == 1


async def test_an_ipv6_literal_is_reached(servers: Servers, agent: EgressAgent) -> None:
    port = servers.listen(OK, interface="::1")
    assert (await agent.post(f"http://[::1]:{port}/", {}, b"{}", 5.0)).status == 200


async def test_a_redirect_is_an_answer_and_not_followed(
    servers: Servers, agent: EgressAgent
) -> None:
    inside = servers.listen(OK)
    answer = f"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:{inside}/\r\nContent-Length: 0\r\n\r\n"
    port = servers.listen(answer.encode())
    assert (await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", 5.0)).status == 307
    assert servers.connections == 1


async def test_a_proxy_of_the_environment_is_not_used(
    servers: Servers, agent: EgressAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = servers.listen(b"HTTP/1.1 502 Proxy\r\nContent-Length: 0\r\n\r\n")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
    port = servers.listen(OK)
    assert (await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", 5.0)).status == 200


@pytest.mark.parametrize(
    ("answer", "then", "timeout", "reason"),
    [
        (b"", b"", 0.3, "no complete answer within 0.3 s"),
        (b"HTTP/1.1 200 OK\r\n", b"", 0.3, "no complete answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"", 0.3, "no complete answer"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: yes\r\n" * 500, 10.0, "ended before the answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"", 5.0, "not an HTTP answer"),
    ],
    ids=["silence", "half a head", "half a body", "headers without end", "another protocol"],
)
async def test_a_bad_peer_costs_a_bounded_wait(
    servers: Servers, agent: EgressAgent, answer: bytes, then: bytes, timeout: float, reason: str
) -> None:
    port = servers.listen(answer, then)
    with pytest.raises(EgressError, match=reason):
        await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", timeout)


async def test_a_body_without_end_is_read_up_to_the_limit(
    servers: Servers, agent: EgressAgent
) -> None:
    port = servers.listen(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000)
    reply = await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", 10.0)
    assert (reply.status, reply.head) == (200, b"x" * 4096)


@pytest.mark.parametrize(
    ("length", "complete"),
    [(b"", True), (b"Content-Length: 2\r\n", True), (b"Content-Length: 9\r\n", False)],
)
async def test_an_answer_without_a_length_ends_with_the_connection(
    servers: Servers, agent: EgressAgent, length: bytes, complete: bool
) -> None:
    port = servers.listen(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + b"\r\n{}")
    reply = await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", 5.0)
    assert (reply.head, reply.complete) == (b"{}", complete)


async def test_a_closed_port_is_said_so(servers: Servers, agent: EgressAgent) -> None:
    port = servers.listen(OK)
    await servers.ports.pop().stopListening()
    with pytest.raises(EgressError, match="refused"):
        await agent.post(f"http://127.0.0.1:{port}/", {}, b"{}", 5.0)


def _certificate(host: str, *, days: int) -> PrivateCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    load: Callable[[bytes], PrivateCertificate] = PrivateCertificate.loadPEM
    return load(pem)


@pytest.mark.parametrize(
    ("host", "days", "trusted", "accepted"),
    [
        ("127.0.0.1", 30, True, True),
        ("127.0.0.1", 30, False, False),
        ("127.0.0.1", -1, True, False),
        ("127.0.0.2", 30, True, False),
        ("example.com", 30, True, False),
    ],
    ids=["good", "unknown authority", "expired", "another address", "another name"],
)
async def test_the_certificate_is_verified(
    servers: Servers, host: str, days: int, trusted: bool, accepted: bool
) -> None:
    certificate = _certificate(host, days=days)
    other = _certificate("other", days=30)
    authority = certificate if trusted else other
    pem: Callable[[], bytes] = authority.dumpPEM
    trust: Callable[[list[Certificate]], Any] = trustRootFromCertificates
    root = trust([Certificate.loadPEM(pem())])
    port = servers.listen(OK, tls=certificate)
    agent = EgressAgent(servers.reactor, LOOPBACK, trust_root=root)
    try:
        if accepted:
            reply = await agent.post(f"https://127.0.0.1:{port}/", {}, b"{}", 5.0)
            assert reply.status == 200
        else:
            with pytest.raises(EgressError, match="TLS is not possible"):
                await agent.post(f"https://127.0.0.1:{port}/", {}, b"{}", 5.0)
    finally:
        await agent.close()


class _UpTo:
    """A server's side of TLS that speaks no newer version than this."""

    def __init__(self, certificate: PrivateCertificate, version: int) -> None:
        self._certificate, self._version = certificate, version
        self._context: Any = None

    def options(self) -> Any:
        context = self._context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(self._certificate.original)
        context.use_privatekey(self._certificate.privateKey.original)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(self._version)
        return self

    def getContext(self) -> Any:  # noqa: N802 - Twisted's name
        return self._context


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(SSL.TLS1_1_VERSION, False), (SSL.TLS1_2_VERSION, True), (SSL.TLS1_3_VERSION, True)],
    ids=["TLS 1.1", "TLS 1.2", "TLS 1.3"],
)
async def test_tls_is_of_version_1_2_or_newer(
    servers: Servers, version: int, accepted: bool
) -> None:
    certificate = _certificate("127.0.0.1", days=30)
    pem: Callable[[], bytes] = certificate.dumpPEM
    trust: Callable[[list[Certificate]], Any] = trustRootFromCertificates
    port = servers.listen(OK, tls=_UpTo(certificate, version))
    # That the server speaks it is shown by a client that takes everything.
    assert await deferToThread(_greets, port, version)
    root = trust([Certificate.loadPEM(pem())])
    agent = EgressAgent(servers.reactor, LOOPBACK, trust_root=root)
    try:
        if accepted:
            reply = await agent.post(f"https://127.0.0.1:{port}/", {}, b"{}", 5.0)
            assert reply.status == 200
        else:
            with pytest.raises(EgressError, match="TLS is not possible"):
                await agent.post(f"https://127.0.0.1:{port}/", {}, b"{}", 5.0)
    finally:
        await agent.close()


def _greets(port: int, version: int) -> bool:
    """Whether a server agrees to this version of TLS."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.settimeout(None)
        connection = SSL.Connection(context, raw)
        connection.set_connect_state()
        try:
            connection.do_handshake()
        except SSL.Error:
            return False
        return True


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
async def test_a_peer_that_never_agrees_to_the_end_of_tls_holds_no_connection(
    servers: Servers, answer: bytes
) -> None:
    certificate = _certificate("127.0.0.1", days=30)
    pem: Callable[[], bytes] = certificate.dumpPEM
    trust: Callable[[list[Certificate]], Any] = trustRootFromCertificates
    root = trust([Certificate.loadPEM(pem())])
    port = servers.listen(answer, tls=certificate, deaf=True)
    agent = EgressAgent(servers.reactor, LOOPBACK, trust_root=root)
    with pytest.raises(EgressError, match="no complete answer"):
        await agent.post(f"https://127.0.0.1:{port}/", {}, b"{}", 0.3)
    await agent.close()
    while any(isinstance(it, Client) for it in servers.reactor.getReaders()):
        await deferLater(servers.reactor, 0.02)
    for speaker in servers.speakers:
        speaker.transport.abortConnection()
