"""Three instances behind nginx and behind HAProxy, as deploy/ configures them: requests are spread,
and none fails while one instance is killed, started again, and the others restarted in turn."""

from __future__ import annotations

import json
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from nizam.embedded.process import free_port
from tests.daemon.process import DaemonProcess, until
from tests.daemon.site import administrator, environment
from tests.deploy.balancers import NAME, Balancer, end, haproxy, make_certificate, nginx, trusting
from tests.deploy.edge import CLIENT, Answer, Edge, Load

READY_SECONDS = 60.0


@attrs.frozen(kw_only=True)
class Cluster:
    """Instances, and what stands before them."""

    reactor: Any
    instances: list[DaemonProcess]
    logs: list[Path]
    edge: Edge

    def served(self) -> list[Counter[str]]:
        """How many requests each instance has answered, by the address that it took them from."""
        return [
            Counter(
                str(entry["remote"])
                for entry in map(json.loads, log.read_text().splitlines())
                if "remote" in entry
            )
            for log in self.logs
        ]


@pytest_twisted.async_yield_fixture
async def cluster(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    from twisted.internet import reactor

    ports = [free_port() for _ in range(3)]
    settings = environment(database, redis_url, tmp_path, ports[0], free_port()) | {
        "NIZAM_ROLES": "api,realtime",
        "NIZAM_TRUSTED_PROXIES": "127.0.0.1/32",
    }
    logs = [tmp_path / f"nizam-{it}.log" for it in range(1, 4)]
    instances = [
        DaemonProcess(reactor, settings | {"NIZAM_HTTP_PORT": str(port)}, log)
        for port, log in zip(ports, logs, strict=True)
    ]
    certificate = make_certificate(tmp_path)
    balancers = [nginx(tmp_path, ports), haproxy(tmp_path, ports)]
    running = [it.start() for it in balancers]
    try:
        for it in instances:
            it.start()
        for it in instances:
            await it.ready(READY_SECONDS)
        api = await administrator(reactor, instances[0], database)
        made = await api.request(
            "POST",
            "/api/v1/tenants",
            {"name": "Acme", "slug": "acme", "domain": "acme.example.test"},
        )
        yield Cluster(
            reactor=reactor,
            instances=instances,
            logs=logs,
            edge=Edge(
                balancers=balancers,
                context=trusting(certificate),
                key=api.key,
                tenant=f"/api/v1/tenants/{made['id']}",
            ),
        )
    finally:
        for it in instances:
            it.kill()
        for process in running:
            end(process)


@pytest.mark.time_limit(240)
async def test_instances_come_and_go_behind_load_balancers(cluster: Cluster) -> None:
    for balancer in cluster.edge.balancers:
        await _wait_for(cluster, balancer)
        await deferToThread(_check_what_is_passed, cluster, balancer)
        assert await until(cluster.reactor, partial(_spread, cluster, balancer), 20)

    load = Load(cluster.edge)
    load.start()
    try:
        await deferLater(cluster.reactor, 1.0)
        # What is under way on an instance that is killed can be lost, and nothing else.
        cluster.instances[0].kill()
        await deferLater(cluster.reactor, 2.0)
        lost, load.failed = load.failed, []
        assert len(lost) <= 4, lost
        cluster.instances[0].start()
        await cluster.instances[0].ready(READY_SECONDS)
        await deferLater(cluster.reactor, 2.5)
        assert load.failed == []
        before = load.answers
        for it in cluster.instances[1:]:
            await it.terminate()
            it.start()
            await it.ready(READY_SECONDS)
            await deferLater(cluster.reactor, 2.5)
    finally:
        await deferToThread(load.end)
    assert load.failed == []
    assert load.answers > before + 50
    assert set(load.written) - await deferToThread(cluster.edge.numbers) == set()


async def _spread(cluster: Cluster, balancer: Balancer) -> bool:
    """Whether six requests are two for each instance: each is taken for well by now."""

    def ask() -> list[int]:
        before = [it[CLIENT] for it in cluster.served()]
        for _ in range(6):
            assert cluster.edge.ask(balancer, "GET", "/api/v1/me").status == 200
        return [it[CLIENT] - was for it, was in zip(cluster.served(), before, strict=True)]

    return await deferToThread(ask) == [2, 2, 2]


async def _wait_for(cluster: Cluster, balancer: Balancer) -> None:
    def well() -> bool:
        try:
            return cluster.edge.ask(balancer, "GET", "/readyz").status == 200
        except OSError:
            return False

    async def asked() -> bool:
        return await deferToThread(well)

    assert await until(cluster.reactor, asked, 15), balancer.output.read_text()


def _check_what_is_passed(cluster: Cluster, balancer: Balancer) -> None:
    """What a client may expect of either."""

    def ask(path: str, **headers: str) -> Answer:
        return cluster.edge.ask(balancer, "GET", path, headers=headers)

    assert ask("/api/health").status == 200
    for _ in range(15):
        assert ask("/api/v1/me").status == 200
    # Nobody can give himself another address than the one that he calls from.
    assert ask("/api/v1/me", **{"X-Forwarded-For": "203.0.113.7"}).status == 200
    for path in ("/metrics", "/freeswitch/xml"):
        assert ask(path).status == 404
    assert ask("/api/health").headers["strict-transport-security"].startswith("max-age=")
    upgraded = ask(
        "/api/v1/stream",
        **{
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        },
    )
    assert upgraded.status == 101, upgraded
    assert upgraded.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    plain = HTTPConnection("127.0.0.1", balancer.http, timeout=10)
    plain.request("GET", "/docs?a=b", headers={"Host": NAME})
    answer = plain.getresponse()
    plain.close()
    assert (answer.status, answer.getheader("Location")) == (308, f"https://{NAME}/docs?a=b")
    # HTTP/2 at the edge; nothing older than TLS 1.2.
    assert _protocol(cluster.edge.context, balancer, "h2") == ("h2", "TLSv1.3")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        _protocol(old, balancer, "http/1.1")


def _protocol(
    context: ssl.SSLContext, balancer: Balancer, wanted: str
) -> tuple[str | None, str | None]:
    context.set_alpn_protocols([wanted])
    try:
        with (
            socket.create_connection(("127.0.0.1", balancer.https), 10) as raw,
            context.wrap_socket(raw, server_hostname=NAME) as secure,
        ):
            return secure.selected_alpn_protocol(), secure.version()
    finally:
        context.set_alpn_protocols(["http/1.1"])
