"""What the shipped nginx writes of a request: nothing that somebody could use."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from nizam.embedded.process import free_port
from tests.deploy.balancers import NAME, make_certificate, nginx, trusting
from tests.kv.servers import wait_for

LINK = "/api/v1/recordings/1/audio?expires=1&signature=s3cr3t-signature"
FORGED = "/x%0a127.0.0.1%20-%20forged%22line"


def test_signatures_and_tickets_are_not_logged_and_lines_cannot_be_forged(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    # There are no instances: what is asked by TLS is answered with 502.
    balancer = nginx(tmp_path, [free_port(), free_port(), free_port()])
    process = balancer.start()
    log = tmp_path / "access.log"
    try:
        wait_for(lambda: process.poll() is not None or _asked(balancer.http, "/") == 308)
        assert process.poll() is None, balancer.output.read_text()
        assert _asked(balancer.http, LINK) == 308
        for path in (LINK, FORGED):
            with (
                socket.create_connection(("127.0.0.1", balancer.https), 5) as connection,
                trusting(certificate).wrap_socket(connection, server_hostname=NAME) as secured,
            ):
                secured.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                assert secured.recv(12) == b"HTTP/1.1 502"
        wait_for(lambda: "forged" in log.read_text())
    finally:
        process.terminate()
        process.wait(10)
    lines = log.read_text().splitlines()
    assert sum("/api/v1/recordings/1/audio HTTP/1.1" in it for it in lines) == 2
    assert "s3cr3t" not in log.read_text()
    assert not [it for it in lines if it.startswith("127.0.0.1 - forged")]


def _asked(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": NAME, "Referer": f"http://x{LINK}"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
