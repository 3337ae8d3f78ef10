"""What clients see of several instances: a load balancer, and requests through it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPSConnection
from typing import Any

import attrs

from tests.deploy.balancers import NAME, Balancer

CLIENT = "127.0.0.9"
"""Where the clients call from, to be told from the balancers."""


@attrs.frozen
class Answer:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@attrs.frozen(kw_only=True)
class Edge:
    """Load balancers, and who may ask them: `key` is an API key, `tenant` the path of a tenant."""

    balancers: Sequence[Balancer]
    context: ssl.SSLContext
    key: str
    tenant: str

    def ask(
        self,
        balancer: Balancer,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request over TLS on a connection of its own. Raises OSError and HTTPException."""
        raw = socket.create_connection(("127.0.0.1", balancer.https), 10, (CLIENT, 0))
        connection = HTTPSConnection(NAME, timeout=10)
        connection.sock = self.context.wrap_socket(raw, server_hostname=NAME)
        try:
            content = None if body is None else json.dumps(body)
            known = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, path, content, {**known, **(headers or {})})
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            # What follows a change of protocol has no end.
            return Answer(answer.status, named, b"" if answer.status == 101 else answer.read())
        finally:
            connection.close()

    def numbers(self) -> set[str]:
        """The numbers of all extensions of the tenant."""
        found: set[str] = set()
        path = f"{self.tenant}/extensions?limit=100"
        cursor = ""
        while True:
            answer = self.ask(self.balancers[0], "GET", path + cursor)
            page = json.loads(answer.body)
            found |= {it["number"] for it in page["data"]}
            if not page["has_more"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"


class Load:
    """Threads that read and write through both balancers until they are to stop."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._stop = threading.Event()
        self._began = time.monotonic()
        self.failed: list[str] = []
        """Balancer, method and answer of each, with the seconds since the load began."""
        self.written: list[str] = []
        self.answers = 0
        self._threads = [
            threading.Thread(
                target=self._work, args=(balancer, method, 2000 + 1000 * number), daemon=True
            )
            for number, balancer in enumerate(edge.balancers)
            for method in ("GET", "POST")
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let each finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, balancer: Balancer, method: str, number: int) -> None:
        path = f"{self._edge.tenant}/extensions"
        while not self._stop.wait(0.05):
            number += 1
            body = None if method == "GET" else {"number": str(number), "display_name": "A"}
            try:
                answer = self._edge.ask(balancer, method, path, body)
            except (OSError, HTTPException) as error:
                self._fail(balancer, method, repr(error))
                continue
            self.answers += 1
            if answer.status not in (200, 201):
                self._fail(balancer, method, f"{answer.status} {answer.body!r}")
            elif method == "POST":
                self.written.append(str(number))

    def _fail(self, balancer: Balancer, method: str, why: str) -> None:
        seconds = time.monotonic() - self._began
        self.failed.append(f"{seconds:.1f} s, {balancer.name}, {method}: {why}")
